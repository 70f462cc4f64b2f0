"""Weights that are read in pieces lower to what the whole matrix lowers to, on any machine."""

from dataclasses import replace

import numpy as np
import pytest
from tests.passes.integer_nets import machine_of

from picojoule.errors import CheckError, GraphError, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.graph import Graph, Node, Pinned, Sparse
from picojoule.graph.ops import Delay, Input, IntCuba, IntSynapse
from picojoule.passes import compile_graph, draft, lower, utilisation
from picojoule.passes.groups import Runs, united
from picojoule.program import files
from picojoule.sim import run
from picojoule.target import load

N = 120


def dense(rng, neurons, sources, share=0.3):
    """Two bands, so that a slice hears runs of sources that are far apart."""
    near = np.abs((np.arange(neurons)[:, None] - np.arange(sources)) % 60) < 12
    return 2 * rng.integers(-20, 60, (neurons, sources)) * near * (
        rng.random((neurons, sources)) < share
    )  # fmt: skip


def rows_of(matrix):
    def rows(start, stop):
        row, source = np.nonzero(matrix[start:stop])
        bounds = np.concatenate([[0], np.cumsum(np.count_nonzero(matrix[start:stop], axis=1))])
        return bounds, source, matrix[start:stop][row, source]

    return rows


def net(whole, exponent=0):
    """Input -> a <-> a -> b, with sparse constants or the matrices that they stand for."""
    rng = np.random.default_rng(5)
    matrices = {"wi": dense(rng, N, 40), "wr": dense(rng, N, N), "wo": dense(rng, 30, N)}
    pins = {"du": (4000, 12), "dv": (200, 12), "v_th": (60, 17)}
    ints = {name: Pinned(np.array(v), Format(b, False)) for name, (v, b) in pins.items()}
    if whole:
        ints |= {name: Pinned(m, Format(9)) for name, m in matrices.items()}
    neurons = {"decay_u": "du", "decay_v": "dv", "v_th": "v_th", "step": "one"}

    def group(weight, features):
        return IntSynapse(
            weight=weight, step_w="one", features=features, sparse=True, exponent=exponent
        )

    return Graph(
        name="bands", output="b", steps=12, params={"one": np.array(1.0)}, pinned=ints,
        encoder=Encoder(kind="events", shape=(40,), steps=12), readout=Readout(kind="count"),
        nodes=(
            Node("input", Input(shape=(40,), kind="spike")),
            Node("gi", group("wi", N), ("input",)), Node("gr", group("wr", N), ("back",)),
            Node("back", Delay(steps=1), ("a",)), Node("a", IntCuba(**neurons), ("gi", "gr")),
            Node("go", group("wo", 30), ("a",)), Node("b", IntCuba(**neurons), ("go",)),
        ),
        sparse={} if whole else {k: Sparse(m.shape, rows_of(m), 32) for k, m in matrices.items()},
    )  # fmt: skip


def events(seed=0):
    return np.random.default_rng(seed).random((3, 12, 40)) < 0.3


def same_network(program, other):
    """Same spikes, voltages and synapses read, whatever lies where."""
    a, b = (run(p, events(), probes=("a.v", "a.spike", "b.v")) for p in (program, other))
    assert a.outputs["spikes"].any() and a.probes["a.spike"].any()
    assert np.array_equal(a.outputs["spikes"], b.outputs["spikes"])
    assert all(np.array_equal(a.probes[name], b.probes[name]) for name in a.probes)
    for action in ("synapse.event", "neuron.active", "event.out"):
        assert a.activity.total(action) == b.activity.total(action)


@pytest.mark.parametrize("cores", [{}, {"neurons": 17}, {"synapse_words": 40}, {"in_axons": 150}])
@pytest.mark.parametrize("exponent", [0, -1])
def test_pieces_run_as_the_whole(cores, exponent):
    target = machine_of("loihi1", cores=400, **cores)
    program, other = (compile_graph(net(whole, exponent), target) for whole in (False, True))
    same_network(program, other)
    for row in utilisation(program, target):
        assert row["neurons"] <= row["neurons_limit"] and row["in_axons"] <= row["in_axons_limit"]
        assert row["synapse_bits"] <= row["synapse_bits_limit"]


def test_a_core_hears_runs_of_sources_and_not_all_between():
    program = compile_graph(net(False), machine_of("loihi1", cores=400, neurons=10))
    regions = [r for name, r in program.regions.items() if name.endswith(".gr")]
    assert regions and max(r.size for r in regions) < 90 < N
    routes = [i for i in program.instructions if i.op == "route"]
    assert any(i.writes[0].start > 0 for i in routes)


def test_both_engines_and_a_file_agree(tmp_path):
    program = compile_graph(net(False), machine_of("loihi1", cores=400, neurons=25))
    files.save(program, tmp_path / "p.pjp")
    again = files.load(tmp_path / "p.pjp", verify=True)
    assert again == program
    ours, plain = (run(again, events(), engine=e) for e in ("numba", "reference"))
    assert np.array_equal(ours.outputs["spikes"], plain.outputs["spikes"])
    assert np.array_equal(ours.activity.counts, plain.activity.counts)


def test_constants_past_a_limit_lie_in_a_file(monkeypatch):
    target = machine_of("loihi1", cores=400, neurons=17)
    program = compile_graph(net(False), target)
    monkeypatch.setattr(draft, "HELD_MAX", 1000)
    spooled = compile_graph(net(False), target)
    assert spooled == program
    assert sum(a.base is not None and not a.flags.owndata for a in spooled.arrays.values()) > 20
    assert not any(array.flags.writeable for array in spooled.arrays.values())
    same_network(spooled, program)


def test_no_room_for_that_file_is_told(monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(draft, "HELD_MAX", 1000)
    monkeypatch.setattr(draft.tempfile, "TemporaryFile", full)
    with pytest.raises(UsageError, match=r"PJ801 .*No space left(.|\n)*TMPDIR"):
        compile_graph(net(False), machine_of("loihi1", cores=400))


def test_misfits_are_told_together():
    graph = net(False)
    high = 600 * (np.arange(30 * N).reshape(30, N) % 7 == 0)
    graph = replace(graph, sparse=graph.sparse | {"wo": Sparse((30, N), rows_of(high), 8)})
    with pytest.raises(CheckError) as caught:
        compile_graph(graph, machine_of("loihi1", cores=2, neurons=17))
    assert [f.code for f in caught.value.faults] == ["PJ207", "PJ201"]
    assert "600" in caught.value.faults[0].what


def test_lower_checks_the_graph_that_it_is_given():
    target = machine_of("loihi1")
    bad = net(False).swap("b", replace(net(False)["b"].op, refractory=99))
    with pytest.raises(GraphError, match=r"PJ405 .*refractory must lie in 1..63, got 99"):
        lower(bad, target)


def test_runs_unite():
    def runs(*pairs):
        return Runs(*(np.array(part, np.int64) for part in zip(*pairs)))

    found = united(runs((0, 4), (10, 12)), runs((3, 7), (12, 15), (20, 21)))
    assert list(zip(found.low.tolist(), found.high.tolist())) == [(0, 7), (10, 15), (20, 21)]


# ------------------------------------------------------------------------------- several chips


def test_borders_between_chips_are_counted_and_not_priced():
    from picojoule.cost import price

    board = load("loihi1_board")
    entries = tuple(
        replace(e, value=1) if e.name == "neurons" else e for e in board.core.limits.entries
    )
    core = replace(board.core, limits=replace(board.core.limits, entries=entries))
    target = replace(board, core=core)
    program = compile_graph(net(False), target)
    assert program.cores > target.core.count
    first, last = program.positions[127], program.positions[128]
    assert (first, last) == ((7, 3), (0, 4))
    activity = run(program, events()).activity
    crossings = sum(
        len(i.args) == 4 and i.args[3] > 0 for i in program.instructions if i.op == "route"
    )
    assert crossings and activity.total("hop.chip") > 0
    assert activity.total("hop.chip") < activity.total("hop.ew") + activity.total("hop.ns")
    bill = price(activity, target)
    assert any("hop.chip" in item.action for item in bill.excluded)
