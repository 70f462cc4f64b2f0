"""What the integers chosen for a spiking layer cannot hold: weights and words that are clipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picojoule.errors import Fault
from picojoule.fixed.profile import CLIP, UNLIMITED, SpikingProfile
from picojoule.graph import Graph
from picojoule.graph.ops import CubaLif
from picojoule.passes.as_real import real

WEIGHTS_MAX = 0.25  # share of weights beyond the levels; least-squares steps at 2 bits leave 10 %
WORDS_MAX = 0.01  # share of values of a word that clips; of one that wraps none may leave it
NAMES = {"q": "summed input", "u": "current", "v": "voltage"}


def weight_faults(name: str, weight: np.ndarray, step: float, low: int, high: int) -> list[Fault]:
    """PJ211 where all weights quantize to 0, or many are clipped to the levels low..high."""
    acting = weight[weight != 0]
    if not acting.size:
        return []
    levels = np.rint(acting / step)
    if not levels.any():
        return [Fault("PJ211", f"every weight of {name!r} quantizes to 0", fix="more weight bits")]
    share = float(((levels < low) | (levels > high)).mean())
    if share <= WEIGHTS_MAX:
        return []
    worst = float(levels[np.argmax(np.abs(levels))])
    return [Fault(
        "PJ211", f"{share:.0%} of the weights of {name!r} are clipped: up to level {worst:.0f},"
        f" where {low}..{high} are held", fix="more weight bits, or weights of a smaller range",
    )]  # fmt: skip


def word_faults(
    graph: Graph, name: str, seen: dict[str, np.ndarray], step: float, profile: SpikingProfile
) -> Iterator[Fault]:
    """PJ211 for each word of neurons `name` that values met on the samples would leave.

    seen  real results of every node (`calibrate.observe`); step: real value of one unit
    """
    words = {
        "q": (profile.q_mode, profile.q_bits), "u": (profile.u_mode, profile.u_bits),
        "v": (profile.v_mode, profile.v_bits),
    }  # fmt: skip
    limits = {w: 2.0**bits * step for w, (mode, bits) in words.items() if mode != UNLIMITED}
    for word, share in _beyond(graph, name, seen, limits).items():
        mode, bits = words[word]
        if share > (WORDS_MAX if mode == CLIP else 0):
            does = "clip" if mode == CLIP else "wrap"
            yield Fault(
                "PJ211", f"{_percent(share)} of the values of the {NAMES[word]} of {name!r} leave"
                f" -2^{bits}..2^{bits} and {does}",
                fix="a larger unit (do not pin it), smaller weights, or faster decays",
            )  # fmt: skip


def _percent(share: float) -> str:
    return "less than 0.1%" if share < 0.001 else f"{share:.1%}"


def _beyond(
    graph: Graph, name: str, seen: dict[str, np.ndarray], limits: dict[str, float]
) -> dict[str, float]:
    """Word -> share of its values, over samples, steps and neurons, beyond its limit."""
    node = graph[name]
    lif = node.op
    assert isinstance(lif, CubaLif)
    keep_u, keep_v = (1 - real(graph, c) for c in (lif.decay_u, lif.decay_v))
    bias = 0.0 if lif.bias is None else real(graph, lif.bias)
    q = sum(seen[source] for source in node.inputs)
    u, v = np.zeros_like(q[:, 0]), np.zeros_like(q[:, 0])
    many = dict.fromkeys(limits, 0)
    for t in range(q.shape[1]):
        u = keep_u * u + q[:, t]
        v = keep_v * v + u + bias
        for word, values in (("q", q[:, t]), ("u", u), ("v", v)):
            if word in limits:
                many[word] += int(np.count_nonzero(np.abs(values) > limits[word]))
        rests = seen[name][:, max(0, t + 1 - lif.refractory) : t + 1].any(axis=1)
        v = np.where(rests, 0.0, v)
    return {word: count / q.size for word, count in many.items()}
