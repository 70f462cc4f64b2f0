"""Spiking programs built by hand: layers on cores, connections between them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.fixed.profile import SPIKING
from picojoule.program import Instruction, Program, Region, Source, Span

BIT, WIDE = Format(1, signed=False), Format(64)


class Net:
    """Regions, arrays and instructions, as they grow.  Layers are named; 'in' is the host."""

    def __init__(self, channels: int, profile: str = "loihi1") -> None:
        self.profile = SPIKING[profile]
        self.regions: dict[str, Region] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.instructions: list[Instruction] = []
        self.source: list[Source] = []
        self.cores: dict[str, int] = {}
        self.sizes = {"in": channels}
        self._region("events", "host", -1, BIT, (channels,), "input")

    def _region(self, name, memory, core, form, shape, role):
        self.regions[name] = Region(memory, core, form, shape, role)
        return Span(name, 0, shape[0])

    def _const(self, name, core, form, values):
        array = np.asarray(values, form.dtype)
        self.arrays[name] = array
        return self._region(name, "const", core, form, array.shape, "const")

    def layer(self, name, n, core=0, decay_u=0, decay_v=0, v_th=1, bias=0,
              bias_exponent=0, refractory=1):  # fmt: skip
        """n CUBA neurons; registers are one number, or one a neuron."""
        self.cores[name], self.sizes[name] = core, n
        state = [self._region(f"{name}.{w}", "state", core, WIDE, (n,), "state")
                 for w in ("u", "v", "wait")]  # fmt: skip
        q = self._region(f"{name}.q", "state", core, WIDE, (n,), "buffer")
        spike = self._region(f"{name}.spike", "state", core, BIT, (n,), "buffer")
        registers = tuple(
            self._const(f"{name}.{key}", core, Format(32), np.atleast_1d(value))
            for key, value in (
                ("decay_u", decay_u), ("decay_v", decay_v), ("v_th", v_th), ("bias", bias))
        )  # fmt: skip
        self._emit("cuba", core, registers, (q, *state, spike), (bias_exponent, refractory))
        self.source += [Source(f"{name}.{w}", 0, n, name, w) for w in ("u", "v", "wait", "spike")]
        return self

    def connect(self, before, after, weight, exponent=0, delay=None, sparse=False, hops=(0, 0)):
        """weight: mantissas (out, in); delay: all of it, default the profile's least."""
        weight = np.asarray(weight).T
        core, k = self.cores[after], len(self.instructions)
        axon = self._region(f"axon{k}", "axon", core, BIT, (len(weight),), "buffer")
        self.send(before, axon, delay, hops)
        q = Span(f"{after}.q", 0, self.sizes[after])
        if not sparse:
            w = self._const(f"w{k}", core, Format(16), weight)
            self._emit("deliver_dense", core, (axon, w), (q,), (exponent,))
            return self
        row, target = np.nonzero(weight)
        indptr = np.searchsorted(row, np.arange(len(weight) + 1))
        reads = (
            axon,
            self._const(f"indptr{k}", core, Format(32), indptr),
            self._const(f"target{k}", core, Format(32), target),
            self._const(f"w{k}", core, Format(16), weight[row, target]),
        )
        self._emit("deliver_sparse", core, reads, (q,), (exponent,))
        return self

    def send(self, before, axon, delay=None, hops=(0, 0)):
        """Events or spikes of a whole population onto an axon span."""
        if before == "in":
            delay = self.profile.input_delay if delay is None else delay
            self._emit("input", self.regions[axon.region].core,
                       (Span("events", 0, self.sizes["in"]),), (axon,), (delay,))  # fmt: skip
            return
        delay = self.profile.spike_delay if delay is None else delay
        spike = Span(f"{before}.spike", 0, self.sizes[before])
        self._emit("route", self.cores[before], (spike,), (axon,), (delay, *hops))

    def _emit(self, op, core, reads, writes, args):
        self.instructions.append(
            Instruction(op=op, core=core, reads=reads, writes=writes, args=args)
        )

    def program(self, *outputs, steps=10, encoder="events", high=1.0, readout=None) -> Program:
        """Freeze; `outputs` are the layers whose spikes are labels."""
        regions, instructions = dict(self.regions), list(self.instructions)
        total = sum(self.sizes[name] for name in outputs)
        regions["label"] = Region("host", -1, BIT, (total,), "output")
        first = 0
        for name in outputs:
            n = self.sizes[name]
            reads, writes = Span(f"{name}.spike", 0, n), Span("label", first, first + n)
            instructions.append(
                Instruction(op="output", core=self.cores[name], reads=(reads,), writes=(writes,))
            )
            first += n
        return Program(
            name="net", target="none", machine="00", kind="spiking", profile=self.profile.name,
            regions=regions, arrays=self.arrays, instructions=tuple(instructions),
            encoder=Encoder(kind=encoder, shape=(self.sizes["in"],), steps=steps, high=high),
            readout=readout or Readout(kind="count"), steps=steps, source=tuple(self.source),
        )  # fmt: skip


def random_net(seed: int, profile: str = "loihi1", steps: int = 12) -> Program:
    """Two or three layers on two cores with recurrence, delays, biases, mixed storage."""
    rng = np.random.default_rng(seed)
    net = Net(int(rng.integers(1, 7)), profile)
    names = ["a", "b", "c"][: int(rng.integers(2, 4))]
    for name in names:
        net.layer(name, int(rng.integers(1, 9)), int(rng.integers(2)), **_registers(rng, net))
    _connect(rng, net, "in", names[0])
    for before, after in pairwise(names):
        _connect(rng, net, before, after)
    _connect(rng, net, str(rng.choice(names)), names[0])
    _connect(rng, net, names[0], names[-1])
    return net.program(*names, steps=steps)


def _registers(rng, net) -> dict:
    bias = int(rng.integers(-40, 80)) if net.profile.has_bias else 0
    return {
        "decay_u": int(rng.integers(0, 4096)), "decay_v": int(rng.integers(0, 4096)),
        "v_th": int(rng.integers(0, 300)), "bias": bias, "bias_exponent": int(rng.integers(0, 8)),
        "refractory": int(rng.integers(1, 5)),
    }  # fmt: skip


def _connect(rng, net, before, after) -> None:
    shape = net.sizes[after], net.sizes[before]
    weight = 2 * rng.integers(-128, 128, shape) * (rng.random(shape) < 0.7)
    least = 0 if before == "in" else 1
    net.connect(before, after, weight, exponent=int(rng.integers(-8, 8)),
                delay=least + int(rng.integers(0, 4)), sparse=bool(rng.integers(2)),
                hops=(2, 1) if net.cores.get(before) != net.cores[after] else (0, 0))  # fmt: skip


def random_raster(seed: int, program: Program, samples: int = 3, rate: float = 0.5) -> np.ndarray:
    """Bool (samples, steps, channels)."""
    rng = np.random.default_rng(seed + 1)
    return rng.random((samples, program.steps, program.encoder.channels)) < rate


def same(a, b) -> None:
    """Two runs agree in every integer."""
    assert {*a.outputs} == {*b.outputs} and {*a.state} == {*b.state}
    for part in ("outputs", "state", "probes"):
        mine, other = getattr(a, part), getattr(b, part)
        for name in mine:
            np.testing.assert_array_equal(mine[name], other[name], err_msg=f"{part} {name}")
    np.testing.assert_array_equal(a.activity.counts, b.activity.counts)
    assert a.digests == b.digests
