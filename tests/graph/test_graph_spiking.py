"""Ops of spiking cores: shapes, texts that are parsed back, and every fault by name."""

from dataclasses import replace

import numpy as np
import pytest

from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.graph import Graph, Node, Pinned, TensorType
from picojoule.graph.faults import faults
from picojoule.graph.files import load, save
from picojoule.graph.ops import (
    Flatten,
    Input,
    IntConv,
    IntNeuron,
    IntPool,
    IntShared,
    IntSynapse,
)
from picojoule.graph.text import parse, text

RNG = np.random.default_rng(0)
PINS = {
    "conv.w": RNG.integers(-9, 9, (6, 2, 3, 2)), "pool.w": np.array(3),
    "dense.w": RNG.integers(-9, 9, (5, 24)), "dense.d": RNG.integers(0, 9, (5, 24)),
    "row": np.array([0, 1, 1, 0, 2]), "base": np.array([0, 0, 1, 3, 9]),
    "indptr": np.array([0, 2, 3, 3]), "target": np.array([0, 2, 4]), "list.w": np.array([1, 2, 3]),
    "du": np.array(4095), "dv": np.array(100), "th": RNG.integers(1, 9, (4, 3, 6)),
    "th1": np.array(5), "n": np.array(1),
}  # fmt: skip
CUBA = (("decay_u", "du"), ("decay_v", "dv"), ("v_th", "th1"))
CONV = IntConv(
    weight="conv.w", in_shape=(6, 5, 4), channels=6, kernel=(3, 2), stride=(2, 2), padding=(2, 1),
    dilation=(1, 2), groups=2, flipped=True, exponent=-2, graded=True,
)  # fmt: skip
POOL = IntPool(weight="pool.w", in_shape=(4, 3, 6), kernel=(2, 2), stride=(2, 3), padding=(0, 1))
SHARED = IntShared(
    row="row", base="base", indptr="indptr", target="target", weight="list.w", features=6
)
DENSE = IntSynapse(weight="dense.w", step_w="one", delays="dense.d", features=5, graded=True)
LISTED = Node("listed", SHARED, ("n3",))


def neurons(**fields):
    given = {"kind": "cuba", "registers": CUBA, "options": (("refractory", 2),)}
    return IntNeuron(**(given | fields))


def net(**ops):
    """conv, pool, dense and shared lists in a row; ops: other ones, by name."""
    nodes = {
        "input": (Input(shape=(6, 5, 4), kind="spike"),), "conv": (CONV, "input"),
        "n1": (neurons(registers=(*CUBA[:2], ("v_th", "th"))), "conv"), "pool": (POOL, "n1"),
        "n2": (neurons(kind="ternary", options=(), registers=(
            *CUBA[:2], ("v_th_high", "th1"), ("v_th_low", "n"))), "pool"),
        "flat": (Flatten(), "n2"), "dense": (DENSE, "flat"), "n3": (neurons(), "dense"),
        "listed": (SHARED, "n3"),
        "n4": (neurons(kind="graded", options=(), registers=(("v_th", "th1"),)), "listed"),
    }  # fmt: skip
    nodes = {name: (ops.get(name, op), *inputs) for name, (op, *inputs) in nodes.items()}
    return Graph(
        "net", tuple(Node(name, op, tuple(inputs)) for name, (op, *inputs) in nodes.items()),
        "n4", Encoder(kind="events", shape=(6, 5, 4)), Readout(kind="none"),
        params={"one": np.array(1.0)}, pinned={k: Pinned(v, Format(32)) for k, v in PINS.items()},
    )  # fmt: skip


def test_shapes_and_kinds():
    graph = net()
    assert faults(graph) == []
    # (6 + 4 - 2 - 1) // 2 + 1 = 4 rows; a dilated kernel of width 3: (5 + 2 - 2 - 1) // 2 + 1 = 3
    assert graph.types["conv"] == TensorType((4, 3, 6), "current")
    assert graph.types["pool"] == TensorType((2, 2, 6), "current")
    assert graph.types["n1"] == TensorType((4, 3, 6), "spike")
    assert graph.types["listed"] == TensorType((6,), "current")
    assert graph.constants(graph["n1"]) == {"decay_u": "du", "decay_v": "dv", "v_th": "th"}


def test_texts_and_files_are_read_back(tmp_path):
    graph = net()
    listing = text(graph)
    assert "registers.v_th=th  options.refractory=2" in listing.replace(" \\\n      ", "")
    assert parse(listing, graph.params, graph.pinned) == graph
    save(graph, tmp_path / "net.pjg")
    again = load(tmp_path / "net.pjg")
    assert again == graph and again["conv"].op == CONV and again["n2"] == graph["n2"]


def test_the_digest_knows_registers_and_options():
    graph = net()
    for op in (neurons(registers=(*CUBA[:2], ("v_th", "n"))), neurons(options=())):
        assert graph.swap("n3", op).digest != graph.digest


@pytest.mark.parametrize(
    ("name", "op", "code", "part"),
    [
        ("conv", replace(CONV, in_shape=(6, 5, 3), groups=1), "PJ402", "takes [6, 5, 3]"),
        ("conv", replace(CONV, kernel=(9, 9), dilation=(2, 2)), "PJ405", "does not fit into"),
        ("conv", replace(CONV, stride=(0, 1)), "PJ405", "stride needs 2 numbers of at least 1"),
        ("conv", replace(CONV, kernel=(3,)), "PJ405", "kernel needs 2 numbers"),
        ("conv", replace(CONV, groups=4), "PJ405", "4 groups do not divide 4 channels into 6"),
        ("conv", replace(CONV, groups=0), "PJ405", "must be positive"),
        ("conv", replace(CONV, groups=1), "PJ402", "has shape [6, 2, 3, 2], needs [6, 4, 3, 2]"),
        ("pool", replace(POOL, weight="row"), "PJ402", "has shape [5], needs []"),
        ("pool", replace(POOL, delay=-1), "PJ405", "delay must not be negative"),
        ("dense", replace(DENSE, delays="row"), "PJ402", "needs [5, 24]"),
        ("dense", replace(DENSE, delays="nothing"), "PJ404", "'nothing', which does not exist"),
        ("listed", replace(SHARED, row="n"), "PJ402", "has shape []"),
        ("listed", replace(SHARED, features=5), "PJ405", "input 2 reaches neurons 5..5 of 0..4"),
        ("listed", replace(SHARED, indptr="target"), "PJ405", "indptr ends at 4"),
        ("listed", replace(SHARED, indptr="row"), "PJ405", "indptr must rise from 0"),
        ("listed", replace(SHARED, weight="row"), "PJ405", "target has 3 entries, weight [5]"),
        ("listed", replace(SHARED, row="base"), "PJ405", "row holds 0..9, there are 3 lists"),
        ("listed", replace(SHARED, features=0), "PJ405", "features must be positive"),
        ("n3", neurons(kind="lif"), "PJ405", "no such kind of neuron: 'lif'; known: cuba"),
        ("n3", neurons(profile="loihi9"), "PJ405", "no such spiking profile"),
        ("n3", neurons(profile="loihi1", kind="delta", registers=CUBA[2:], options=()),
         "PJ405", "profile 'loihi1' has no neurons of kind 'delta'"),
        ("n3", neurons(registers=CUBA[:2]), "PJ405", "registers v_th are missing"),
        ("n3", neurons(registers=(*CUBA, CUBA[0])), "PJ405", "each once"),
        ("n3", neurons(options=(("reset_interval", 3),)), "PJ405", "options of kind 'cuba' are"),
        ("n3", neurons(second=1), "PJ405", "second is 1; kind 'cuba' needs 0"),
        ("n3", neurons(kind="product", registers=CUBA[2:], options=(), second=1), "PJ401",
         "no input feeds its second current"),
        ("n3", neurons(registers=(*CUBA[:2], ("v_th", "th"))), "PJ402", "does not broadcast"),
        ("n3", neurons(registers=(*CUBA[:2], ("v_th", "lost"))), "PJ404", "v_th is 'lost'"),
    ],
)  # fmt: skip
def test_faults(name, op, code, part):
    found = faults(net(**{name: op}))
    assert any(fault.code == code and part in fault.what for fault in found), "\n".join(
        map(str, found)
    )


def test_delays_have_six_bits():
    graph = net()
    late = replace(graph.pinned["dense.d"], values=PINS["dense.d"] + 60)
    (fault,) = faults(replace(graph, pinned={**graph.pinned, "dense.d": late}))
    assert fault.code == "PJ405" and "delays 'dense.d' must lie in 0..63" in fault.what


def test_damaged_texts_are_named():
    graph = net()
    for old, new in (
        ("options.refractory=2", "options.refractory=two"),
        ("registers.decay_u=du", "registerz.decay_u=du"),
    ):
        with pytest.raises(Exception, match="PJ408"):
            parse(text(graph).replace(old, new), graph.params, graph.pinned)
