"""Weights that are read in pieces: the same matrix however it is cut, and every bad piece told."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from picojoule.errors import GraphError, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.graph import Graph, Node, Pinned, Sparse, files
from picojoule.graph.faults import verify
from picojoule.graph.ops import Input, IntCuba, IntSynapse
from picojoule.graph.sparse import from_arrays
from picojoule.graph.text import parse, text


def matrix(neurons=37, sources=50, seed=0, share=0.2):
    rng = np.random.default_rng(seed)
    return 2 * rng.integers(-60, 60, (neurons, sources)) * (rng.random((neurons, sources)) < share)


def rows_of(dense):
    """A source of rows, in which some weights are 0 and sources come in no order."""

    def rows(start, stop):
        part = dense[start:stop]
        listed = part != 0
        listed[:, ::7] = True
        row, source = np.nonzero(listed)
        order = np.lexsort((-source, row))
        bounds = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
        return bounds, source[order], part[row, source][order]

    return rows


def sparse(dense, chunk=10):
    return Sparse(dense.shape, rows_of(dense), chunk)


def graph_of(weights, neurons=37, sources=50):
    pins = {"decay": 0, "v_th": 100}
    return Graph(
        name="sparse", output="n", encoder=Encoder(kind="events", shape=(sources,)),
        readout=Readout(kind="none"), params={"one": np.array(1.0)}, steps=5,
        nodes=(
            Node("input", Input(shape=(sources,), kind="spike")),
            Node("s", IntSynapse(weight="w", step_w="one", features=neurons), ("input",)),
            Node("n", IntCuba(decay_u="decay", decay_v="decay", v_th="v_th", step="one"), ("s",)),
        ),
        pinned={name: Pinned(np.array(value), Format(17)) for name, value in pins.items()},
        sparse={"w": weights},
    )  # fmt: skip


@pytest.mark.parametrize("chunk", [1, 10, 37, 100])
def test_pieces_make_the_matrix(chunk):
    dense = matrix()
    weights = sparse(dense, chunk)
    assert np.array_equal(weights.dense(), dense)
    assert weights.seen.synapses == np.count_nonzero(dense)
    assert (weights.seen.low, weights.seen.high) == (dense.min(), dense.max())
    for start, stop in ((0, 37), (3, 4), (8, 31)):
        found = weights.between(start, stop)
        row = np.repeat(np.arange(stop - start), np.diff(found.indptr))
        out = np.zeros((stop - start, 50), int)
        out[row, found.source] = found.weight
        assert np.array_equal(out, dense[start:stop])


def test_the_digest_depends_on_weights_and_not_on_pieces():
    dense, other = matrix(), matrix()
    other[3, 4] += 2
    assert sparse(dense, 5).seen.digest == sparse(dense, 36).seen.digest
    assert sparse(dense).seen.digest != sparse(other).seen.digest
    assert graph_of(sparse(dense, 5)) == graph_of(sparse(dense, 9))
    assert graph_of(sparse(dense)) != graph_of(sparse(other))


@pytest.mark.parametrize("spread", [1, 1000])
def test_reach_holds_every_source_in_runs_without_wide_gaps(spread):
    source = np.array([3, 4, 20, 21, 3, 60, 90, 61]) * spread
    weights = from_arrays((1, 100_000), np.array([0, 8]), source, np.full(8, 2))
    reach = weights.reach(0, 1)
    runs = list(zip(reach.low.tolist(), reach.high.tolist()))
    near = [(3, 22), (60, 62), (90, 91)]
    assert runs == (near if spread == 1 else [(s, s + 1) for s in np.unique(source).tolist()])
    assert reach.axons == sum(high - low for low, high in runs)
    assert dict(zip(reach.length, reach.many)) == {1: 6, 2: 1}
    assert weights.reach(0, 1) is reach


def test_no_synapses_reach_nothing():
    weights = from_arrays((2, 5), np.zeros(3, int), np.zeros(0, int), np.zeros(0, int))
    assert weights.reach(0, 2).axons == 0 and weights.seen.synapses == 0


BAD = {
    "bounds": (([0, 2], [1, 2], [2, 2]), "indptr has 2 bounds, needs 11"),
    "uneven": ((list(range(11)), range(10), [2] * 9), "10 sources, but 9 weights"),
    "rise": (([0, 4, 2, *[10] * 8], range(10), [2] * 10), "indptr must rise from 0 to 10"),
    "outside": ((list(range(11)), [50] * 10, [2] * 10), "source[0] is 50, there are 0..49"),
    "real": ((list(range(11)), range(10), [0.5] * 10), "weight needs integers in one axis, got"),
    "count": (([0], [1]), "no three arrays (indptr, source, weight)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_pieces_are_named_all_at_once(name):
    arrays, what = BAD[name]
    good = sparse(matrix())

    def rows(start, stop):
        return arrays if start in (10, 20) else good.rows(start, stop)

    with pytest.raises(GraphError) as caught:
        verify(graph_of(Sparse((37, 50), rows, 10)))
    assert [f.code for f in caught.value.faults] == ["PJ405", "PJ405"]
    for fault, place in zip(caught.value.faults, ("10..20", "20..30")):
        assert f"sparse 'w', neurons {place}: {what}" in fault.what


def test_pieces_that_change_are_refused():
    rng = np.random.default_rng(0)
    steady = sparse(matrix())

    def rows(start, stop):
        indptr, source, weight = steady.rows(start, stop)
        return indptr, rng.integers(0, 50, source.size), weight

    drifting = Sparse((37, 50), rows, 10)
    assert drifting.seen.faults == ()
    with pytest.raises(GraphError, match=r"PJ405 .*neurons 10\.\.20: other synapses than before"):
        drifting.between(12, 15)


def test_threads_may_read_pieces_together():
    weights, slow = sparse(matrix(neurons=300), chunk=1), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda k: weights.between(k % 290, k % 290 + 9), range(2000)))
    finally:
        sys.setswitchinterval(slow)
    assert all(len(part.indptr) == 10 for part in found)


def test_shape_and_use_are_checked():
    with pytest.raises(GraphError, match=r"PJ402 .*has shape \[37, 49\], needs \[37, 50\]"):
        verify(graph_of(sparse(matrix(sources=49))))
    with pytest.raises(GraphError, match=r"PJ402 .*pieces of 0 neurons"):
        verify(graph_of(Sparse((37, 50), rows_of(matrix()), 0)))
    for wrong in (Sparse((37.0, 50), rows_of(matrix())), Sparse((37, 50), rows_of(matrix()), 2.5)):
        with pytest.raises(GraphError, match=r"PJ402 .*in pieces of"):
            verify(graph_of(wrong))
    graph = graph_of(sparse(matrix()))
    wrong = graph.swap("n", IntCuba(decay_u="w", decay_v="decay", v_th="v_th", step="one"))
    with pytest.raises(GraphError, match=r"PJ405 .*decay_u is 'w', which holds sparse weights"):
        verify(wrong)
    late = IntSynapse(weight="w", step_w="one", features=37, delays="decay")
    with pytest.raises(GraphError, match="cannot have a delay each"):
        verify(graph.swap("s", late))


def test_a_whole_matrix_is_refused_where_it_cannot_be_one():
    huge = Sparse((10**6, 10**6), rows_of(matrix()))
    with pytest.raises(UsageError, match="PJ804"):
        huge.dense()
    twice = from_arrays((1, 5), np.array([0, 2]), np.array([3, 3]), np.array([2, 4]))
    with pytest.raises(UsageError, match="PJ802"):
        twice.dense()


def test_text_and_file_give_the_graph_back(tmp_path):
    graph = graph_of(sparse(matrix()))
    assert parse(text(graph), graph.params, graph.pinned, graph.sparse) == graph
    files.save(graph, tmp_path / "net.pjg")
    again = files.load(tmp_path / "net.pjg")
    assert again == graph and np.array_equal(again.value("w"), matrix())
    with pytest.raises(GraphError, match=r"sparse 'w' is \[37,50\]"):
        parse(text(graph), graph.params, graph.pinned, {"w": sparse(matrix(seed=1))})
