"""Random valid programs, by seed."""

from __future__ import annotations

import itertools

import numpy as np

from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format, Scale
from picojoule.program import Instruction, Program, Region, Source, Span

INT8, INT24, BIT = Format(8), Format(24), Format(1, signed=False)
MACHINE = "5f" * 32


class Draft:
    """Regions, arrays and instructions, as they grow."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.regions: dict[str, Region] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.instructions: list[Instruction] = []
        self.sources: list[Source] = []

    def region(self, name, memory, core, form, shape, role) -> Span:
        self.regions[name] = Region(memory, core, form, shape, role)
        return Span(name, 0, shape[0])

    def const(self, name, memory, core, form, array) -> Span:
        array = np.asarray(array, form.dtype)
        array.flags.writeable = False
        self.arrays[name] = array
        return self.region(name, memory, core, form, array.shape, "const")

    def ints(self, low, high, shape):
        return self.rng.integers(low, high, shape, endpoint=True)

    def emit(self, op, core, reads=(), writes=(), args=(), **more) -> int:
        self.instructions.append(
            Instruction(op=op, core=core, reads=reads, writes=writes, args=args, **more)
        )
        return len(self.instructions) - 1


def spiking(seed: int, sizes=(5, 4, 3), profile="loihi1", sparse=None) -> Program:
    """A chain of cores, one layer each."""
    rng = np.random.default_rng(seed)
    draft = Draft(rng)
    before = draft.region("events", "host", -1, BIT, (sizes[0],), "input")
    for core, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        axon = draft.region(f"c{core}.axon", "axon", core, BIT, (n_in,), "buffer")
        if core == 0:
            draft.emit("input", 0, (before,), (axon,), (int(rng.integers(0, 3)),))
        else:
            draft.emit("route", core - 1, (before,), (axon,), (1, 1, 0))
        use_sparse = bool(rng.integers(2)) if sparse is None else sparse
        before = spiking_core(draft, core, axon, n_out, use_sparse)
    label = draft.region("label", "host", -1, BIT, (sizes[-1],), "output")
    draft.emit("output", len(sizes) - 2, (before,), (label,), after=(2,))
    return Program(
        name="chain", target="loihi1", machine=MACHINE, kind="spiking", profile=profile,
        regions=draft.regions, arrays=draft.arrays, instructions=tuple(draft.instructions),
        encoder=Encoder(kind="rate", shape=(sizes[0],), steps=9, high=16.0),
        readout=Readout(kind="count", start=1), steps=12, latency=3,
        positions=tuple((k % 2, k // 2) for k in range(len(sizes) - 1)),
        source=tuple(draft.sources),
    )  # fmt: skip


def spiking_core(draft: Draft, core: int, axon: Span, n: int, sparse: bool) -> Span:
    q, u, v, wait = (
        draft.region(f"c{core}.{name}", "state", core, INT24, (n,), "state")
        for name in ("q", "u", "v", "wait")
    )
    spike = draft.region(f"c{core}.spike", "state", core, BIT, (n,), "buffer")
    rows = axon.size
    exponent = int(draft.rng.integers(-8, 8))
    if sparse:
        counts = draft.ints(0, n, rows)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        target = np.concatenate([draft.rng.permutation(n)[:c] for c in counts])
        reads = (
            axon,
            draft.const(f"c{core}.indptr", "synapse", core, Format(32), indptr),
            draft.const(f"c{core}.target", "synapse", core, Format(16, signed=False), target),
            draft.const(f"c{core}.w", "synapse", core, INT8, draft.ints(-128, 127, (len(target),))),
        )
        deliver = draft.emit("deliver_sparse", core, reads, (q,), (exponent,))
    else:
        w = draft.const(
            f"c{core}.w", "synapse", core, Format(9), 2 * draft.ints(-128, 127, (rows, n))
        )
        deliver = draft.emit("deliver_dense", core, (axon, w), (q,), (exponent,))
    scale = Scale(tuple(float(x) for x in draft.rng.random(3 * n)), axis=0)
    size = draft.regions[f"c{core}.w"].size
    draft.sources.append(Source(f"c{core}.w", 0, size, f"fc {core}", "weight", 0, scale))
    registers = tuple(
        draft.const(f"c{core}.{name}", "register", core, form, draft.ints(low, high, size))
        for name, form, low, high, size in (
            ("decay_u", Format(12, signed=False), 0, 4095, 1),
            ("decay_v", Format(12, signed=False), 0, 4095, n),
            ("v_th", Format(17, signed=False), 0, 131071, n),
            ("bias", Format(13), -4095, 4095, 1),
        )
    )
    draft.emit("cuba", core, registers, (q, u, v, wait, spike), (3, 2), after=(deliver,))
    draft.sources += [
        Source(f"c{core}.{what}", 0, n, f"lif{core}", what, 7, Scale((2.0**-core / 3,), 1))
        for what in ("u", "v", "spike")
    ]
    return spike


def tensor(seed: int, sizes=(6, 5, 3)) -> Program:
    """Dense layers with a residual sum of the first with itself."""
    draft = Draft(np.random.default_rng(seed))
    host = draft.region("x", "host", -1, INT8, (sizes[0],), "input")
    x = draft.region("sram.x", "sram_input", -1, INT8, (sizes[0],), "buffer")
    last = draft.emit("load", 0, (host,), (x,), (sizes[0],))
    for layer, n in enumerate(sizes[1:]):
        x, last = dense(draft, layer, x, n, last)
    out = draft.region("logits", "host", -1, INT8, (sizes[-1],), "output")
    draft.emit("store", 0, (x,), (out,), (sizes[-1],), after=(last,), phase=len(sizes) - 2)
    return Program(
        name="mlp", target="edge 8 # \"x\"", machine=MACHINE, kind="tensor",
        profile="double_round", regions=draft.regions, arrays=draft.arrays,
        instructions=tuple(draft.instructions),
        encoder=Encoder(kind="affine", shape=(2, sizes[0] // 2), step=1 / 3, zero=-128),
        readout=Readout(), phases=tuple(f"fc{k}" for k in range(len(sizes) - 1)),
        source=tuple(draft.sources),
    )  # fmt: skip


def dense(draft: Draft, k: int, x: Span, n: int, last: int) -> tuple[Span, int]:
    weight = draft.const(f"w{k}", "sram_weight", 0, Format(4), draft.ints(-7, 7, (n, x.size)))
    bias = draft.const(f"b{k}", "sram_weight", 0, Format(32), draft.ints(-9999, 9999, n))
    acc = draft.region(f"acc{k}", "accumulator", 0, Format(32), (n,), "buffer")
    y = draft.region(f"y{k}", "sram_output", 0, INT8, (n,), "buffer")
    total = draft.region(f"z{k}", "sram_output", 0, INT8, (n,), "buffer")
    mult = draft.const(f"m{k}", "sram_weight", 0, Format(32), draft.ints(2**30, 2**31 - 1, n))
    exp = draft.const(f"e{k}", "sram_weight", 0, INT8, draft.ints(-31, 0, n))
    scaling = draft.const(
        f"s{k}", "sram_weight", 0, Format(32), [2**30, 0, 2**31 - 1, -1, 2**30, -20]
    )
    first = draft.emit(
        "matmul", 0, (x, weight, bias), (acc,), (-128, 40), after=(last,), phase=k,
        loops=(("fold_n", 1), ("fold_k", 2)),
    )  # fmt: skip
    args = (0, -128, 127, 3)
    second = draft.emit("requantize", 0, (acc, mult, exp), (y,), args, after=(first,), phase=k)
    third = draft.emit(
        "add", 0, (y, y, scaling), (total,), (0, 0, 20, -3, -128, 127, 5), after=(second,), phase=k
    )
    draft.sources.append(Source(f"w{k}", 0, n, f"fc{k}", "weight"))
    return total, third
