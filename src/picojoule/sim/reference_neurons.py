"""Neuron kinds for the reference engine: plain numpy, written from the rules of the numerics page.

Each function takes a `Step` and returns (state words after the step, what each neuron sends).
Nothing here is shared with the compiled loops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.fixed.profile import CLIP, ODD, UNLIMITED, SpikingProfile

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Step:
    """One population in one step.

    q      accumulators int64 (n, size)         s  state word -> int64 (n, size)
    r      register -> int64 (1,) or (size,)    o  option -> integer
    now    int64 (n, 1): steps since each sample began
    draws  int64 (n, size): draws of noisy kinds
    """

    p: SpikingProfile
    q: tuple[Array, ...]
    s: dict[str, Array]
    r: dict[str, Array]
    o: dict[str, int]
    now: Array
    draws: Array

    def kept(self, word: str, register: str, offset: int = 0, away: Array | int = 0) -> Array:
        """What is left of a state word after decay, around `away`."""
        full = 2**self.p.decay_bits
        part = self.s[word] - away
        return toward_zero(part * (full - offset - self.r[register]), full) + away

    def current(self, word: str = "u", extra: Array | int = 0) -> Array:
        """The new current: decay, plus limited input."""
        p = self.p
        q = limited(self.q[0] + extra, p.q_mode, p.q_bits)
        old = self.kept(word, f"decay_{word}", p.u_decay_offset)
        return limited(old + q, p.u_mode, p.u_bits)

    def drive(self, u: Array, extra: Array | int = 0) -> Array:
        """Current plus bias."""
        p = self.p
        return limited(u + self.bias + extra, p.u_mode if p.bias_wraps else UNLIMITED, p.u_bits)

    @property
    def bias(self) -> Array:
        return self.r["bias"] * 2 ** self.o["bias_exponent"]

    def voltage(self, u: Array) -> Array:
        """The new voltage, before any threshold."""
        return limited(self.kept("v", "decay_v") + self.drive(u), self.p.v_mode, self.p.v_bits)

    def threshold(self, register: str = "v_th") -> Array:
        return self.r[register] * 2**self.p.weight_shift


Result = tuple[dict[str, Array], Array]


def toward_zero(x: Array, divisor: int) -> Array:
    return np.sign(x) * (np.abs(x) // divisor)


def limited(x: Array, mode: int, bits: int) -> Array:
    if mode == UNLIMITED:
        return x
    if mode == CLIP:
        return np.clip(x, 1 - 2**bits, 2**bits - 1)
    if mode == ODD:
        span = 2 ** (bits + 1)
        return x - span * (x > 2**bits) + span * (x <= -(2**bits))
    return np.mod(x + 2**bits, 2 ** (bits + 1)) - 2**bits


def active(step: Step) -> Array:
    """Bool (n, size): a state word but `wait`, a limited sum, a bias or noise is not 0."""
    p, found = step.p, np.zeros(step.q[0].shape, bool)
    for q in step.q:
        found |= limited(q, p.q_mode, p.q_bits) != 0
    for word, value in step.s.items():
        rest = step.threshold("theta_0") if word == "theta" else 0
        found |= (value != rest) & (word != "wait")
    for register in ("bias", "noise_on"):
        if register in step.r:
            found |= step.r[register] != 0
    return found


def _cuba(step: Step) -> Result:
    u = step.current()
    return _rest(step, u, step.voltage(u))


def _rest(step: Step, u: Array, reached: Array) -> Result:
    """Threshold, reset and refractory period."""
    wait, args = step.s["wait"], step.o
    resting = wait > 0
    fired = ~resting & (reached > step.threshold())
    wait_new = np.where(resting, wait - 1, np.where(fired, args["refractory"] - 1, 0))
    return {"u": u, "v": np.where(resting | fired, 0, reached), "wait": wait_new}, fired


def _cuba_noise(step: Step) -> Result:
    wide = (step.draws + 64 * step.o["noise_offset"]) * step.r["noise_on"]
    exponent = step.o["noise_exponent"] - 7
    added = wide * 2**exponent if exponent >= 0 else toward_zero(wide, 2**-exponent)
    on_v = step.o["noise_on_v"]
    u = step.current(extra=added * (1 - on_v))
    v = step.kept("v", "decay_v") + step.drive(u, added * on_v)
    return _rest(step, u, np.minimum(np.maximum(v, step.r["v_low"]), step.r["v_high"]))


def _cuba_reset(step: Step) -> Result:
    interval = step.o["reset_interval"]
    clear = (step.now + 1 - step.o["reset_offset"]) % interval == 0
    for word in ("u", "v"):
        step.s[word][:] = np.where(clear, 0, step.s[word])
    return _cuba(step)


def _ternary(step: Step) -> Result:
    u = step.current()
    v = step.voltage(u)
    sent = np.where(v > step.threshold("v_th_high"), 1, 0)
    sent = np.where(v < step.threshold("v_th_low"), sent - 1, sent)
    return {"u": u, "v": np.where(sent == 0, v, 0)}, sent


def _sigma_delta(step: Step) -> Result:
    s, o = step.s, step.o
    unit = 2 ** (o["spike_exponent"] + o["state_exponent"])
    v_th, low = step.r["v_th"] * unit, 2 ** o["state_exponent"]
    sigma = s["sigma"] + step.q[0]
    act = np.maximum(sigma + step.r["bias"] * unit, 0)
    if o["corrected"]:
        change = act - s["act"]
        sent = np.where(np.abs(change) >= v_th, change, 0) // low
        return {**s, "sigma": sigma, "act": s["act"] + sent * low}, sent
    change = act - s["act"] + s["residue"]
    error = s["error"] + change if o["cumulative"] else change
    sent = np.where(np.abs(error) >= v_th, change, 0)
    error = np.where(sent == 0, error, 0) if o["cumulative"] else s["error"]
    return {"sigma": sigma, "act": act, "residue": change - sent, "error": error}, sent // low


def _delta(step: Step) -> Result:
    unit, low = 2 ** (step.o["spike_exponent"] + step.o["state_exponent"]), step.o["state_exponent"]
    act = step.q[0] * unit
    change = act - step.s["act"] + step.s["residue"]
    sent = np.where(np.abs(change) >= step.r["v_th"] * unit, change, 0)
    return {"act": act, "residue": change - sent}, sent // 2**low


def _rotation(step: Step) -> tuple[Array, Array, Array]:
    """(re, im, threshold)."""
    scale, up = 2 ** step.o["decay_bits"], 2 ** step.o["state_exponent"]
    re, im, sin, cos = step.s["re"], step.s["im"], step.r["sin"], step.r["cos"]
    new_re = toward_zero(cos * re, scale) - toward_zero(sin * im, scale) + step.q[0] * up
    new_im = toward_zero(sin * re, scale) + toward_zero(cos * im, scale) + step.q[1] * up
    new_re, new_im = (limited(x, step.p.v_mode, step.p.v_bits) for x in (new_re, new_im))
    return new_re, new_im, step.r["v_th"] * up


def _resonator(step: Step) -> Result:
    re, im, v_th = _rotation(step)
    return {"re": re, "im": im}, (re >= v_th) & (im >= 0) & (step.s["im"] < 0)


def _resonator_iz(step: Step) -> Result:
    re, im, v_th = _rotation(step)
    fired = im >= v_th
    return {"re": np.where(fired, 0, re), "im": np.where(fired, v_th - 1, im)}, fired


def _atrlif(step: Step) -> Result:
    i, theta_0 = step.current("i"), step.threshold("theta_0")
    v = step.voltage(i)
    theta, r = step.kept("theta", "decay_theta", away=theta_0), step.kept("r", "decay_r")
    fired = v - r >= theta
    r = r + 2 * theta * fired
    return {"i": i, "v": v, "theta": theta + step.threshold("theta_step") * fired, "r": r}, fired


def _product(step: Step) -> Result:
    value = np.floor_divide(step.q[0] * step.q[1], 2 ** step.o["exponent"])
    return {}, np.where(np.abs(value) > step.r["v_th"], value, 0)


def _graded(step: Step) -> Result:
    return {}, np.where(np.abs(step.q[0]) > step.r["v_th"], step.q[0], 0)


def _graded_relu(step: Step) -> Result:
    return {}, np.where(step.q[0] > step.r["v_th"], step.q[0], 0)


def _integrator(step: Step) -> Result:
    u = step.current()
    v = step.voltage(u)
    return {"u": u, "v": v}, v


def _threshold(step: Step) -> Result:
    return {}, step.q[0] > step.r["v_th"]


ADVANCE: dict[str, Callable[[Step], Result]] = {
    "cuba": _cuba, "cuba_noise": _cuba_noise, "cuba_reset": _cuba_reset, "ternary": _ternary,
    "sigma_delta": _sigma_delta, "delta": _delta, "resonator": _resonator,
    "resonator_iz": _resonator_iz, "atrlif": _atrlif, "product": _product, "graded": _graded,
    "graded_relu": _graded_relu, "integrator": _integrator, "threshold": _threshold,
}  # fmt: skip


def draws(seed: int, node: int, samples: Array, steps: Array, elements: Array) -> Array:
    """Rule N3 for all samples and elements of a node, int64 (samples, elements)."""
    shape = np.broadcast_shapes(samples[:, None].shape, elements[None].shape)
    counter = [np.broadcast_to(np.asarray(x, np.uint64), shape).copy() for x in (
        node, samples[:, None], steps[:, None], elements[None] // 4)]  # fmt: skip
    key, word = [seed, 1], np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        a_high, b_high = a >> np.uint64(32), b >> np.uint64(32)
        counter = [b_high ^ counter[1] ^ np.uint64(key[0]), b & word,
                   a_high ^ counter[3] ^ np.uint64(key[1]), a & word]  # fmt: skip
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    which = np.broadcast_to(elements[None] % 4, shape)
    chosen = np.choose(which, counter)
    return (chosen * np.uint64(255) // np.uint64(2**32)).astype(np.int64) - 127
