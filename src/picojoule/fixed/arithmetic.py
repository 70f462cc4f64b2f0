"""The scalar definitions: each integer operation of a machine, once.

Simulator and trainer execute these very functions.  Elements widen to int64 when numba reads
them, so nothing here can wrap unless `limit` says so.  Shifts stay below 63.
Rules are numbered as in `docs/numerics.md`.
"""

from __future__ import annotations

from picojoule.fixed.jit import jit


@jit
def shr_to_zero(x: int, bits: int) -> int:
    """S1: x / 2**bits, rounded towards zero: -5 gives -2 for bits=1, where `>>` gives -3."""
    return x >> bits if x >= 0 else -((-x) >> bits)


@jit
def decay(x: int, keep: int, bits: int) -> int:
    """S2: what is left of x after one step; keep is 2**bits - decay - offset."""
    return shr_to_zero(x * keep, bits)


@jit
def limit(x: int, mode: int, bits: int) -> int:
    """S4: bring x into `bits` bits beside the sign.

    mode 0 leaves it, 1 wraps in two's complement to [-2**bits, 2**bits),
    2 clips to [-2**bits + 1, 2**bits - 1], 3 corrects once, to (-2**bits, 2**bits].
    """
    if mode == 0:
        return x
    top = 1 << bits
    if mode == 1:
        return ((x + top) & (2 * top - 1)) - top
    if mode == 3:
        return x - 2 * top if x > top else x + 2 * top if x <= -top else x
    if x > top - 1:
        return top - 1
    if x < 1 - top:
        return 1 - top
    return x


@jit
def next_current(
    u: int, q: int, keep_u: int, decay_bits: int, q_mode: int, q_bits: int, u_mode: int,
    u_bits: int,
) -> int:  # fmt: skip
    """S3: the current of this step from that of the last one and the summed input q."""
    return limit(decay(u, keep_u, decay_bits) + limit(q, q_mode, q_bits), u_mode, u_bits)


@jit
def next_voltage(
    v: int, u: int, bias: int, keep_v: int, decay_bits: int, u_mode: int, u_bits: int, v_mode: int,
    v_bits: int,
) -> int:  # fmt: skip
    """S5: the voltage of this step before the threshold; u is this step's current.

    u_mode, u_bits: the width of current plus bias
    """
    drive = limit(u + bias, u_mode, u_bits)
    return limit(decay(v, keep_v, decay_bits) + drive, v_mode, v_bits)


@jit
def fires(v: int, v_th: int) -> bool:
    """S6: strict comparison; a voltage equal to the threshold stays silent."""
    return v > v_th


@jit
def effective_weight(mantissa: int, exponent: int, shift: int, weight_limit: int) -> int:
    """S9: what one spike adds to q: floor(mantissa * 2**exponent) * 2**shift, clipped."""
    scaled = mantissa << exponent if exponent >= 0 else mantissa >> -exponent
    scaled = scaled << shift
    if weight_limit > 0:
        if scaled > weight_limit:
            return weight_limit
        if scaled < -weight_limit:
            return -weight_limit
    return scaled


@jit
def high_multiply(a: int, b: int) -> int:
    """T2: round(a * b / 2**31) with ties to +infinity; saturates a = b = -2**31."""
    if a == -2147483648 and b == -2147483648:
        return 2147483647
    return (a * b + (1 << 30)) >> 31


@jit
def rounding_shift(x: int, bits: int) -> int:
    """T3: x / 2**bits to the nearest integer, ties away from zero."""
    if bits == 0:
        return x
    rest = x & ((1 << bits) - 1)
    half = (1 << bits) >> 1
    if x < 0:
        half = half + 1
    return (x >> bits) + (1 if rest >= half else 0)


@jit
def scale_double_round(x: int, multiplier: int, exponent: int) -> int:
    """T4: x * multiplier * 2**(exponent - 31), rounded twice (profile `double_round`).

    x and the result are int32 values; multiplier is in [2**30, 2**31), or 0.
    """
    if exponent > 0:
        return high_multiply(narrow32(x << exponent), multiplier)
    return rounding_shift(high_multiply(x, multiplier), -exponent)


@jit
def narrow32(x: int) -> int:
    """T1: keep the low 32 bits, as a 32-bit register does."""
    return ((x + 2147483648) & 4294967295) - 2147483648


@jit
def rounded_sum(total: int, shift: int, bias: int) -> int:
    """T14: what leaves an exact accumulator: total / 2**shift, ties away from zero, plus bias."""
    return narrow32(rounding_shift(total, shift) + bias)


@jit
def clamp(x: int, low: int, high: int) -> int:
    """T5: bring x into low..high."""
    if x < low:
        return low
    if x > high:
        return high
    return x


@jit
def significant(x: int, fraction: int) -> int:
    """T15: x rounded to 1 + fraction significant bits, ties to even."""
    size = abs(x)
    extra = 0
    while size >> extra >= 2 << fraction:
        extra += 1
    if extra == 0:
        return x
    kept, rest, half = size >> extra, size & ((1 << extra) - 1), 1 << (extra - 1)
    if rest > half or (rest == half and kept & 1 == 1):
        kept += 1
    return kept << extra if x >= 0 else -(kept << extra)


@jit
def requantize(acc: int, multiplier: int, exponent: int, zero: int, low: int, high: int) -> int:
    """T6: an accumulator to an output integer: scale, add the zero point, clamp."""
    return clamp(scale_double_round(acc, multiplier, exponent) + zero, low, high)


@jit
def add_rescaled(
    a: int, b: int, left_shift: int, ma: int, ea: int, mb: int, eb: int, mo: int, eo: int,
    zero: int, low: int, high: int,
) -> int:  # fmt: skip
    """T7: sum of two integers of different steps (TFLite ADD, reference kernel).

    a and b have their zero points subtracted already.
    """
    wide = scale_double_round(a << left_shift, ma, ea) + scale_double_round(b << left_shift, mb, eb)
    return clamp(scale_double_round(wide, mo, eo) + zero, low, high)


@jit
def cuba_neuron(
    u: int, v: int, wait: int, q: int, bias: int, keep_u: int, keep_v: int, v_th: int,
    refractory: int, decay_bits: int, q_mode: int, q_bits: int, u_mode: int, u_bits: int,
    v_mode: int, v_bits: int, drive_mode: int = -1,
) -> tuple[int, int, int, int, bool]:  # fmt: skip
    """S3..S8: one neuron, one step.

    Returns (u, reached, v, wait, fired): `reached` is the voltage before the reset.
    drive_mode is how current plus bias is limited; -1: as the current is.
    While `wait` > 0 the neuron is refractory: its voltage stays 0, its current moves on.
    """
    u = next_current(u, q, keep_u, decay_bits, q_mode, q_bits, u_mode, u_bits)
    if wait > 0:
        return u, 0, 0, wait - 1, False
    mode = u_mode if drive_mode < 0 else drive_mode
    reached = next_voltage(v, u, bias, keep_v, decay_bits, mode, u_bits, v_mode, v_bits)
    if fires(reached, v_th):
        return u, reached, 0, refractory - 1, True
    return u, reached, reached, 0, False
