"""The instruction set, as a table: what each opcode reads, writes and takes.

A neuron kind is data: an opcode over named state words, made from `fixed.neurons.KINDS`.  The
verifier, the listing and both engines read this table; a new kind adds an entry there, a kernel
and a reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from picojoule.fixed.neurons import KINDS, NeuronKind

Kind = Literal["compute", "move", "sync"]


@dataclass(frozen=True)
class Opcode:
    """reads, writes: names of the operands in order, each a Span of a region.
    args: names of the integer arguments; the last `optional` of them are 0 where left out."""

    name: str
    kind: Kind
    engine: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    machine: Literal["spiking", "tensor", "any"] = "any"
    optional: int = 0

    def given(self, count: int) -> tuple[str, ...] | None:
        """Names of the first `count` arguments; None where an instruction cannot have so many."""
        least = len(self.args) - self.optional
        return self.args[:count] if least <= count <= len(self.args) else None


def _neurons(kind: NeuronKind) -> Opcode:
    """One step of neurons of a kind; register regions have one value, or one a neuron."""
    q = ("q",) if kind.currents == 1 else ("q0", "q1")
    writes = (*q, *kind.state, "spike")
    return Opcode(kind.name, "compute", "send", kind.registers, writes, kind.options, "spiking")


# fmt: off
_TABLE = (
    # -- spiking cores -----------------------------------------------------------------------
    # host events [lo:hi] -> input axons of a core, `delay` steps later
    Opcode("input", "move", "receive", ("events",), ("axon",), ("delay",), "spiking"),
    # spikes of neurons [lo:hi] of a core -> input axons of a core, `delay` steps later,
    # crossing `hops_ew` and `hops_ns` mesh links, `hops_chip` of them from chip to chip
    Opcode("route", "move", "send", ("spike",), ("axon",),
           ("delay", "hops_ew", "hops_ns", "hops_chip"), "spiking", optional=1),
    # every spike on axon i adds effective_weight(weight[i - lo, j]) to q[lo_q + j], times its
    # payload where `graded` is 1; what a neuron kind with `raw` sums takes is not shifted
    # weight region: int (axons, neurons), row-major by axon
    Opcode("deliver_dense", "compute", "receive", ("axon", "weight"), ("q",),
           ("exponent", "graded"), "spiking", optional=1),
    # the same over compressed rows: target[indptr[i] : indptr[i + 1]] are offsets into q span
    Opcode("deliver_sparse", "compute", "receive", ("axon", "indptr", "target", "weight"),
           ("q",), ("exponent", "graded"), "spiking", optional=1),
    # rows that axons share: axon i adds weight[k] to q[base[i] + target[k]], for k in
    # indptr[row[i]] .. indptr[row[i] + 1] - 1
    Opcode("deliver_shared", "compute", "receive",
           ("axon", "row", "base", "indptr", "target", "weight"), ("q",),
           ("exponent", "graded"), "spiking", optional=1),
    # q += shifted(sum, exponent) in units of weights, then sum = 0 (rule N2)
    Opcode("accumulate", "compute", "receive", ("sum",), ("q",), ("exponent",), "spiking"),
    *(_neurons(kind) for kind in KINDS.values()),
    # spikes of neurons [lo:hi] -> output labels [lo:hi]
    Opcode("output", "move", "send", ("spike",), ("label",), (), "spiking"),
    Opcode("barrier", "sync", "chip", (), (), (), "any"),
    # -- tensor machines -----------------------------------------------------------------------
    # dram -> sram, or host -> sram; `bytes` are packed bytes
    Opcode("load", "move", "dma", ("source",), ("target",), ("bytes",), "tensor"),
    # acc[o] = sum_i (x[i] - zero_in) weight[o, i] + bias[o], int32 (rule T1); with `shift`, sums
    # are held whole and rounded by so many bits before the bias (rule T14)
    # loops: fold_n, fold_k (array folds), each of `cycles` cycles
    Opcode("matmul", "compute", "array", ("x", "weight", "bias"), ("acc",),
           ("zero_in", "cycles", "shift"), "tensor", optional=1),
    # y = requantize(acc, multiplier, exponent, zero, low, high), rule T6; with `fraction`,
    # then rounded to so many bits behind the leading one (rule T15)
    Opcode("requantize", "compute", "vector", ("acc", "multiplier", "exponent"), ("y",),
           ("zero", "low", "high", "cycles", "fraction"), "tensor", optional=1),
    # acc[p, q, o] = bias[o] + sum (x[...] - zero_in) weight[o, i, a, b]: rows from `first_row`,
    # `columns` a row, for output channels first .. of `channels` in `groups`; x is an image
    # (height, width, ..), 0 - as zero_in - outside (rule T9); `shift` as of matmul
    # loops: group, fold_n, fold_k
    Opcode("conv", "compute", "array", ("x", "weight", "bias"), ("acc",),
           ("zero_in", "height", "width", "stride_y", "stride_x", "top", "left", "dilation_y",
            "dilation_x", "groups", "channels", "first", "first_row", "columns", "cycles",
            "shift"), "tensor", optional=1),
    # y[p, first + c] = requantize(acc[p, c], multiplier[c], exponent[c], ...), rule T6; y has
    # `channels` a place, acc as many as there are multipliers
    Opcode("requantize_channels", "compute", "vector", ("acc", "multiplier", "exponent"), ("y",),
           ("zero", "low", "high", "channels", "first", "cycles", "fraction"), "tensor",
           optional=1),
    # y = the largest of each window of an image, padding aside (rule T10)
    Opcode("max_pool", "compute", "vector", ("x",), ("y",),
           ("height", "width", "kernel_y", "kernel_x", "stride_y", "stride_x", "top", "left",
            "first_row", "columns", "cycles"), "tensor"),
    # acc = the sum of x - zero_in over each window (rule T11)
    Opcode("sum_pool", "compute", "vector", ("x",), ("acc",),
           ("zero_in", "height", "width", "kernel_y", "kernel_x", "stride_y", "stride_x", "top",
            "left", "first_row", "columns", "cycles"), "tensor"),
    # y = table[x - first] (rule T12)
    Opcode("lookup", "compute", "vector", ("x", "table"), ("y",), ("first", "cycles"), "tensor"),
    # y[p, first + c] = x[p, c]; y has `channels` a place
    Opcode("place", "compute", "vector", ("x",), ("y",), ("channels", "first", "cycles"),
           "tensor"),
    # y = add_rescaled(a - zero_a, b - zero_b, ...), rule T7; scaling int (6,)
    Opcode("add", "compute", "vector", ("a", "b", "scaling"), ("y",),
           ("zero_a", "zero_b", "left_shift", "zero", "low", "high", "cycles"), "tensor"),
    # sram -> host
    Opcode("store", "move", "dma", ("source",), ("target",), ("bytes",), "tensor"),
)
# fmt: on

OPCODES: dict[str, Opcode] = {opcode.name: opcode for opcode in _TABLE}
