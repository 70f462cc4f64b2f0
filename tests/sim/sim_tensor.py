"""Tensor programs built by hand."""

from __future__ import annotations

import numpy as np

from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.program import Instruction, Program, Region, Span

INT8, INT32 = Format(8), Format(32)


class Layers:
    """A chain of dense layers with a residual addition, as regions and instructions."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.regions: dict[str, Region] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.instructions: list[Instruction] = []

    def region(self, name, memory, form, shape, role="buffer"):
        self.regions[name] = Region(memory, 0, form, shape, role)
        return Span(name, 0, shape[0])

    def const(self, name, memory, form, values):
        self.arrays[name] = np.asarray(values, form.dtype)
        return self.region(name, memory, form, self.arrays[name].shape, "const")

    def ints(self, low, high, *shape):
        return self.rng.integers(low, high, shape, endpoint=True)

    def emit(self, op, reads, writes, args, phase=0, **loops):
        last = len(self.instructions) - 1
        self.instructions.append(
            Instruction(op=op, core=0, reads=reads, writes=(writes,), args=args, phase=phase,
                        loops=tuple(loops.items()), after=(last,) if last >= 0 else ())
        )  # fmt: skip
        return writes

    def dense(self, k, x, n, zero_in, form, folds=(1, 1), last=False):
        weight = self.ints(-7, 7, n, x.size)
        w = self.const(f"w{k}", "dram", Format(4), weight)
        held = self.region(f"held{k}", "sram_weight", Format(4), weight.shape)
        self.emit("load", (w,), held, (self.regions[f"w{k}"].packed_bytes,), k)
        b = self.const(f"b{k}", "sram_weight", INT32, self.ints(-500, 500, n))
        memory = "sram_output" if last else "accumulator"
        acc = self.region(f"acc{k}", memory, INT32, (n,))
        self.emit("matmul", (x, held, b), acc, (zero_in, 11), k, fold_n=folds[0], fold_k=folds[1])
        if last:
            return acc
        m = self.const(f"m{k}", "sram_weight", INT32, self.ints(2**30, 2**31 - 1, n))
        e = self.const(f"e{k}", "sram_weight", INT8, self.ints(-9, -4, n))
        y = self.region(f"y{k}", "sram_output", form, (n,))
        return self.emit("requantize", (acc, m, e), y, (0, form.low, form.high, 5), k)


def random_tensor(seed: int, n_in: int = 6, n: int = 5, n_out: int = 3) -> Program:
    """Two dense layers, their sum, and a last layer whose accumulators are the output."""
    net = Layers(seed)
    form = Format(4, signed=False)
    host = net.region("x", "host", INT8, (n_in,), "input")
    x = net.region("sram.x", "sram_input", INT8, (n_in,))
    net.emit("load", (host,), x, (n_in,))
    a = net.dense(0, x, n, zero_in=-3, form=form, folds=(2, 3))
    b = net.dense(1, a, n, zero_in=0, form=form)
    scaling = [3 * 2**29, -1, 2**30, 0, 5 * 2**28, -18]
    s = net.const("s", "sram_weight", INT32, scaling)
    total = net.region("sum", "sram_output", INT8, (n,))
    net.emit("add", (a, b, s), total, (1, 2, 20, -4, -128, 127, 7), 1)
    out = net.dense(2, total, n_out, zero_in=-4, form=form, last=True)
    label = net.region("logits", "host", INT32, (n_out,), "output")
    net.emit("store", (out,), label, (4 * n_out,), 2)
    return Program(
        name="mlp", target="none", machine="00", kind="tensor", profile="double_round",
        regions=net.regions, arrays=net.arrays, instructions=tuple(net.instructions),
        encoder=Encoder(kind="affine", shape=(n_in,), step=0.02, zero=-3),
        readout=Readout(), phases=("fc0", "fc1", "fc2"),
    )  # fmt: skip
