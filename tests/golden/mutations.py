"""Deliberate mistakes, at least one for each rule of docs/numerics.md."""

from __future__ import annotations

from mutation import GROUPS, KERNEL, NEURONS, REFERENCE, REGISTERS, TENSOR, TWIN, one
from mutations_neurons import KINDS
from mutations_spiking import SPIKING
from mutations_tensor import FACES, FLOATS, TENSORS

# the same rules where the passes and both engines apply them
ENGINES = (
    one(
        "S1",
        "reference engine: decay floors",
        TWIN,
        "return np.sign(x) * (np.abs(x) // divisor)",
        "return x // divisor",
    ),
    one(
        "S2",
        "compiled engine: current offset ignored",
        REGISTERS,
        "return full - offset - value",
        "return full - value",
    ),
    one(
        "S2",
        "reference engine: current offset ignored",
        TWIN,
        'old = self.kept(word, f"decay_{word}", p.u_decay_offset)',
        'old = self.kept(word, f"decay_{word}")',
    ),
    one("S3", "compiled engine: input is not cleared", NEURONS, "        q[i] = 0\n", ""),
    one(
        "S4",
        "reference engine: one more value below",
        TWIN,
        "np.clip(x, 1 - 2**bits, 2**bits - 1)",
        "np.clip(x, -(2**bits), 2**bits - 1)",
    ),
    one(
        "S5",
        "compiled engine: bias exponent ignored",
        REGISTERS,
        'value << args["bias_exponent"] if name == "bias" else value',
        "value",
    ),
    one(
        "S6",
        "compiled engine: threshold is not shifted",
        REGISTERS,
        "return value << profile.weight_shift",
        "return value",
    ),
    one(
        "S6",
        "reference engine: fires at the threshold",
        TWIN,
        "(reached > step.threshold())",
        "(reached >= step.threshold())",
    ),
    one(
        "S7",
        "reference engine: refractory for one step more",
        TWIN,
        'args["refractory"] - 1',
        'args["refractory"]',
    ),
    one(
        "S9",
        "reference engine: negative exponents round to zero",
        REFERENCE,
        "np.floor(mantissa * 2.0 ** (exponent + inside))",
        "np.trunc(mantissa * 2.0 ** (exponent + inside))",
    ),
    one("S10", "passes: all delays one step longer", GROUPS, "delay=steps,", "delay=steps + 1,"),
    one(
        "S10",
        "compiled engine: spikes under way are delivered a step late after a cut",
        KERNEL,
        "slot = (now + ahead) % ring.shape[1]",
        "slot = (now + ahead + 1) % ring.shape[1]",
    ),
    one(
        "T1",
        "compiled engine: zero point of the input ignored",
        TENSOR,
        "return np.subtract(x, zero, dtype=np.int64).astype(carrier)",
        "return x.astype(carrier)",
    ),
    one(
        "T1",
        "compiled engine: float32 carries any sum",
        TENSOR,
        "if reach < 1 << 24:",
        "if reach < 1 << 40:",
    ),
    one(
        "T3",
        "reference engine: ties away from zero upwards only",
        REFERENCE,
        "np.sign(product) * ((2 * np.abs(product) + divisor) // (2 * divisor))",
        "(2 * product + divisor) // (2 * divisor)",
    ),
    one(
        "T6",
        "compiled engine: one multiplier for all channels",
        TENSOR,
        "requantize(value, multiplier[o],",
        "requantize(value, multiplier[0],",
    ),
    one(
        "T7",
        "compiled engine: zero points of the inputs ignored",
        TENSOR,
        "a[i] - numbers[0], b[i] - numbers[1]",
        "np.int64(a[i]), np.int64(b[i])",
    ),
)

MUTATIONS = SPIKING + KINDS + TENSORS + FLOATS + FACES + ENGINES
