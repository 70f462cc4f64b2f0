"""Deliberate mistakes in the rules of spiking cores, S1 to S11."""

from __future__ import annotations

from mutation import ARITHMETIC, DERIVE, PROFILE, Mutation, one

LOIHI1 = "u_decay_offset=1,"  # a text in the entry of each profile
B2L = "weight_limit=2**21 - 64,"
TO_ZERO = "return x >> bits if x >= 0 else -((-x) >> bits)"
REFRACTORY = """    if wait > 0:
        return u, 0, 0, wait - 1, False
"""
CURRENT = "    u = next_current(u, q, keep_u, decay_bits, q_mode, q_bits, u_mode, u_bits)\n"

SPIKING = (
    one("S1", "shift floors", ARITHMETIC, TO_ZERO, "return x >> bits"),
    one(
        "S1",
        "shift rounds to nearest",
        ARITHMETIC,
        TO_ZERO,
        "return (x + ((1 << bits) >> 1)) >> bits",
    ),
    one(
        "S2",
        "what decays is rounded, not what stays",
        ARITHMETIC,
        "return shr_to_zero(x * keep, bits)",
        "return x - shr_to_zero(x * ((1 << bits) - keep), bits)",
    ),
    one("S2", "loihi1: current offset 0", PROFILE, LOIHI1, "u_decay_offset=0,"),
    one("S2", "brian2loihi: current offset 1", PROFILE, B2L, B2L + " u_decay_offset=1,"),
    one(
        "S3",
        "current decays after the input is added",
        ARITHMETIC,
        "decay(u, keep_u, decay_bits) + limit(q, q_mode, q_bits)",
        "decay(u + limit(q, q_mode, q_bits), keep_u, decay_bits)",
    ),
    one(
        "S3",
        "input replaces the current",
        ARITHMETIC,
        "decay(u, keep_u, decay_bits) + limit(q, q_mode, q_bits)",
        "limit(q, q_mode, q_bits)",
    ),
    one("S4", "input is not limited", ARITHMETIC, "limit(q, q_mode, q_bits)", "q"),
    one(
        "S4",
        "current is not limited",
        ARITHMETIC,
        "return limit(decay(u, keep_u, decay_bits) + limit(q, q_mode, q_bits), u_mode, u_bits)",
        "return decay(u, keep_u, decay_bits) + limit(q, q_mode, q_bits)",
    ),
    one(
        "S4",
        "wrap takes +2**bits for a value in range",
        ARITHMETIC,
        "return ((x + top) & (2 * top - 1)) - top",
        "return x if x == top else ((x + top) & (2 * top - 1)) - top",
    ),
    one(
        "S4",
        "wrap takes -2**bits for out of range",
        ARITHMETIC,
        "return ((x + top) & (2 * top - 1)) - top",
        "return top - 1 if x == -top else ((x + top) & (2 * top - 1)) - top",
    ),
    one(
        "S4",
        "clip has one more value below",
        ARITHMETIC,
        "        return 1 - top\n",
        "        return -top\n",
    ),
    one("S4", "input clips", PROFILE, "q_mode=WRAP", "q_mode=CLIP"),
    one("S4", "current clips", PROFILE, "u_mode=WRAP", "u_mode=CLIP"),
    one("S4", "voltage wraps", PROFILE, "v_mode=CLIP", "v_mode=WRAP"),
    one("S4", "input has 20 bits", PROFILE, "q_bits=21", "q_bits=20"),
    one("S4", "current has 22 bits", PROFILE, "u_bits=23", "u_bits=22"),
    one("S4", "voltage has 24 bits", PROFILE, "v_bits=23", "v_bits=24"),
    one("S4", "brian2loihi: current wraps", PROFILE, B2L, B2L + " u_mode=WRAP, u_bits=23,"),
    one("S4", "brian2loihi: input wraps", PROFILE, B2L, B2L + " q_mode=WRAP, q_bits=21,"),
    one("S4", "brian2loihi: voltage clips", PROFILE, B2L, B2L + " v_mode=CLIP, v_bits=23,"),
    one(
        "S5",
        "current plus bias is not limited",
        ARITHMETIC,
        "drive = limit(u + bias, u_mode, u_bits)",
        "drive = u + bias",
    ),
    one(
        "S5",
        "bias is ignored",
        ARITHMETIC,
        "drive = limit(u + bias, u_mode, u_bits)",
        "drive = limit(u, u_mode, u_bits)",
    ),
    one(
        "S5",
        "voltage is not limited",
        ARITHMETIC,
        "return limit(decay(v, keep_v, decay_bits) + drive, v_mode, v_bits)",
        "return decay(v, keep_v, decay_bits) + drive",
    ),
    Mutation(
        "S5",
        "voltage takes the current of the last step",
        ARITHMETIC,
        (
            (CURRENT, "    last = u\n" + CURRENT),
            ("reached = next_voltage(v, u, bias", "reached = next_voltage(v, last, bias"),
        ),
    ),
    one("S6", "fires at the threshold", ARITHMETIC, "return v > v_th", "return v >= v_th"),
    one(
        "S7",
        "refractory for one step more",
        ARITHMETIC,
        "return u, reached, 0, refractory - 1",
        "return u, reached, 0, refractory",
    ),
    one(
        "S7",
        "no refractory period",
        ARITHMETIC,
        "return u, reached, 0, refractory - 1",
        "return u, reached, 0, 0",
    ),
    one(
        "S7",
        "reset subtracts the threshold",
        ARITHMETIC,
        "return u, reached, 0, refractory - 1",
        "return u, reached, reached - v_th, refractory - 1",
    ),
    Mutation(
        "S7",
        "current stands still in the refractory period",
        ARITHMETIC,
        ((REFRACTORY, ""), (CURRENT, REFRACTORY + CURRENT)),
    ),
    one("S8", "refractory neurons integrate", ARITHMETIC, REFRACTORY, ""),
    one(
        "S8",
        "voltage survives the spike",
        ARITHMETIC,
        "return u, reached, 0, refractory - 1",
        "return u, reached, reached, refractory - 1",
    ),
    one(
        "S9",
        "negative exponents round to zero",
        ARITHMETIC,
        "else mantissa >> -exponent",
        "else shr_to_zero(mantissa, -exponent)",
    ),
    one(
        "S9",
        "the fraction of a weight is kept (exponent after the shift)",
        ARITHMETIC,
        "else mantissa >> -exponent\n    scaled = scaled << shift",
        "else mantissa\n    scaled = scaled << shift if exponent >= 0 else "
        "(scaled << shift) >> -exponent",
    ),
    one(
        "S9", "weights are not clipped", ARITHMETIC, "if weight_limit > 0:", "if weight_limit < 0:"
    ),
    one("S9", "one weight more at the clip", PROFILE, B2L, "weight_limit=2**21,"),
    one("S9", "loihi1 clips weights", PROFILE, LOIHI1, LOIHI1 + " weight_limit=2**20,"),
    one("S10", "loihi1: external events act at once", PROFILE, "input_delay=1,", "input_delay=0,"),
    one(
        "S10",
        "brian2loihi: external events act a step later",
        PROFILE,
        B2L,
        B2L + " input_delay=1,",
    ),
    one(
        "S10", "spikes act two steps later", PROFILE, "spike_delay: int = 1", "spike_delay: int = 2"
    ),
    one("S11", "offset ignored", DERIVE, "2**bits - offset - keep", "2**bits - keep"),
    one("S11", "decays round down", DERIVE, "keep = np.rint(", "keep = np.floor("),
    one(
        "S11",
        "no lower clip",
        DERIVE,
        "np.clip(2**bits - offset - keep, 0, high)",
        "np.clip(2**bits - offset - keep, -1, high)",
    ),
    one(
        "S11",
        "levels are not shifted to mantissas",
        DERIVE,
        "return quantize(weight, step, low=low, high=high) << dropped",
        "return quantize(weight, step, low=low, high=high)",
    ),
)
