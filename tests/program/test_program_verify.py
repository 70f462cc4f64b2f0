"""The verifier: valid programs pass; each way of breaking one is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.program.programs import spiking, tensor

from picojoule.errors import ProgramError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format, Scale
from picojoule.program import OPCODES, Instruction, Region, Source, Span
from picojoule.program.verify import MOVED, ROLES, SIZES, faults, verify

# instructions of spiking(1): input, deliver, cuba, route, deliver, cuba, output
INPUT, DELIVER, CUBA, ROUTE, OUTPUT = 0, 1, 2, 3, 6
# of tensor(1): load, matmul, requantize, add, matmul, requantize, add, store
LOAD, MATMUL, REQUANTIZE, ADD, STORE = 0, 1, 2, 3, 7


def changed(program, index, **fields):
    """The program with fields of one instruction replaced."""
    instructions = list(program.instructions)
    instructions[index] = replace(instructions[index], **fields)
    return replace(program, instructions=tuple(instructions))


def reading(program, index, place, region=None, start=None, stop=None, side="reads"):
    """The program with one operand of one instruction moved."""
    spans = list(getattr(program.instructions[index], side))
    old = spans[place]
    spans[place] = Span(
        old.region if region is None else region,
        old.start if start is None else start,
        old.stop if stop is None else stop,
    )
    return changed(program, index, **{side: tuple(spans)})


def holding(program, name, array):
    """The program with other constants."""
    return replace(program, arrays={**program.arrays, name: array})


def with_region(program, name, **fields):
    region = replace(program.regions[name], **fields)
    return replace(program, regions={**program.regions, name: region})


def complaints(program, **options) -> str:
    found = faults(program, **options)
    assert all(fault.code == "PJ603" for fault in found)
    return "\n".join(fault.what for fault in found)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([spiking, tensor]))
def test_valid_programs_have_no_faults(seed, make):
    assert complaints(make(seed)) == ""


def test_all_faults_are_reported_at_once():
    program = changed(spiking(1), INPUT, args=(-1,))
    program = replace(changed(program, CUBA, args=(99, 0)), steps=0)
    with pytest.raises(ProgramError) as caught:
        verify(program, where="a.pjp")
    assert len(caught.value.faults) == 6  # steps, latency, readout; delay; two of cuba
    assert {fault.where for fault in caught.value.faults} == {"a.pjp"}


DENSE, SPARSE, TENSOR = spiking(1, sparse=False), spiking(1, sparse=True), tensor(1)
ANOTHER = Span("c0.q", 0, 4)

BROKEN = {
    "unknown opcode": (changed(DENSE, INPUT, op="inptu"), "no such opcode"),
    "other machine": (changed(DENSE, INPUT, op="load"), "for tensor machines"),
    "operand missing": (changed(DENSE, DELIVER, reads=()), "reads 0 spans, needs 2: axon, weight"),
    "operand too many": (changed(DENSE, DELIVER, writes=(ANOTHER, ANOTHER)), "writes 2 spans"),
    "no region": (reading(DENSE, DELIVER, 1, "w9"), "weight: no region 'w9'"),
    "beyond region": (reading(DENSE, DELIVER, 0, stop=6), "c0.axon[0:6] is not inside [5]"),
    "before region": (reading(DENSE, DELIVER, 0, start=-1), "is not inside"),
    "backwards": (reading(DENSE, DELIVER, 0, start=4, stop=2), "is not inside"),
    "role": (reading(DENSE, CUBA, 0, "c0.spike"), "decay_u: 'c0.spike' is 'buffer'"),
    "writes a constant": (
        reading(DENSE, DELIVER, 0, "c0.v_th", side="writes"), "writes the constant 'c0.v_th'"
    ),
    "rows": (reading(DENSE, DELIVER, 1, stop=4), "has 16 elements; axon c0.axon[0:5] has 5"),
    "columns": (reading(DENSE, DELIVER, 0, stop=3, side="writes"), "a column for each"),
    "indptr": (reading(SPARSE, DELIVER, 1, stop=5), "one more"),
    "targets": (reading(SPARSE, DELIVER, 3, stop=1), "they must be equal"),
    "input size": (reading(DENSE, INPUT, 0, stop=3), "axon c0.axon[0:5] of [5] has 5 elements"),
    "route size": (reading(DENSE, ROUTE, 0, stop=3), "spike c0.spike[0:3] has 3"),
    "output size": (reading(DENSE, OUTPUT, 0, stop=2), "label label[0:3]"),
    "state size": (reading(DENSE, CUBA, 1, stop=3, side="writes"), "u c0.u[0:3]"),
    "register size": (reading(DENSE, CUBA, 1, stop=3), "one, or one each"),
    "matmul columns": (reading(TENSOR, MATMUL, 0, stop=5), "a column for each"),
    "matmul bias": (reading(TENSOR, MATMUL, 2, stop=4), "bias b0[0:4]"),
    "requantize size": (reading(TENSOR, REQUANTIZE, 1, stop=4), "multiplier m0[0:4]"),
    "add size": (reading(TENSOR, ADD, 1, stop=4), "b y0[0:4]"),
    "scaling": (reading(TENSOR, ADD, 2, stop=5), "needs 6"),
    "load size": (reading(TENSOR, LOAD, 0, stop=5), "target sram.x[0:6]"),
    "store size": (reading(TENSOR, STORE, 0, stop=2), "target logits[0:3]"),
    "other core": (with_region(DENSE, "c0.q", core=1), "q c0.q[0:4] is on core 1"),
    "arguments": (changed(DENSE, ROUTE, args=(1,)), "has 1 arguments, needs 4: delay, hops_ew"),
    "input delay": (changed(DENSE, INPUT, args=(64,)), "delay must lie in 0..63, got 64"),
    "route delay": (changed(DENSE, ROUTE, args=(0, 0, 0)), "delay must lie in 1..63, got 0"),
    "hops": (changed(DENSE, ROUTE, args=(1, -1, 0)), "hops_ew must lie in 0.."),
    "exponent": (changed(DENSE, DELIVER, args=(8,)), "exponent must lie in -8..7, got 8"),
    "bias exponent": (changed(DENSE, CUBA, args=(8, 1)), "bias_exponent must lie in 0..7"),
    "refractory": (changed(DENSE, CUBA, args=(0, 64)), "refractory must lie in 1..63"),
    "low high": (changed(TENSOR, REQUANTIZE, args=(0, 5, 5, 1)), "low 5 is not below high 5"),
    "left shift": (changed(TENSOR, ADD, args=(0, 0, 63, 0, -8, 7, 1)), "left_shift"),
    "cycles": (changed(TENSOR, MATMUL, args=(0, -1)), "cycles must lie in 0.."),
    "loop": (changed(TENSOR, MATMUL, loops=(("fold_n", -1),)), "loop 'fold_n' of -1"),
    "after itself": (changed(DENSE, CUBA, after=(CUBA,)), "waits for instruction 2"),
    "after later": (changed(DENSE, DELIVER, after=(CUBA,)), "not an earlier one"),
    "after nothing": (changed(DENSE, CUBA, after=(99,)), "waits for instruction 99"),
    "after negative": (changed(DENSE, CUBA, after=(-1,)), "waits for instruction -1"),
    "phase": (changed(TENSOR, MATMUL, phase=2), "phase 2 of 2"),
    "core": (changed(DENSE, CUBA, core=-2), "core must lie in"),
    "positions": (replace(DENSE, positions=((0, 0),)), "1 positions for 2 cores"),
    "updated twice": (
        replace(DENSE, instructions=(*DENSE.instructions, DENSE.instructions[CUBA])),
        "instructions 2 and 7 both update c0.q[0:4]",
    ),
    "read before written": (
        replace(TENSOR, instructions=(replace(TENSOR.instructions[2], after=()),)),
        "reads 'acc0' before anything is written to it",
    ),
    "output not written": (
        replace(DENSE, instructions=DENSE.instructions[:OUTPUT]), "output 'label' is never written"
    ),
    "kind": (replace(DENSE, kind="analog"), "kind is 'analog'"),
    "profile": (replace(DENSE, profile="loihi9"), "no spiking profile 'loihi9'"),
    "profile of another kind": (replace(TENSOR, profile="loihi1"), "no tensor profile"),
    "steps": (replace(DENSE, steps=0), "steps must lie in 1.."),
    "latency": (replace(DENSE, latency=13), "latency must lie in 0..steps = 12"),
    "readout": (replace(DENSE, readout=Readout(start=13)), "starts at step 13 of 12"),
    "encoder kind": (replace(DENSE, encoder=TENSOR.encoder), "encoder of kind 'affine'"),
    "encoder size": (
        replace(DENSE, encoder=Encoder(kind="rate", shape=(4,))),
        "gives 4 channels, the input holds 5",
    ),
    "encoder step": (
        replace(TENSOR, encoder=replace(TENSOR.encoder, step=float("nan"))),
        "step must be positive and finite",
    ),
    "encoder zero": (
        replace(TENSOR, encoder=replace(TENSOR.encoder, zero=128)), "zero 128 does not fit int8"
    ),
    "region shape": (with_region(DENSE, "c0.q", shape=(2**20, 2**20)), "impossible shape"),
    "region role": (with_region(DENSE, "c0.q", role="wild"), "unknown role 'wild'"),
    "region core": (with_region(DENSE, "c0.q", core=-2), "is on core -2"),
    "region name": (
        replace(DENSE, regions={**DENSE.regions, "a\n": Region("m", 0, Format(8), (1,), "state")}),
        "must be printable",
    ),
    "array dtype": (holding(DENSE, "c0.v_th", np.zeros(4, np.int64)), "its region holds uint32[4]"),
    "array shape": (holding(DENSE, "c0.v_th", np.zeros(3, np.uint32)), "its region holds"),
    "array of nothing": (holding(DENSE, "zz", np.zeros(3)), "'zz' belongs to no constant region"),
    "no array": (replace(DENSE, arrays={}), "constant 'c0.w' has no array"),
    "initial of nothing": (DENSE.with_state({"c0.w": np.zeros(20, int)}), "belong to no state"),
    "initial size": (DENSE.with_state({"c0.u": np.zeros(5, int)}), "5 initial values for 'c0.u'"),
    "initial kind": (DENSE.with_state({"c0.u": np.zeros(4)}), "are not integers"),
    "source region": (replace(DENSE, source=(Source("zz", 0, 1, "n", "u"),)), "no region 'zz'"),
    "source span": (replace(DENSE, source=(Source("c0.u", 0, 5, "n", "u"),)), "is not inside"),
    "source scale": (
        replace(DENSE, source=(Source("c0.u", 0, 4, "n", "u", 0, Scale((float("inf"),))),)),
        "needs finite steps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_each_fault_is_named(name):
    program, expected = BROKEN[name]
    assert expected in complaints(program, content=False)


def test_the_table_above_covers_every_opcode():
    unmeasured = {"barrier", "conv", "max_pool", "sum_pool", "place"}  # `image_faults` does it
    assert SIZES.keys() == OPCODES.keys() - unmeasured
    operands = {(o.name, n) for o in OPCODES.values() for n in (*o.reads, *o.writes)}
    assert all(pair in MOVED or pair[1] in ROLES for pair in operands)


def sparse_with(name, values):
    old = SPARSE.arrays[name]
    return holding(SPARSE, name, np.asarray(values, old.dtype).reshape(old.shape))


@pytest.mark.parametrize(
    "place, value",
    [(0, -1), (1, 2**31 - 1), (2, -(2**31)), (5, 2**31 - 1)],
)
def test_sparse_rows_stay_inside(place, value):
    rows = SPARSE.arrays["c0.indptr"].copy()
    rows[place] = value
    program = sparse_with("c0.indptr", rows)
    assert "must rise from 0 to at most" in complaints(program, content=False)


def test_sparse_targets_stay_inside():
    targets = SPARSE.arrays["c0.target"].copy()
    targets[-1] = 4
    assert "not in 0..3" in complaints(sparse_with("c0.target", targets), content=False)


CONTENT = {
    "format": (DENSE, "c0.w", 256, "int16", "int9 holds -256..255"),
    "decay": (DENSE, "c0.decay_u", 4096, "uint16", "uint12 holds 0..4095"),
    "bias": (DENSE, "c0.bias", -4096, "int16", "bias c0.bias[0:1] holds -4096..-4096"),
    "multiplier": (TENSOR, "m0", 2**30 - 1, "int32", "multiplier m0[0:5] holds 1073741823"),
    "exponent": (TENSOR, "e0", 31, "int8", "the register holds -31..30"),
    "scaling": (TENSOR, "s0", 7, "int32", "scaling s0[0:6] holds 7..7"),
    "weight": (TENSOR, "w0", 8, "int8", "int4 holds -8..7"),
}


@pytest.mark.parametrize("name", CONTENT)
def test_contents_are_held_to_formats_and_registers(name):
    program, region, value, dtype, expected = CONTENT[name]
    array = program.arrays[region].copy()
    assert array.dtype == dtype
    array[...] = value
    broken = holding(program, region, array)
    assert expected in complaints(broken)
    assert complaints(broken, content=False) == ""


def test_a_multiplier_of_zero_is_allowed():
    assert complaints(holding(TENSOR, "m0", np.zeros(5, np.int32))) == ""


def test_a_machine_without_bias_allows_none():
    program = spiking(1, profile="brian2loihi", sparse=False)
    assert "bias c0.bias[0:1] holds" in complaints(program)
    for core in (0, 1):
        program = holding(program, f"c{core}.bias", np.zeros(1, np.int16))
    assert complaints(program) == ""


def test_an_empty_sparse_layer_is_valid():
    program = spiking(1, sparse=True)
    for name in ("target", "w"):
        region = f"c0.{name}"
        program = with_region(program, region, shape=(0,))
        program = holding(program, region, program.arrays[region][:0])
    program = holding(program, "c0.indptr", np.zeros(6, np.int32))
    axon, indptr, _, _ = program.instructions[DELIVER].reads
    reads = (axon, indptr, Span("c0.target", 0, 0), Span("c0.w", 0, 0))
    program = changed(replace(program, source=()), DELIVER, reads=reads)
    assert complaints(program) == ""


def test_barriers_need_nothing():
    extra = Instruction(op="barrier", core=-1, after=(OUTPUT,))
    assert complaints(replace(DENSE, instructions=(*DENSE.instructions, extra))) == ""
