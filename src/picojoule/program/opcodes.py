"""The instruction set, as a table: what each opcode reads, writes and takes.

A neuron kind is data: an opcode over named state words.  The verifier, the listing and both
engines read this table; a new kind adds a row here, a kernel and a reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["compute", "move", "sync"]


@dataclass(frozen=True)
class Opcode:
    """reads, writes: names of the operands in order, each a Span of a region.
    args: names of the integer arguments."""

    name: str
    kind: Kind
    engine: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    machine: Literal["spiking", "tensor", "any"] = "any"


# fmt: off
_TABLE = (
    # -- spiking cores -----------------------------------------------------------------------
    # host events [lo:hi] -> input axons of a core, `delay` steps later
    Opcode("input", "move", "receive", ("events",), ("axon",), ("delay",), "spiking"),
    # spikes of neurons [lo:hi] of a core -> input axons of a core, `delay` steps later,
    # crossing `hops_ew` and `hops_ns` mesh links
    Opcode("route", "move", "send", ("spike",), ("axon",),
           ("delay", "hops_ew", "hops_ns"), "spiking"),
    # every spike on axon i adds effective_weight(weight[i - lo, j]) to q[lo_q + j]
    # weight region: int (axons, neurons), row-major by axon
    Opcode("deliver_dense", "compute", "receive", ("axon", "weight"), ("q",),
           ("exponent",), "spiking"),
    # the same over compressed rows: target[indptr[i] : indptr[i + 1]] are offsets into q span
    Opcode("deliver_sparse", "compute", "receive", ("axon", "indptr", "target", "weight"),
           ("q",), ("exponent",), "spiking"),
    # one step of CUBA-LIF neurons; register regions have one value, or one a neuron
    Opcode("cuba", "compute", "send", ("decay_u", "decay_v", "v_th", "bias"),
           ("q", "u", "v", "wait", "spike"), ("bias_exponent", "refractory"), "spiking"),
    # spikes of neurons [lo:hi] -> output labels [lo:hi]
    Opcode("output", "move", "send", ("spike",), ("label",), (), "spiking"),
    Opcode("barrier", "sync", "chip", (), (), (), "any"),
    # -- tensor machines -----------------------------------------------------------------------
    # dram -> sram, or host -> sram; `bytes` are packed bytes
    Opcode("load", "move", "dma", ("source",), ("target",), ("bytes",), "tensor"),
    # acc[o] = sum_i (x[i] - zero_in) weight[o, i] + bias[o], int32
    # loops: fold_n, fold_k (array folds), each of `cycles` cycles
    Opcode("matmul", "compute", "array", ("x", "weight", "bias"), ("acc",),
           ("zero_in", "cycles"), "tensor"),
    # y = requantize(acc, multiplier, exponent, zero, low, high), rule T6
    Opcode("requantize", "compute", "vector", ("acc", "multiplier", "exponent"), ("y",),
           ("zero", "low", "high", "cycles"), "tensor"),
    # y = add_rescaled(a - zero_a, b - zero_b, ...), rule T7; scaling int (6,)
    Opcode("add", "compute", "vector", ("a", "b", "scaling"), ("y",),
           ("zero_a", "zero_b", "left_shift", "zero", "low", "high", "cycles"), "tensor"),
    # sram -> host
    Opcode("store", "move", "dma", ("source",), ("target",), ("bytes",), "tensor"),
)
# fmt: on

OPCODES: dict[str, Opcode] = {opcode.name: opcode for opcode in _TABLE}
