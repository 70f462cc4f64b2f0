"""Choose the unit of a population's state, and the exponent of each synapse group into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.fixed.profile import UNLIMITED, SpikingProfile
from picojoule.passes.calibrate import Peaks
from picojoule.passes.search_steps import ELEMENTS_MAX, errors, row_steps

HEADROOM = 4  # calibrated peaks stay this far below the width of their words
OCTAVE = np.arange(16) / 16


@dataclass(frozen=True)
class Levels:
    """Weights stored in `bits` bits: low..high, times 2**dropped as mantissas."""

    bits: int

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        return (1 << (self.bits - 1)) - 1

    @property
    def dropped(self) -> int:
        return 9 - self.bits  # mixed sign: 8 - bits + 1 (shared facts: Loihi, section 1.3)


@dataclass(frozen=True)
class Units:
    """step: real value of one unit of u and v; exponents of the groups; of the bias."""

    step: float
    exponents: tuple[int, ...]
    bias_exponent: int = 0


def choose_units(
    weights: list[np.ndarray], levels: Levels, profile: SpikingProfile,
    v_th: float, bias: float, peaks: Peaks,
) -> Units:  # fmt: skip
    """The finest unit in which threshold, bias and peaks fit, at the best steps of weights.

    weights  real weights of each synapse group; v_th, bias: their largest magnitudes
    """
    least = smallest_step(profile, v_th, bias, peaks)
    flat = [_sampled(w) for w in weights]
    base = _best_base(flat, levels)
    if base is None:
        step = least or 1.0  # nothing at all to hold: any unit will do
        return Units(step, (0,) * len(weights), _bias_exponent(profile, bias, step))
    wanted = [_nearest(x, base, levels)[0] for x in flat]
    lowest, highest = _exponent_range(profile, levels)
    # step = base / 2**(dropped + shift + lift): the larger the lift, the finer the unit
    scale = base / 2.0 ** (levels.dropped + profile.weight_shift)
    lift = min(
        int(np.floor(np.log2(scale / least) + 1e-9)) if least > 0 else highest,
        highest - max(wanted),
    )
    exponents = tuple(int(np.clip(w + lift, lowest, highest)) for w in wanted)
    step = float(scale / 2.0**lift)
    return Units(step, exponents, _bias_exponent(profile, bias, step))


def units_of_step(
    step: float, weights: list[np.ndarray], levels: Levels, profile: SpikingProfile, bias: float
) -> Units:
    """The same for a unit that pinned integers have fixed already."""
    lowest, highest = _exponent_range(profile, levels)
    base = step * 2.0 ** (levels.dropped + profile.weight_shift)
    wanted = [_nearest(_sampled(w), base, levels)[0] for w in weights]
    exponents = tuple(int(np.clip(w, lowest, highest)) for w in wanted)
    return Units(step, exponents, _bias_exponent(profile, bias, step))


def smallest_step(profile: SpikingProfile, v_th: float, bias: float, peaks: Peaks) -> float:
    """The finest unit in which threshold, bias and calibrated peaks still fit their words."""
    bias_top = profile.bias_mantissa_max << profile.bias_exponent_max
    needs = [v_th / (profile.v_th_max << profile.weight_shift), bias / bias_top]
    words = (
        (peaks.q, profile.q_mode, profile.q_bits), (peaks.u, profile.u_mode, profile.u_bits),
        (v_th, profile.v_mode, profile.v_bits),
    )  # fmt: skip
    for peak, mode, bits in words[:2]:
        needs.append(0.0 if mode == UNLIMITED else HEADROOM * peak / 2.0**bits)
    peak, mode, bits = words[2]
    needs.append(0.0 if mode == UNLIMITED else peak / (2.0**bits - 1))
    return max(needs)


def _exponent_range(profile: SpikingProfile, levels: Levels) -> tuple[int, int]:
    """Exponents at which no level loses a bit, and none is clipped."""
    lowest, highest = max(profile.weight_exponent_min, -levels.dropped), profile.weight_exponent_max
    top = -levels.low << (levels.dropped + profile.weight_shift)
    while profile.weight_limit and highest > lowest and top * 2.0**highest > profile.weight_limit:
        highest -= 1
    return lowest, highest


def _sampled(weight: np.ndarray) -> np.ndarray:
    flat = np.asarray(weight, np.float64).reshape(-1)
    return flat[:: max(1, -(-flat.size // ELEMENTS_MAX))]


def _best_base(flat: list[np.ndarray], levels: Levels) -> float | None:
    """A step of weights such that each group does well at that step times a power of two."""
    acting = [x for x in flat if np.any(x)]
    if not acting:
        return None
    ideal = row_steps(acting[0][None], levels.low, levels.high)[0]
    if len(acting) == 1:
        return float(ideal)
    tried = ideal * 2.0**OCTAVE
    scores = [sum(_nearest(x, base, levels)[1] for x in acting) for base in tried]
    return float(tried[int(np.argmin(scores))])


def _nearest(x: np.ndarray, base: float, levels: Levels) -> tuple[int, float]:
    """The power of two of `base` that suits x best, and its squared error relative to x."""
    if not np.any(x):
        return 0, 0.0
    ideal = row_steps(x[None], levels.low, levels.high)[0]
    middle = int(np.rint(np.log2(ideal / base)))
    powers = np.arange(middle - 1, middle + 2)
    score = [errors(x[None], np.array([base * 2.0**p]), levels.low, levels.high)[0] for p in powers]
    best = int(np.argmin(score))
    return int(powers[best]), float(score[best] / np.square(x).mean())


def _bias_exponent(profile: SpikingProfile, bias: float, step: float) -> int:
    """The least exponent at which the largest bias fits its mantissa."""
    for exponent in range(profile.bias_exponent_max):
        if bias <= (profile.bias_mantissa_max << exponent) * step:
            return exponent
    return profile.bias_exponent_max
