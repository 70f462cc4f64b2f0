"""Spiking networks in continuous time: every spike has its exact moment, not a step.

Between events  du/dt = -c u,  dv/dt = -a v + u + bias;  a spike that arrives adds its weight to
u; where v rises through v_th, the neuron spikes and v becomes 0.  keep_u = exp(-c) and
keep_v = exp(-a) are what remains after a unit of time, a step, so the numbers are those of the
network in steps.  Inputs come at whole steps, and v is solved, not stepped: `train_eventprop`
goes back through the moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from picojoule.errors import Fault, TrainError
from picojoule.fixed.contract import Events
from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks
from picojoule.kernels.train_blocks import Neurons
from picojoule.kernels.train_spiking import COLUMNS, DELAY, OFFSET, SOURCE, TARGET, Wiring

GROUP, ROW, CAUSE = range(3)  # of a logged event; a spike has group -1 and its neuron as row
MOST = 64  # spikes of a neuron a step: more is feedback that runs away
HALVINGS = 60  # of an interval, to the last bit of a moment


@dataclass(frozen=True, eq=False)
class Walk:
    """What happened to one sample, event after event.

    events  int64 (M, 3)  group, row of its weights, number of the spike that caused it (-1: an
            input); or -1, neuron, number of the spike
    when    float64 (M,)
    push    float64 (M,)  u + bias at a spike, 0 at an arrival
    """

    events: np.ndarray
    when: np.ndarray
    push: np.ndarray


@dataclass(frozen=True, eq=False)
class Moments:
    """Spikes of a batch: of sample b, neuron[start[b] : start[b + 1]] and their times, in order.

    start int64 (B + 1,), neuron int64 (E,), time float64 (E,) in steps; steps: when it ended
    """

    start: np.ndarray
    neuron: np.ndarray
    time: np.ndarray
    steps: int
    walks: tuple[Walk, ...]

    def first(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """First spikes of neurons `part`: times (B, n), `steps` where there is none, and numbers.

        The numbers, int64 (B, n), count in `neuron` and `time`; -1 where there is none.
        """
        samples, n = len(self.start) - 1, part.stop - part.start
        which = np.full((samples, n), -1, np.int64)
        sample = np.repeat(np.arange(samples), np.diff(self.start))
        inside = np.flatnonzero((self.neuron >= part.start) & (self.neuron < part.stop))[::-1]
        which[sample[inside], self.neuron[inside] - part.start] = inside  # the earliest comes last
        known = np.append(self.time, float(self.steps))  # -1 finds the last
        return known[which], which


def rates(neurons: Neurons) -> tuple[np.ndarray, np.ndarray]:
    """a and c of every neuron, float64 (N,), a step."""
    return (-np.log(np.asarray(neurons.keep_v, np.float64)),
            -np.log(np.asarray(neurons.keep_u, np.float64)))  # fmt: skip


def run_moments(
    wiring: Wiring, events: Events, weight: np.ndarray, neurons: Neurons,
    threads: int | None = None, delays: np.ndarray | None = None,
) -> Moments:  # fmt: skip
    """All spikes within `events.steps`, in float64; delays (G,) real, else those of the groups.

    Raises TrainError PJ704, with all faults, where a current or voltage has no rate, a threshold
    is not above 0, neurons rest after spikes, or feedback without delay runs away.
    """
    faults = list(_faults(wiring, neurons))
    if faults:
        raise TrainError(faults)
    flat = np.asarray(weight, np.float64)
    a, c = rates(neurons)
    v_th, bias = (np.asarray(x, np.float64) for x in (neurons.v_th, neurons.bias))
    late = np.asarray(wiring.groups[:, DELAY] if delays is None else delays, np.float64)

    def work(b: int, _: int) -> Walk:
        return _walk(wiring, events, b, flat, (late, a, c, v_th, bias))

    walks = over_blocks(events.samples, threads, work, block=1)
    spiked = [walk.events[:, GROUP] < 0 for walk in walks]
    return Moments(
        np.cumsum([0, *(int(s.sum()) for s in spiked)], dtype=np.int64),
        np.concatenate([w.events[s, ROW] for w, s in zip(walks, spiked)]),
        np.concatenate([w.when[s] for w, s in zip(walks, spiked)]), events.steps, tuple(walks),
    )  # fmt: skip


def _faults(wiring: Wiring, neurons: Neurons) -> Iterator[Fault]:
    checks = (
        ("keep_u", (neurons.keep_u > 0) & (neurons.keep_u < 1), "lie within 0..1, both excluded"),
        ("keep_v", (neurons.keep_v > 0) & (neurons.keep_v <= 1), "lie within 0..1, 0 excluded"),
        ("v_th", neurons.v_th > 0, "be above 0"),
        ("refractory", wiring.refractory <= 1, "be 1: no rest after a spike"),
    )
    for name, good, rule in checks:
        if not np.all(good):
            i = int(np.argmin(good))
            values = wiring.refractory if name == "refractory" else getattr(neurons, name)
            yield Fault("PJ704", f"in continuous time {name} must {rule}, got {values[i]:g}",
                        where=f"neuron {i}", fix="use gradients of steps")  # fmt: skip


def _walk(
    wiring: Wiring, events: Events, b: int, weight: np.ndarray, known: tuple[np.ndarray, ...]
) -> Walk:
    """One sample, with more room until it is enough."""
    part = events.indptr[b * events.steps : (b + 1) * events.steps + 1]
    channel = events.index[part[0] : part[-1]]
    when = np.repeat(np.arange(events.steps, dtype=np.float64), np.diff(part))
    groups, room = len(wiring.groups), 64 + wiring.neurons * events.steps // 8
    while room <= 64 + MOST * wiring.neurons * events.steps:
        size = (len(channel) + room) * groups + room
        log, real = np.empty((size, 3), np.int64), np.zeros((2, size))
        count = run_sample(when, channel, float(events.steps), wiring.populations, wiring.groups,
                           weight, *known, np.empty(room), np.empty(room, np.int64), log, real[0],
                           real[1])  # fmt: skip
        if count >= 0:
            return Walk(log[:count].copy(), real[0, :count].copy(), real[1, :count].copy())
        room *= 4
    raise TrainError(Fault(
        "PJ704", f"more than {MOST} spikes a neuron a step: feedback runs away",
        where=f"sample {b}", fix="delay the loop, or lower its weights",
    ))  # fmt: skip


@jit
def response(a, c, span):
    """What v is after `span`, of a unit of u before."""
    away = a - c
    return span * np.exp(-c * span) if away == 0 else -np.exp(-c * span) * np.expm1(
        -away * span) / away  # fmt: skip


@jit
def rise(a, span):
    """What v is after `span`, of a unit of bias; the integral of exp(-a t)."""
    return span if a == 0 else -np.expm1(-a * span) / a


@jit
def voltage(u, v, a, c, bias, span):
    """v after `span` without events."""
    return np.exp(-a * span) * v + response(a, c, span) * u + rise(a, span) * bias


@jit
def turning(u, v, a, c, bias, span):
    """When within `span` dv/dt changes its sign, which it does once at most; else `span`."""
    if u == 0:
        return span
    away, x = a - c, (u + bias - a * v) / (c * u)
    if away * x <= -1:
        return span
    when = x if away == 0 else np.log1p(away * x) / away
    return when if 0 < when < span else span


@jit
def crossing(u, v, a, c, bias, v_th, span):
    """When within `span` v rises through v_th; inf where it does not."""
    turn = turning(u, v, a, c, bias, span)
    for lo, hi in ((0.0, turn), (turn, span)):
        if voltage(u, v, a, c, bias, lo) > v_th or voltage(u, v, a, c, bias, hi) <= v_th:
            continue
        for _ in range(HALVINGS):
            middle = 0.5 * (lo + hi)
            if voltage(u, v, a, c, bias, middle) > v_th:
                hi = middle
            else:
                lo = middle
        return hi
    return np.inf


@jit
def next_arrival(heads, when, populations, groups, late, fired, fired_at, count):
    """(group, time) of the next spike that arrives, (-1, inf) if none; heads (G,) move on."""
    chosen, soonest = -1, np.inf
    for g in range(groups.shape[0]):
        source, time = groups[g, SOURCE], np.inf
        if source < 0:
            time = when[heads[g]] if heads[g] < when.size else np.inf
        else:
            start, stop = populations[source, 0], populations[source, 1]
            while heads[g] < count and not start <= fired[heads[g]] < stop:
                heads[g] += 1
            time = fired_at[heads[g]] if heads[g] < count else np.inf
        if time + late[g] < soonest:
            chosen, soonest = g, time + late[g]
    return chosen, soonest


@jit
def next_spike(u, v, a, c, bias, v_th, span):
    """(neuron, time) of the first that spikes within `span` without events; (-1, span) if none."""
    chosen, soonest = -1, span
    for i in range(u.size):
        found = crossing(u[i], v[i], a[i], c[i], bias[i], v_th[i], soonest)
        if found < soonest:
            chosen, soonest = i, found
    return chosen, soonest


@jit
def run_sample(
    when, channel, end, populations, groups, weight, late, a, c, v_th, bias, fired_at, fired,
    log, log_when, log_push,
):  # fmt: skip
    """Events of one sample until `end`, logged as in Walk; how many, or -1 where room ran out.

    when, channel (inputs,) in order of time; late (G,) delays; fired_at, fired: room for its spikes
    """
    u, v = np.zeros(a.size), np.zeros(a.size)
    heads, t, count, logged = np.zeros(groups.shape[0], np.int64), 0.0, 0, 0
    while True:
        g, arrival = next_arrival(heads, when, populations, groups, late, fired, fired_at,
                                  count)  # fmt: skip
        until = min(arrival, end)
        i, span = next_spike(u, v, a, c, bias, v_th, until - t)
        for j in range(u.size):
            v[j] = voltage(u[j], v[j], a[j], c[j], bias[j], span)
            u[j] *= np.exp(-c[j] * span)
        t = until if i < 0 else t + span
        if i < 0 and arrival >= end:
            return logged
        if i >= 0 and count == fired.size:
            return -1
        log_when[logged] = t
        if i >= 0:
            log[logged] = -1, i, count
            log_push[logged], v[i] = u[i] + bias[i], 0
            fired_at[count], fired[count] = t, i
            count += 1
        else:
            arrive(g, heads, populations, groups, channel, fired, weight, u, log[logged])
        logged += 1


@jit
def arrive(g, heads, populations, groups, channel, fired, weight, u, entry):
    """Deliver the next spike of a group, and write what it was to `entry` (3,)."""
    source, head, start = groups[g, SOURCE], heads[g], populations[groups[g, TARGET], 0]
    row = channel[head] if source < 0 else fired[head] - populations[source, 0]
    at = groups[g, OFFSET] + row * groups[g, COLUMNS]
    for j in range(groups[g, COLUMNS]):
        u[start + j] += weight[at + j]
    entry[0], entry[1], entry[2] = g, row, -1 if source < 0 else head
    heads[g] += 1
