"""Registers of neurons as the compiled loops take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from picojoule.errors import Fault, ProgramError
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SpikingProfile

Array = np.ndarray[Any, Any]

LIKE_CURRENT = ("decay_u", "decay_i")  # decays that the machine's offset adds to
THRESHOLDS = ("v_th", "v_th_high", "v_th_low", "theta_0", "theta_step")
# what the registers of a raw kind are shifted by: a sum of options
SHIFTED_BY = {
    "sigma_delta": ("spike_exponent", "state_exponent"),
    "delta": ("spike_exponent", "state_exponent"),
    "resonator": ("state_exponent",), "resonator_iz": ("state_exponent",),
}  # fmt: skip


def register_block(
    op: str, raw: Mapping[str, Array], args: Mapping[str, int], profile: SpikingProfile, n: int
) -> Array:
    """All registers of n neurons, one after the other, int64 (registers * n,).

    Decays become what is kept, thresholds and biases are shifted to the unit of the state.
    raw: register -> int64 (1,) or (n,).  Raises ProgramError PJ603.
    """
    if not profile.has_bias and "bias" in raw and raw["bias"].any():
        raise _invalid(f"profile {profile.name!r} has no bias, but a bias register is not 0")
    ready = _raw if KINDS[op].raw else _shifted
    values = [ready(op, name, raw[name], args, profile) for name in KINDS[op].registers]
    if any(value.size not in (1, n) for value in values):
        raise _invalid(f"a register of {n} neurons must have 1 or {n} values")
    return np.concatenate([np.broadcast_to(value, n) for value in values])


def _shifted(
    op: str, name: str, value: Array, args: Mapping[str, int], profile: SpikingProfile
) -> Array:
    full = 1 << profile.decay_bits
    if name.startswith("decay_"):
        offset = profile.u_decay_offset if name in LIKE_CURRENT else 0
        return full - offset - value
    if name in THRESHOLDS:
        return value << profile.weight_shift
    return value << args["bias_exponent"] if name == "bias" else value


def _raw(
    op: str, name: str, value: Array, args: Mapping[str, int], profile: SpikingProfile
) -> Array:
    if name not in ("v_th", "bias"):
        return value
    return value << sum(args[option] for option in SHIFTED_BY.get(op, ()))


def _invalid(what: str) -> ProgramError:
    return ProgramError(Fault("PJ603", what))
