"""What is wrong with a network is found all at once, and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.graph.build import BUILDERS, chain, recurrent, residual, spiking

from picojoule.errors import CODES, GraphError
from picojoule.fixed.contract import Readout
from picojoule.fixed.format import Format, Scale
from picojoule.graph import Derivation, Node, Pinned
from picojoule.graph.faults import faults, infer, verify
from picojoule.graph.ops import Add, CubaLif, Delay, Dense, Flatten, Input, IntCuba, Relu


def found(graph) -> list[str]:
    """'code what' of each fault."""
    return [f"{fault.code} {fault.what}" for fault in faults(graph)]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from(BUILDERS))
def test_sound_networks_have_no_faults(seed, build):
    graph = build(seed)
    assert found(graph) == []
    types, wrong = infer(graph)
    assert types == graph.types and not wrong


PLAIN = chain(1, sizes=(4, 5, 3), norm=True, relu=True)
SPIKY = recurrent(1, sizes=(3, 4, 2))


def params(graph, name, values):
    return graph.with_params({name: np.asarray(values, np.float64)})


def dropped(graph, name):
    return replace(graph, params={k: v for k, v in graph.params.items() if k != name})


def poisoned(graph, name, place, value):
    array = graph.params[name].copy()
    array[place] = value
    return graph.with_params({name: array})


WEIGHT = "fc1.weight"
TWICE = Node("fc1", Relu(), ("input",))
BROKEN = {
    "no input": (
        replace(PLAIN, nodes=tuple(n for n in PLAIN.nodes if n.name != "input")),
        ["PJ401 a network has one Input, this one has 0",
         "PJ401 node 'fc1' reads 'input', which does not exist"],
    ),
    "two inputs": (
        PLAIN.add(Node("more", Input(shape=(4,)))),
        ["PJ401 a network has one Input, this one has 2: 'input', 'more'"],
    ),
    "missing input": (
        PLAIN.swap("relu1", Relu(), ("bn9",)), ["PJ401 node 'relu1' reads 'bn9', which does not"]
    ),
    "missing output": (replace(PLAIN, output="fc9"), ["PJ401 the output 'fc9' does not exist"]),
    "too few inputs": (
        PLAIN.swap("relu1", Add(), ("fc1",)), ["PJ401 node 'relu1' has 1 inputs; Add needs 2"]
    ),
    "too many inputs": (
        PLAIN.swap("relu1", Relu(), ("fc1", "bn1")),
        ["PJ401 node 'relu1' has 2 inputs; Relu needs 1"]
    ),
    "shape of inputs": (
        PLAIN.swap("relu1", Add(), ("bn1", "input")),
        ["PJ402 node 'relu1': Add needs inputs of one shape, got [5] and [4]"],
    ),
    "no vector": (
        residual(1).bypass("flat"),
        ["PJ402 node 'stem': Dense needs a vector, got [2, 3]: put a Flatten before it"],
    ),
    "shape of a cycle": (
        SPIKY.swap("rec1", replace(SPIKY["rec1"].op, features=3)),
        ["PJ402 node 'lif1': CubaLif needs inputs of one shape, got [4] and [3] and [4]",
         "PJ402 node 'rec1': weight 'rec1.weight' has shape [4, 4], needs [3, 4]"],
    ),
    "shape of weights": (
        params(PLAIN, WEIGHT, np.zeros((5, 3))),
        ["PJ402 node 'fc1': weight 'fc1.weight' has shape [5, 3], needs [5, 4]"],
    ),
    "weights do not broadcast": (
        params(PLAIN, WEIGHT, np.zeros((1, 4))),
        ["PJ402 node 'fc1': weight 'fc1.weight' has shape [1, 4], needs [5, 4]"],
    ),
    "shape of a register": (
        params(SPIKY, "lif1.v_th", np.zeros(3)),
        ["PJ402 node 'lif1': v_th 'lif1.v_th' has shape [3], does not broadcast to [4]"],
    ),
    "a register of too many": (
        params(SPIKY, "lif1.v_th", np.zeros((2, 4))), ["PJ402 node 'lif1': v_th"]
    ),
    "cycle": (
        PLAIN.swap("relu1", Add(), ("bn1", "relu1")),
        ["PJ403 a cycle through 'fc2', 'relu1' has no Delay"]
    ),
    "missing parameter": (
        dropped(PLAIN, WEIGHT), ["PJ404 node 'fc1': weight is 'fc1.weight', which does not exist"]
    ),
    "NaN": (
        poisoned(PLAIN, WEIGHT, (2, slice(1, 3)), np.nan),
        ["PJ404 fc1.weight[2, 1] is nan, not a finite number (2 such values)"],
    ),
    "infinity": (
        params(SPIKY, "lif1.v_th", -np.inf), ["PJ404 lif1.v_th is -inf, not a finite number"]
    ),
    "strings": (
        PLAIN.with_params({WEIGHT: np.array([["a"]])}),
        ["PJ404 parameter 'fc1.weight' is <U1, not a"]
    ),
    "complaint": (
        SPIKY.swap("back1", Delay(steps=0)), ["PJ405 node 'back1': steps must be at least 1, got 0"]
    ),
    "decay": (
        params(SPIKY, "lif2.decay_v", 1.5),
        ["PJ405 node 'lif2': decay_v 'lif2.decay_v' must lie in 0..1, got 1.5"],
    ),
    "variance": (
        poisoned(PLAIN, "bn1.variance", 3, -1.0),
        ["PJ405 node 'bn1': variance 'bn1.variance' must not be negative, got -1"],
    ),
    "doubled name": (PLAIN.add(TWICE), ["PJ407 2 nodes are called 'fc1'"]),
    "blank in a name": (PLAIN.add(Node("a b", Relu(), ("input",))), ["PJ407 'a b' is not a valid"]),
    "no name": (PLAIN.add(Node("", Relu(), ("input",))), ["PJ407 '' is not a valid name"]),
    "newline": (PLAIN.with_params({"a\nb": np.zeros(1)}), [r"PJ407 'a\nb' is not a valid name"]),
    "long name": (PLAIN.with_params({"x" * 999: np.zeros(1)}), ["PJ407 'xxxx"]),
    "derived and given": (
        PLAIN.with_derived({WEIGHT: Derivation("times", (WEIGHT,), (("factor", 2.0),))}),
        ["PJ407 'fc1.weight' is both a parameter and derived"],
    ),
    "unknown function": (
        PLAIN.with_derived({"w": Derivation("tmies", (WEIGHT,))}),
        ["PJ404 'w' is derived by 'tmies', which does not exist"],
    ),
    "derived from nothing": (
        PLAIN.with_derived({"w": Derivation("product", ("a", "b"))}),
        ["PJ404 'w' is derived from 'a', which", "PJ404 'w' is derived from 'b', which"],
    ),
    "derived from itself": (
        PLAIN.with_derived({
            "a": Derivation("total", ("b", "b")), "b": Derivation("total", ("a", "a"))
        }),
        ["PJ403 'a' is derived from itself"],
    ),
    "derived wrongly": (
        PLAIN.with_derived({"w": Derivation("times", (WEIGHT,), (("fcator", 2.0),))}),
        ["PJ405 'w' = times(...): times() got an unexpected keyword"],
    ),
    "derived from other shapes": (
        PLAIN.with_derived({"w": Derivation("product", (WEIGHT, "fc2.weight"))}),
        ["PJ405 'w' = product(...): operands could not be broadcast"],
    ),
    "derived infinity": (
        PLAIN.with_derived({"w": Derivation("times", (WEIGHT,), (("factor", 1e999),))}),
        ["PJ404 w[0, 0] is "],
    ),
    "pinned outside": (
        replace(PLAIN, pinned={"p": Pinned(np.array([3, 8, -9]), Format(4))}),
        ["PJ405 pinned 'p' holds -9..8, int4 holds -8..7"],
    ),
    "pinned reals": (
        replace(PLAIN, pinned={"p": Pinned(np.array([3.0]), Format(4))}),
        ["PJ404 pinned 'p' is float64, not an integer"],
    ),
    "pinned step": (
        replace(PLAIN, pinned={"p": Pinned(np.array([3]), Format(4), Scale((np.nan,)))}),
        ["PJ404 pinned 'p' has a step that is not finite"],
    ),
    "other input": (
        replace(PLAIN, encoder=replace(PLAIN.encoder, shape=(2, 2))),
        ["PJ402 the encoder gives [2, 2], the Input takes [4]"],
    ),
    "other kind of input": (
        replace(PLAIN, encoder=replace(PLAIN.encoder, kind="rate")),
        ["PJ405 an encoder of kind 'rate' cannot feed an Input of 'real'"],
    ),
    "encoder kind": (
        replace(PLAIN, encoder=replace(PLAIN.encoder, kind="rote")),
        ["PJ405 no encoder of kind 'rote'"]
    ),
    "encoder step": (
        replace(PLAIN, encoder=replace(PLAIN.encoder, step=0.0)),
        ["PJ405 encoder step must be positive"]
    ),
    "readout": (
        replace(PLAIN, readout=Readout(kind="count")),
        ["PJ405 a readout of kind 'count' cannot read real[3]"],
    ),
    "readout kind": (
        replace(PLAIN, readout=Readout(kind="cuont")), ["PJ405 no readout of kind 'cuont'"]
    ),
    "steps": (
        replace(SPIKY, steps=0, latency=-1), ["PJ405 steps must be", "PJ405 latency must be"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_each_fault_is_named_and_alone(name):
    graph, expected = BROKEN[name]
    messages = found(graph)
    assert len(messages) == len(expected), messages
    for message, beginning in zip(messages, expected):
        assert message.startswith(beginning), message


def test_all_faults_come_at_once():
    graph = poisoned(dropped(SPIKY, "fc1.weight"), "fc2.weight", (0, 0), np.nan)
    graph = params(graph, "lif2.decay_u", -1).add(Node("lost", Relu(), ("nowhere",)))
    graph = replace(graph.swap("back2", Delay(steps=0)), output="gone")
    codes = sorted(fault.code for fault in faults(graph))
    assert codes == ["PJ401", "PJ401", "PJ404", "PJ404", "PJ405", "PJ405"]
    assert set(codes) <= CODES.keys()
    with pytest.raises(GraphError) as caught:
        verify(graph)
    assert len(caught.value.faults) == 6
    verify(SPIKY)


def test_a_loop_that_nothing_feeds():
    graph = PLAIN.add(Node("d", Delay(), ("r",)), Node("r", Relu(), ("d",)))
    assert found(graph) == [
        f"PJ402 node {name!r} has no shape: the Input does not reach it" for name in "dr"
    ]


def test_steps_of_integer_ops_are_positive():
    cuba = IntCuba(decay_u="d", decay_v="d", v_th="d", step="s")
    graph = spiking(1, sizes=(3, 2), delays=False).swap("lif1", cuba)
    graph = replace(graph, params={"d": np.array(1), "s": np.array(0.0), **graph.params})
    assert found(graph) == ["PJ405 node 'lif1': step 's' must be positive, got 0"]


def test_spikes_that_are_added_are_no_longer_spikes():
    graph = spiking(1, sizes=(3, 2), delays=False)
    graph = graph.add(Node("sum", Add(), ("input", "input")), Node("f", Flatten(), ("input",)))
    assert graph.types["sum"].kind == "current" and graph.types["f"].kind == "spike"


def test_ops_keep_their_word_about_constants():
    """Each op names its constants among its fields, and gives a shape for each."""
    for op in (Dense(weight="w", features=2), CubaLif(decay_u="a", decay_v="b", v_th="c")):
        assert set(op.CONSTANTS) <= set(op.__dataclass_fields__)
