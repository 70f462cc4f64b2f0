"""Random programs of every neuron kind, with payloads, shared rows, shifted sums and noise."""

from __future__ import annotations

import numpy as np
from sim_build import BIT, WIDE, Net

from picojoule.fixed.format import Format
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING
from picojoule.program import Program, Source, Span

PAYLOAD = Format(32)
# register -> (low, high); of raw kinds, and of the others
RAW = {"v_th": (0, 60), "bias": (-9, 20), "sin": (0, 2500), "cos": (0, 3500)}
SHIFTED = {
    "v_th": (0, 300), "bias": (-40, 80), "v_th_high": (0, 300), "v_th_low": (-300, 0),
    "theta_0": (0, 200), "theta_step": (0, 50), "v_low": (-20000, 0), "v_high": (0, 20000),
    "noise_on": (0, 1),
}  # fmt: skip
OPTIONS = {
    "bias_exponent": (0, 7), "refractory": (1, 1), "noise_exponent": (0, 14),
    "noise_offset": (-9, 9), "noise_on_v": (0, 1), "reset_interval": (1, 6), "reset_offset": (0, 9),
    "spike_exponent": (0, 3), "state_exponent": (0, 3), "cumulative": (0, 1), "corrected": (0, 1),
    "decay_bits": (12, 12), "exponent": (0, 6),
}  # fmt: skip


class KindNet(Net):
    """As Net, with populations of any kind and every way to deliver."""

    def population(self, rng, name, kind, n, core=0):
        """n neurons with random registers, some shared, some one a neuron."""
        told = KINDS[kind]
        self.cores[name], self.sizes[name] = core, n
        ranges = RAW if told.raw else SHIFTED
        registers = tuple(
            self._const(f"{name}.{r}", core, WIDE, rng.integers(
                *ranges.get(r, (0, 4095)), int(rng.choice([1, n])), endpoint=True))
            for r in told.registers
        )  # fmt: skip
        sums = ["q"] if told.currents == 1 else ["q0", "q1"]
        words = [
            self._region(f"{name}.{w}", "state", core, WIDE, (n,), role)
            for names, role in ((sums, "buffer"), (told.state, "state"))
            for w in names
        ]
        form = PAYLOAD if told.graded else BIT
        spike = self._region(f"{name}.spike", "state", core, form, (n,), "buffer")
        options = tuple(int(rng.integers(*OPTIONS[o], endpoint=True)) for o in told.options)
        self._emit(kind, core, registers, (*words, spike), options)
        self.source += [Source(f"{name}.{w}", 0, n, name, w) for w in (*told.state, "spike")]

    def synapses(self, rng, before, after, q="q", way="dense", graded=0, exponent=0, delay=None,
                 summed=False):  # fmt: skip
        """Random weights from one population into accumulator q of another."""
        n_in, n, core, k = (self.sizes[before], self.sizes[after], self.cores[after],
                            len(self.instructions))  # fmt: skip
        axon = self._region(f"axon{k}", "axon", core, PAYLOAD, (n_in,), "buffer")
        self.send(before, axon, delay, hops=(1, 2) if self.cores.get(before) != core else (0, 0))
        target = Span(f"{after}.{q}", 0, n)
        if summed:
            target = self._region(f"sum{k}", "state", core, WIDE, (n,), "buffer")
        reads = getattr(self, f"_{way}")(rng, axon, n, core, k)
        args = (0 if summed else exponent, graded) if graded or rng.integers(2) else (
            0 if summed else exponent,)  # fmt: skip
        self._emit(f"deliver_{way}", core, reads, (target,), args)
        if summed:
            self._emit("accumulate", core, (target,), (Span(f"{after}.{q}", 0, n),), (exponent,))

    def _weights(self, rng, shape):
        return 2 * rng.integers(-128, 128, shape)

    def _dense(self, rng, axon, n, core, k):
        return axon, self._const(f"w{k}", core, Format(16), self._weights(rng, (axon.size, n)))

    def _sparse(self, rng, axon, n, core, k):
        lengths = rng.integers(0, n + 1, axon.size)
        target = [rng.permutation(n)[:m] for m in lengths]
        return axon, *self._lists(rng, core, k, lengths, np.concatenate(target))

    def _shared(self, rng, axon, n, core, k):
        """Few rows; each axon moves one of them, also to the left, as far as q allows."""
        rows = int(rng.integers(1, 4))
        spans = [sorted(rng.integers(0, n + 3, 2)) for _ in range(rows)]
        spans = [(low, min(high, low + n - 1)) for low, high in spans]
        lengths = rng.integers(0, 4, rows)
        target = np.concatenate(
            [rng.integers(low, high + 1, m) for (low, high), m in zip(spans, lengths)] + [[0]]
        )[:-1]
        row = rng.integers(0, rows, axon.size)
        base = [int(rng.integers(-spans[r][0], n - spans[r][1])) for r in row]
        return (axon, self._const(f"row{k}", core, Format(32), row),
                self._const(f"base{k}", core, Format(32), base),
                *self._lists(rng, core, k, lengths, target))  # fmt: skip

    def _lists(self, rng, core, k, lengths, target):
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        return (
            self._const(f"indptr{k}", core, Format(32), bounds),
            self._const(f"target{k}", core, Format(32), target),
            self._const(f"w{k}", core, Format(16), self._weights(rng, len(target))),
        )


def random_kinds(seed: int, kinds=None, profile=None, steps: int = 9) -> Program:
    """Populations of random (or the given) kinds in a chain with recurrence, on two cores."""
    rng = np.random.default_rng(seed)
    profile = profile or str(rng.choice(["lava", "loihi2", "nengo_loihi"]))
    net = KindNet(int(rng.integers(1, 6)), profile)
    chosen = kinds or rng.choice(SPIKING[profile].kinds, int(rng.integers(1, 4)))
    names = [f"p{k}" for k in range(len(chosen))]
    for name, kind in zip(names, chosen):
        net.population(rng, name, str(kind), int(rng.integers(1, 7)), int(rng.integers(2)))
    for before, (name, kind) in zip(["in", *names], zip(names, chosen)):
        for q in ["q"] if KINDS[kind].currents == 1 else ["q0", "q1"]:
            _random_synapses(rng, net, before, name, q)
            if rng.integers(2):
                _random_synapses(rng, net, str(rng.choice(names)), name, q)
    return net.program(*names, steps=steps)


def _random_synapses(rng, net, before, after, q):
    p, least = net.profile, 0 if before == "in" else 1
    summed = p.exponent_on == "sum" and bool(rng.integers(2))
    low = -7 if summed or p.exponent_on == "synapse" else 0
    most = least + (3 if p.delay_max else 0)
    net.synapses(
        rng, before, after, q, way=str(rng.choice(["dense", "sparse", "shared"])),
        graded=int(p.payload_bits > 0 and rng.integers(2)), summed=summed,
        exponent=int(rng.integers(low, 3)), delay=int(rng.integers(least, most + 1)),
    )  # fmt: skip


def random_payloads(seed: int, program: Program, samples: int = 3) -> np.ndarray:
    """Int32 (samples, steps, channels); 0 and 1 where spikes are binary."""
    rng = np.random.default_rng(seed + 1)
    shape = samples, program.steps, program.encoder.channels
    on = rng.random(shape) < 0.6
    if not SPIKING[program.profile].payload_bits:
        return on.astype(np.int32)
    return on * rng.integers(-100, 100, shape).astype(np.int32)
