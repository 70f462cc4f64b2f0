"""The text of a network: what is printed is what is parsed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.graph.build import BUILDERS, chain, recurrent

from picojoule.errors import GraphError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format, Scale
from picojoule.graph import Derivation, Graph, Node, Pinned
from picojoule.graph.ops import Dense, Input, IntAdd, IntCuba, IntDense, IntSynapse
from picojoule.graph.text import parse, text

GOLDEN = """\
graph tiny   format 1
machine loihi1
steps 5   latency 2
in   kind=rate shape=[2] steps=5
out  lif   kind=count start=1

node input = Input  shape=[2]  kind=spike   # spike[2]
node fc = IntSynapse <- input  weight=fc.w  step_w=fc.step_w  exponent=-1  bits=8  dropped=1 \\
        delay=3  features=2  sparse=True  graded=False   # current[2]
node lif = IntCuba <- fc  decay_u=du  decay_v=dv  v_th=th  step=lif.step  bias_exponent=0 \\
        refractory=2  profile=loihi1   # spike[2]

param fc.weight  float32 [2,2]  sha 57abd6e4d910f04c
param lif.step  float64 []  sha ad7db63ed1a19253

pinned du  uint12  int64 []  sha a75842a406082859
pinned dv  uint12  int16 [2]  sha 6ba831c460f8ef1c  zero 1  axis 0  step  0.5  0.25
pinned th  uint17  int64 []  sha 7b9015246985b4f5

derived fc.step_w = times <- lif.step  factor=64.0
derived fc.w = mantissa <- fc.weight fc.step_w  low=-128  high=127  dropped=1
"""


def tiny() -> Graph:
    """A quantized graph with a derivation, pins and every kind of field."""
    synapse = IntSynapse(
        weight="fc.w", step_w="fc.step_w", exponent=-1, delay=3, features=2, sparse=True
    )
    cuba = IntCuba(decay_u="du", decay_v="dv", v_th="th", step="lif.step", refractory=2)
    limits = (("low", -128), ("high", 127), ("dropped", 1))
    bits12, bits17 = Format(12, signed=False), Format(17, signed=False)
    return Graph(
        name="tiny",
        nodes=(
            Node("input", Input(shape=(2,), kind="spike")),
            Node("fc", synapse, ("input",)),
            Node("lif", cuba, ("fc",)),
        ),
        output="lif", encoder=Encoder(kind="rate", shape=(2,), steps=5),
        readout=Readout(kind="count", start=1), steps=5, latency=2, machine="loihi1",
        params={
            "fc.weight": np.array([[0.5, -1], [2, 3]], np.float32), "lif.step": np.array(0.25)
        },
        derived={
            "fc.step_w": Derivation("times", ("lif.step",), (("factor", 64.0),)),
            "fc.w": Derivation("mantissa", ("fc.weight", "fc.step_w"), limits),
        },
        pinned={
            "du": Pinned(np.array(4095), bits12),
            "dv": Pinned(np.array([1, 2], np.int16), bits12, Scale((0.5, 0.25), 1, 0)),
            "th": Pinned(np.array(100), bits17),
        },
    )  # fmt: skip


def test_the_text_of_a_quantized_network():
    graph = tiny()
    assert str(graph) == GOLDEN
    assert parse(GOLDEN, graph.params, graph.pinned) == graph


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.sampled_from(BUILDERS))
def test_what_is_printed_is_parsed(seed, build):
    graph = build(seed)
    again = parse(str(graph), graph.params, graph.pinned)
    assert again == graph
    assert again.nodes == graph.nodes and again.encoder == graph.encoder
    assert again.readout == graph.readout and again.types == graph.types


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=9)
NUMBERS = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=60)
@given(st.lists(NAMES, min_size=6, max_size=6, unique=True), NUMBERS, st.integers(-99, 99))
def test_any_name_and_number_survives(names, number, whole):
    ops = (
        IntDense(weight=names[0], bias=names[1], step_in=names[2], step_w=names[3], zero=whole),
        IntDense(weight="w", bias="b", step_in="i", step_w="s", multiplier=names[4], features=4),
        IntAdd(scaling=names[0], step_a=names[1], step_b=names[2], step_out=names[3], low=whole),
        Dense(weight=names[0], bias=names[1]),
    )
    graph = Graph(
        name=names[5], output=names[4],
        nodes=tuple(Node(n, op, tuple(names[:k])) for k, (n, op) in enumerate(zip(names, ops))),
        encoder=Encoder(kind="affine", shape=(3, 4), step=0.1, zero=whole, format=Format(4)),
        derived={names[0]: Derivation("times", (names[1], names[0]), (("factor", number),))},
    )  # fmt: skip
    again = parse(text(graph), {})
    assert again == graph and again.nodes == graph.nodes and again.derived == graph.derived


def test_numpy_numbers_do_not_change_the_digest():
    graph = tiny()
    options = (("factor", np.float64(64)),)
    odd = replace(
        graph, steps=np.int64(5),
        derived={**graph.derived, "fc.step_w": Derivation("times", ("lif.step",), options)},
    )  # fmt: skip
    assert odd == graph and text(odd) == text(graph)


def test_every_part_decides_the_digest():
    graph = tiny()
    pin = graph.pinned["du"]
    others = [
        replace(graph, name="x"), replace(graph, steps=6), replace(graph, latency=0),
        replace(graph, machine=""), replace(graph, output="fc"), replace(graph, readout=Readout()),
        replace(graph, encoder=replace(graph.encoder, high=2.0)), graph.bypass("fc"),
        graph.with_params({"lif.step": np.array(0.5)}),
        graph.with_params({"lif.step": np.array(0.25, np.float32)}),
        graph.with_derived({"fc.step_w": Derivation("times", ("lif.step",), (("factor", 32.0),))}),
        replace(graph, pinned={**graph.pinned, "du": replace(pin, values=np.array(1))}),
        replace(graph, pinned={**graph.pinned, "du": replace(pin, scale=Scale((1.0,)))}),
        replace(graph, pinned={**graph.pinned, "du": replace(pin, format=Format(16))}),
    ]  # fmt: skip
    digests = {other.digest for other in (graph, *others)}
    assert len(digests) == len(others) + 1
    assert len({text(other) for other in (graph, *others)}) == len(others) + 1


def test_a_malformed_network_still_prints():
    graph = chain(1).swap("fc3", Dense(weight="w", features=3), ("fc1", "fc2", "fc9"))
    assert "node fc3 = Dense <- fc1 fc2 fc9  weight=w  features=3\n" in str(graph)
    assert "# real[8]" in str(replace(graph, output="nothing"))


@pytest.mark.parametrize(
    "old, new, line, what",
    [
        ("graph tiny", "grpah tiny", 1, "unknown keyword 'grpah'"),
        ("format 1", "format 2", 1, "this Picojoule reads format 1"),
        ("steps 5 ", "steps five ", 3, "five is not an integer"),
        ("kind=rate shape", "kind=rate colour=red shape", 4, "Encoder takes no 'colour'"),
        ("kind=rate", "kind=rate kind=rate", 4, "Encoder takes no second 'kind'"),
        ("shape=[2] steps", "steps", 4, "Encoder needs shape"),
        ("= Input", "= Inptu", 7, "no op 'Inptu'"),
        ("node fc =", "node fc", 8, "expected '=', found 'IntSynapse'"),
        ("exponent=-1", "exponent -1", 8, "is not field=value"),
        ("sparse=True", "sparse=maybe", 8, "sparse is True or False"),
        ("refractory=2", "refractory=", 10, " is not an integer"),
        ("float32 [2,2]", "float32 [2,3]", 13, "array 'fc.weight' is float32 [2,2]"),
        ("sha 57ab", "sha 1234", 13, "has digest 57ab"),
        ("step  0.5", "step  nan", 17, "nan is not a finite number"),
        ("param lif.step ", "param lif.stpe ", 14, "no array given for 'lif.stpe'"),
        ("derived fc.step_w =", "derived fc.w =", 21, "a second 'fc.w'"),
        ("factor=64.0", "factor=inf", 20, "inf is not a finite number"),
    ],
)
def test_bad_text_is_named_by_its_line(old, new, line, what):
    graph = tiny()
    assert old in GOLDEN
    with pytest.raises(GraphError) as caught:
        parse(GOLDEN.replace(old, new, 1), graph.params, graph.pinned)
    fault = caught.value.faults[0]
    assert (fault.code, fault.where) == ("PJ408", f"line {line}")
    assert what in fault.what


def test_all_bad_lines_and_missing_ones_are_reported():
    with pytest.raises(GraphError) as caught:
        parse("graph\nsteps x\n", {})
    assert [fault.where for fault in caught.value.faults] == ["line 1", "line 2"]
    with pytest.raises(GraphError) as caught:
        parse("", {})
    assert len(caught.value.faults) == 4


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_text_never_crashes(data):
    graph = recurrent(3, sizes=(2, 2))
    source = text(graph)
    at = data.draw(st.integers(0, len(source) - 1))
    insert = data.draw(st.text(max_size=3) | st.sampled_from(["\\", '"', "-", "=", "9" * 5000]))
    source = source[:at] + insert + source[at + data.draw(st.integers(0, 9)) :]
    try:
        parse(source, graph.params)
    except GraphError as error:
        assert error.faults[0].code == "PJ408"
