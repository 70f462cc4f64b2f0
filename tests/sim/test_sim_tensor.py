"""Tensor runs: engines agree, and every count by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_build import same
from sim_tensor import INT8, INT32, Layers, random_tensor

from picojoule.errors import ProgramError
from picojoule.fixed.contract import Encoder
from picojoule.program import Instruction, Span
from picojoule.sim.run import run


def samples(seed, n, program):
    return np.random.default_rng(seed).normal(size=(n, *program.encoder.shape))


@given(seed=st.integers(0, 10**6), n=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_engines_agree(seed, n):
    program = random_tensor(seed, n_in=1 + seed % 7, n=1 + seed % 5)
    x = samples(seed, n, program)
    same(run(program, x), run(program, x, engine="reference"))


def test_output_by_hand():
    """The whole program in plain integers, with rounding to nearest and ties away from zero."""
    program = random_tensor(4)
    x = samples(4, 50, program)
    arrays = {name: array.astype(object) for name, array in program.arrays.items()}
    q = np.clip(np.rint(x / 0.02) - 3, -128, 127).astype(int).astype(object)
    a = _dense(arrays, 0, q, -3)
    total = np.array([[_sum(i, j, arrays["s"]) for i, j in zip(*rows)]
                      for rows in zip(a, _dense(arrays, 1, a, 0))], object)  # fmt: skip
    want = (total + 4) @ arrays["w2"].T + arrays["b2"]
    got = run(program, x)
    np.testing.assert_array_equal(got.outputs["output"], want.astype(np.int32))
    np.testing.assert_array_equal(got.answers(), np.argmax(want, axis=1))
    assert got.outputs["output"].dtype == np.int32 and len(np.unique(want)) > 30


def _scaled(x, multiplier, exponent):
    high = (x * multiplier + 2**30) // 2**31
    sign, size = (-1 if high < 0 else 1), abs(high)
    return sign * ((size + (1 << -exponent >> 1)) >> -exponent)


def _dense(arrays, k, x, zero):
    acc = (x - zero) @ arrays[f"w{k}"].T + arrays[f"b{k}"]
    rows = [[_scaled(v, m, e) for v, m, e in zip(row, arrays[f"m{k}"], arrays[f"e{k}"])]
            for row in acc]  # fmt: skip
    return np.clip(np.array(rows, object), 0, 15)


def _sum(i, j, s):
    wide = _scaled((i - 1) << 20, s[0], s[1]) + _scaled((j - 2) << 20, s[2], s[3])
    return max(-128, min(127, _scaled(wide, s[4], s[5]) - 4))


def test_counts_by_hand():
    activity = run(random_tensor(0), np.zeros((3, 6)), detail="each").activity
    assert activity.counts.shape[:2] == (3, 3) and activity.windows == ("fc0", "fc1", "fc2")
    at = {(w, c, a): int(activity.counts[1, k, i, j])
          for k, w in enumerate(activity.windows) for i, c in enumerate(activity.components)
          for j, a in enumerate(activity.actions) if activity.counts[1, k, i, j]}  # fmt: skip
    half = 15  # bytes of 30 weights of 4 bits
    assert at == {
        ("fc0", "array", "mac"): 30, ("fc0", "array", "cycle"): 11 * 6,
        ("fc0", "vector", "requantize"): 5, ("fc0", "vector", "cycle"): 5,
        ("fc0", "dram", "read"): half,
        ("fc0", "sram", "read"): 6 * 2 + half,      # x twice, weights once
        ("fc0", "sram", "write"): 6 + half + 3,     # loads, 5 results of 4 bits
        ("fc0", "chip", "inference"): 1,
        ("fc1", "array", "mac"): 25, ("fc1", "array", "cycle"): 11,
        ("fc1", "vector", "requantize"): 5, ("fc1", "vector", "add"): 5,
        ("fc1", "vector", "cycle"): 5 + 7,
        ("fc1", "dram", "read"): 13,                # 25 weights of 4 bits
        ("fc1", "sram", "read"): 3 + 13 + 3 + 3,    # x, weights, both addends
        ("fc1", "sram", "write"): 13 + 3 + 5,
        ("fc2", "array", "mac"): 15, ("fc2", "array", "cycle"): 11,
        ("fc2", "dram", "read"): 8,
        ("fc2", "sram", "read"): 5 + 8 + 12,        # x, weights, the store
        ("fc2", "sram", "write"): 8 + 12,
    }  # fmt: skip
    by_detail = {d: run(random_tensor(0), np.zeros((3, 6)), detail=d).activity
                 for d in ("steps", "sum")}  # fmt: skip
    np.testing.assert_array_equal(by_detail["steps"].counts, activity.summed().counts)
    assert by_detail["sum"].total("mac") == 3 * 70


def test_threads_and_split_do_not_matter():
    program = random_tensor(6)
    x = samples(6, 700, program)
    one = run(program, x, threads=1)
    same(one, run(program, x, threads=4))
    parts = [run(program, x[a:b]).outputs["output"] for a, b in ((0, 1), (1, 300), (300, 700))]
    np.testing.assert_array_equal(np.concatenate(parts), one.outputs["output"])


def test_a_circle_of_instructions_is_refused():
    program = random_tensor(0)
    first = program.instructions[0]
    wait = replace(first, after=(len(program.instructions) - 1,))
    with pytest.raises(ProgramError, match="PJ603"):
        run(replace(program, instructions=(wait, *program.instructions[1:])), np.zeros((1, 6)))


def test_a_barrier_costs_nothing_here():
    program = random_tensor(0)
    barrier = Instruction(op="barrier", core=0, after=(len(program.instructions) - 1,))
    more = replace(program, instructions=(*program.instructions, barrier))
    a, b = (run(p, np.ones((2, 6))) for p in (program, more))
    np.testing.assert_array_equal(a.outputs["output"], b.outputs["output"])
    np.testing.assert_array_equal(a.activity.counts, b.activity.counts)


@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_tiles_overwrite_memory_not_its_source(engine):
    """Weights and inputs loaded whole, then in part over it; constants stay as they are."""
    net = Layers(0)
    host = net.region("x", "host", INT8, (2,), "input")
    first = net.const("first", "dram", INT8, [[1, 0], [0, 1]])
    second = net.const("second", "dram", INT8, [[5, 7]])
    bias = net.const("bias", "sram_weight", INT32, [0, 0])
    held = net.region("held", "sram_weight", INT8, (2, 2))
    x = net.region("sram.x", "sram_input", INT8, (2,))
    acc = [net.region(f"acc{k}", "accumulator", INT32, (2,)) for k in range(2)]
    label = net.region("logits", "host", INT32, (4,), "output")
    net.emit("load", (host,), x, (2,))
    net.emit("load", (first,), held, (4,))
    net.emit("matmul", (x, held, bias), acc[0], (0, 1))
    net.emit("load", (second,), Span("held", 1, 2), (2,))
    net.emit("load", (Span("x", 1, 2),), Span("sram.x", 0, 1), (1,))
    net.emit("matmul", (x, held, bias), acc[1], (0, 1))
    kept = net.region("kept", "sram_input", INT8, (2,))
    net.emit("load", (x,), kept, (2,))
    net.emit("load", (host,), x, (2,))
    net.emit("load", (Span("x", 1, 2),), Span("sram.x", 0, 1), (1,))
    net.emit("load", (x,), kept, (2,))
    net.emit("load", (Span("x", 0, 1),), Span("sram.x", 0, 1), (1,))  # kept stays as it was
    net.emit("matmul", (kept, held, bias), acc[1], (0, 1))
    net.emit("store", (acc[0],), Span("logits", 0, 2), (8,))
    net.emit("store", (acc[1],), Span("logits", 2, 4), (8,))
    program = replace(
        random_tensor(0), regions=net.regions, arrays=net.arrays,
        instructions=tuple(net.instructions), encoder=Encoder(kind="affine", shape=(2,)),
    )  # fmt: skip
    for _ in range(2):
        got = run(program, np.array([[2, 3], [-4, 9]]), engine=engine).outputs["output"]
        assert got.tolist() == [[2, 3, 3, 5 * 3 + 7 * 3], [-4, 9, 9, 5 * 9 + 7 * 9]]
    assert program.arrays["first"].tolist() == [[1, 0], [0, 1]] and label.size == 4
