"""NIR graphs: edges, graphs within graphs, cycles, delays, scales, real files."""

import nir
import numpy as np
import pytest

from picojoule.errors import FrontendError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.frontend.nir import read
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import CubaLif, Delay, Dense, Flatten, Input

DT = 1e-3
EULER = {"dt": DT, "dialect": "euler"}


def lif(n=1, v_threshold=1.0):
    full = np.ones(n)
    return nir.LIF(0.02 * full, 20 * full, 0 * full, v_threshold * full, 0 * full)


def linear(weight):
    return nir.Linear(weight=np.array(weight, float))


def ends(n_in, n_out):
    return {"in": nir.Input({"input": np.array(n_in).reshape(-1)}),
            "out": nir.Output({"output": np.array(n_out).reshape(-1)})}  # fmt: skip


def kinds(graph):
    return {node.name: type(node.op) for node in graph.nodes}


def test_what_a_graph_carries(chain):
    graph = read(chain(linear([[1.0, 2.0]]), lif(), shape=(2,)), **EULER, steps=30)
    assert graph.name == "net" and graph.output == "b" and graph.steps == 30
    assert graph.encoder == Encoder(kind="events", shape=(2,), steps=30)
    assert graph.readout == Readout(kind="count")
    assert graph.input.op == Input(shape=(2,), kind="spike")
    assert kinds(graph) == {"in": Input, "a": Dense, "b": CubaLif}
    assert np.array_equal(graph.params["a.weight"], [[1.0, 2.0]])


def test_affine_bias_acts_each_step(chain, follow):
    affine = nir.Affine(weight=np.eye(2), bias=np.array([0.5, 0.0]))
    graph = read(chain(affine, lif(2, 99.0), shape=(2,)), **EULER)
    v = follow(graph, np.zeros((3, 2)))["b.v"]
    assert np.allclose(v[:2, 0], [0.5, 0.5 * 0.95 + 0.5]) and not v[:, 1].any()


def test_flatten_and_shapes(saved, follow):
    nodes = ends((2, 3), 4) | {
        "f": nir.Flatten({"input": np.array([2, 3])}, 0, -1),
        "w": linear(np.arange(24).reshape(4, 6)), "l": lif(4, 1e9),
    }  # fmt: skip
    graph = read(saved(nodes, ["in->f", "f->w", "w->l", "l->out"]), **EULER)
    assert kinds(graph)["f"] is Flatten and graph.types["f"].shape == (6,)
    raster = np.random.default_rng(1).random((1, 2, 3)) < 0.5
    truth = np.arange(24).reshape(4, 6) @ raster[0].ravel()
    assert np.allclose(follow(graph, raster)["l.v"][0], truth)


def test_flatten_of_some_axes_is_refused(saved):
    nodes = ends((2, 3), 6) | {"f": nir.Flatten({"input": np.array([2, 3])}, 1, -1)}
    with pytest.raises(FrontendError, match=r"flattens axes 1\.\.-1 of \[2, 3\]") as error:
        read(saved(nodes, ["in->f", "f->out"]))
    assert error.value.faults[0].code == "PJ502"


# ---------------------------------------------------------------------------------- delays


def test_delay_in_steps(saved, follow):
    nodes = ends(2, 2) | {"d": nir.Delay(np.full(2, 3e-3))}
    graph = read(saved(nodes, ["in->d", "d->out"]), dt=DT)
    assert graph["d"].op == Delay(steps=3)
    raster = np.random.default_rng(2).random((9, 2)) < 0.5
    assert np.array_equal(follow(graph, raster)["d"][3:], raster[:-3])


def test_delay_of_nothing_is_a_wire(saved):
    nodes = ends(2, 2) | {"d": nir.Delay(np.zeros(2)), "l": lif(2)}
    graph = read(saved(nodes, ["in->l", "l->d", "d->out"]), **EULER)
    assert graph.output == "l" and "d" not in graph


@pytest.mark.parametrize(
    "delay, code",
    [
        ([2.5e-3, 2.5e-3], "PJ503"),
        ([1e-3, 2e-3], "PJ502"),
        ([-1e-3, -1e-3], "PJ501"),
        ([1e300, 1e300], "PJ501"),
    ],
)
def test_delays_that_cannot_be(saved, delay, code):
    nodes = ends(2, 2) | {"d": nir.Delay(np.array(delay))}
    with pytest.raises(FrontendError, match="node 'd'") as error:
        read(saved(nodes, ["in->d", "d->out"]), dt=DT)
    assert error.value.faults[0].code == code


# ---------------------------------------------------------------------------------- cycles


def recurrent():
    return ends(1, 1) | {"w": linear([[2.0]]), "l": lif(), "r": linear([[-0.5]])}


def test_a_cycle_gets_one_step(saved, follow):
    graph = read(saved(recurrent(), ["in->w", "w->l", "l->r", "r->l", "l->out"]), **EULER)
    assert graph["l_to_r"].op == Delay(steps=1) and graph["l_to_r"].inputs == ("l",)
    assert graph["r"].inputs == ("l_to_r",) and set(graph["l"].inputs) == {"w", "r"}
    out = follow(graph, np.ones((3, 1)))
    assert np.allclose(out["l.v"][:, 0], [2.0, 1.5, 1.5])


def test_a_cycle_with_a_delay_is_left_alone(saved):
    nodes = recurrent() | {"d": nir.Delay(np.array([4e-3]))}
    edges = ["in->w", "w->l", "l->r", "r->d", "d->l", "l->out"]
    graph = read(saved(nodes, edges), **EULER)
    assert graph.names(Delay) == ("d",) and graph["d"].op.steps == 4


def test_a_neuron_may_feed_itself(saved):
    graph = read(saved(ends(1, 1) | {"l": lif()}, ["in->l", "l->l", "l->out"]), **EULER)
    assert set(graph["l"].inputs) == {"in", "l_to_l"}


def test_weights_with_two_readers_keep_their_time(saved):
    nodes = recurrent() | {"m": lif()}
    edges = ["in->w", "w->l", "l->r", "r->l", "r->m", "m->out"]
    graph = read(saved(nodes, edges), **EULER)
    assert graph["m"].inputs == ("r",) and graph["r"].inputs == ("l",)
    assert graph["r_to_l"].inputs == ("r",)


def test_two_layers_in_one_cycle_get_one_delay(saved):
    nodes = ends(1, 1) | {"w": linear([[2.0]]), "a": lif(), "up": linear([[1.0]]), "b": lif(),
                          "down": linear([[1.0]])}  # fmt: skip
    edges = ["in->w", "w->a", "a->up", "up->b", "b->down", "down->a", "b->out"]
    graph = read(saved(nodes, edges), **EULER)
    assert graph.names(Delay) == ("b_to_down",)


def test_a_cycle_of_weights_alone(saved):
    nodes = ends(1, 1) | {"l": lif(), "a": linear([[1.0]]), "b": linear([[1.0]])}
    graph_edges = ["in->l", "l->out", "a->b", "b->a"]
    with pytest.raises(FrontendError, match="the Input does not reach it"):
        read(saved(nodes, graph_edges), **EULER)


def test_order_of_edges_does_not_matter(saved):
    edges = ["in->w", "w->l", "l->r", "r->l", "l->out"]
    there, back = (
        {n.name: set(n.inputs) for n in read(saved(recurrent(), e), **EULER).nodes}
        for e in (edges, edges[::-1])
    )
    assert there == back


# ---------------------------------------------------------------- graphs within graphs, scale


@pytest.mark.parametrize("style", ["graph", "inside"])
def test_nested_graphs_are_unrolled(saved, style):
    marks = dict(zip(("in.x", "out"), ends(1, 1).values()))
    inner = nir.NIRGraph(
        marks | {"l": lif(), "r": linear([[-0.5]])},
        [("in.x", "l"), ("l", "r"), ("r", "l"), ("l", "out")],
        {},
        False,
    )
    name_in, name_out = ("sub", "sub") if style == "graph" else ("sub.in.x", "sub.out")
    nodes = ends(1, 1) | {"w": linear([[2.0]]), "sub": inner}
    edges = [("in", "w"), ("w", name_in), (name_out, "out")]
    graph = read(saved(nodes, edges), **EULER)
    assert graph.output == "sub.l"
    assert kinds(graph) == {"in": Input, "w": Dense, "sub.l": CubaLif, "sub.r": Dense,
                            "sub.l_to_sub.r": Delay}  # fmt: skip
    assert set(graph["sub.l"].inputs) == {"w", "sub.r"}


def test_two_nodes_of_one_dotted_name(saved):
    inner = nir.NIRGraph(ends(1, 1) | {"l": lif()}, [("in", "l"), ("l", "out")], {}, False)
    nodes = ends(1, 1) | {"sub": inner, "sub.l": lif()}
    edges = [("in", "sub"), ("sub", "sub.l"), ("sub.l", "out")]
    with pytest.raises(FrontendError, match=r"2 nodes are called 'sub\.l'"):
        read(saved(nodes, edges), **EULER)


def test_a_graph_within_the_graph_needs_one_input(saved):
    inner = nir.NIRGraph({"l": lif()}, [], {}, False)
    nodes = ends(1, 1) | {"sub": inner}
    with pytest.raises(FrontendError, match="graph 'sub' has 0 nodes of type Input, not one"):
        read(saved(nodes, [("in", "sub"), ("sub", "out")]), **EULER)


def test_scale_after_and_before_weights(saved):
    nodes = ends(2, 3) | {
        "s1": nir.Scale(np.array([2.0, 3.0])),
        "w": nir.Affine(weight=np.ones((3, 2)), bias=np.ones(3)),
        "s2": nir.Scale(np.array([1.0, 10.0, 100.0])), "l": lif(3),
    }  # fmt: skip
    edges = ["in->s1", "s1->w", "w->s2", "s2->l", "l->out"]
    graph = read(saved(nodes, edges), **EULER)
    assert np.allclose(graph.params["w.weight"], [[2, 3], [20, 30], [200, 300]])
    assert np.allclose(graph.params["w.bias"], [1, 10, 100])
    assert set(kinds(graph)) == {"in", "w", "l"}


def test_scale_without_weights_is_refused(saved):
    nodes = ends(2, 2) | {"s": nir.Scale(np.array([2.0, 3.0])), "l": lif(2)}
    with pytest.raises(FrontendError, match="node 's' is a Scale without"):
        read(saved(nodes, ["in->s", "s->l", "l->out"]), **EULER)


def test_an_edge_that_is_listed_twice_is_one_edge(saved):
    edges = ["in->w", "w->l", "l->out"]
    once, twice = (read(saved(recurrent_less(), e), **EULER) for e in (edges, edges * 2))
    assert once == twice


def recurrent_less():
    return {name: node for name, node in recurrent().items() if name != "r"}


# ------------------------------------------------------------------------------- refusals


def test_all_unsupported_nodes_at_once(saved):
    nodes = ends(1, 1) | {
        "c": nir.Conv1d(4, np.ones((1, 1, 1)), 1, 0, 1, 1, np.zeros(1)),
        "t": nir.Threshold(np.ones(1)), "i": nir.I(np.ones(1)), "l": lif(),
    }  # fmt: skip
    edges = ["in->c", "c->t", "t->i", "i->l", "l->out"]
    with pytest.raises(FrontendError) as error:
        read(saved(nodes, edges), **EULER)
    assert {f.code for f in error.value.faults} == {"PJ502"}
    text = str(error.value)
    for part in ("'c' is a Conv1d", "'t' is a Threshold", "'i' is a I,", "CubaLIF", "net.nir"):
        assert part in text


@pytest.mark.parametrize(
    "edges, what",
    [
        (["in->w", "w->l", "l->out", "l->gone", "lost->w"], "no node 'gone'"),
        (["in->w", "w->l"], "node 'out' .Output. is fed by no edge"),
        (["w->l", "l->out"], "node 'w' .Linear. is fed by no edge"),
        (["in->w", "w->l", "l->out", "l->w"], "node 'w' .Linear. adds up 2 edges"),
        (["in->w", "w->l", "l->out", "out->l"], "Output 'out' feeds node 'l'"),
        (["in->w", "w->l", "l->out", "l->in"], "node 'in' .Input. is fed by 'l'"),
    ],
)
def test_edges_that_cannot_be(saved, edges, what):
    with pytest.raises(FrontendError, match=what):
        read(saved(recurrent_less(), edges), **EULER)


def test_two_inputs_and_no_output(saved):
    nodes = ends(1, 1) | {"in2": nir.Input({"input": np.array([1])}), "l": lif()}
    del nodes["out"]
    with pytest.raises(FrontendError) as error:
        read(saved(nodes, ["in->l", "in2->l"]), **EULER)
    assert [f.what for f in error.value.faults] == [
        "a graph needs one Input, found ['in', 'in2']",
        "a graph needs one Output, found []",
    ]


def test_shapes_that_do_not_match(saved):
    nodes = ends(2, 1) | {"w": linear(np.ones((3, 5))), "l": lif(4)}
    with pytest.raises(FrontendError) as error:
        read(saved(nodes, ["in->w", "w->l", "l->out"]), **EULER)
    named = {f.what.split(":")[0] for f in error.value.faults}
    assert named == {"node 'w'", "node 'l'"}


# ------------------------------------------------------------------------------ real files

PAPER = "models/nir_paper/"


@pytest.mark.golden
def test_braille_network(shared, follow):
    path = shared(PAPER + "03_rnn/braille_noDelay_bias_zero.nir")
    graph = read(path, dialect="snntorch", steps=256)
    assert graph.output == "lif2" and graph.names(Delay) == ("lif1.lif_to_lif1.w_rec",)
    assert graph.types["lif1.lif"].shape == (38,) and graph.types["lif2"].shape == (7,)
    # the exporter's own numbers, before dt entered: alpha 0.55, beta 0.9, threshold 1
    assert np.allclose(graph.params["lif1.lif.decay_u"], 0.45, rtol=1e-6)
    assert np.allclose(graph.params["lif1.lif.decay_v"], 0.10, rtol=1e-6)
    assert np.allclose(graph.params["lif1.lif.v_th"], 1.0, rtol=1e-6)
    raster = np.random.default_rng(5).random((256, 12)) < 0.3
    out, also = follow(graph, raster), interpret(graph, raster[None])
    for name in ("lif1.lif", "lif2"):
        assert 0 < out[name].mean() < 1 and np.array_equal(out[name], also[name][0])


@pytest.mark.golden
@pytest.mark.parametrize(
    "name", [PAPER + "02_cnn/cnn_sinabs.nir", "models/snntorch_nir/examples/scnn_mnist.nir"]
)
def test_convolutional_network_is_refused(shared, name):
    with pytest.raises(FrontendError) as error:
        read(shared(name), dt=1e-4)
    found = [f.what for f in error.value.faults]
    assert len(found) == 5 and sum("Conv2d" in what for what in found) == 3
    assert sum("SumPool2d" in what for what in found) == 2


@pytest.mark.golden
@pytest.mark.parametrize("dialect", ["ode-exact", "euler"])
@pytest.mark.parametrize("name", ["models/snntorch_nir/tests/lif.nir",
                                  PAPER + "01_lif/lif_norse.nir"])  # fmt: skip
def test_lif_of_the_paper_spikes_as_the_exact_solution(shared, name, dialect):
    graph = read(shared(name), dt=1e-4, dialect=dialect, steps=1000)
    trace = np.genfromtxt(shared(PAPER + "01_lif/lif_exact.csv"), delimiter=",")
    spikes = interpret(graph, trace[None, :, :1])[graph.output][0, :, 0]
    assert np.flatnonzero(spikes).tolist() == np.flatnonzero(trace[:, 2]).tolist()
    assert np.flatnonzero(spikes).tolist() == [460, 510, 710, 760]


@pytest.mark.golden
@pytest.mark.parametrize(
    "peer, unit, late",  # unit: the peer's own unit of v; late: steps its input is late
    [("norse", 0.04, 0), ("snntorch", 1.0, 0), ("lava_cpu_float", 0.04, 1)],
)
def test_traces_of_peers_are_eulers(shared, follow, peer, unit, late):
    graph = read(shared(PAPER + "01_lif/lif_norse.nir"), dt=1e-4, dialect="euler")
    trace = np.genfromtxt(shared(f"{PAPER}01_lif/lif_{peer}.csv"), delimiter=",")
    raster = np.concatenate([np.zeros((late, 1)), trace[: len(trace) - late, :1]])
    out = follow(graph, raster)
    v, spikes = out["1.v"].reshape(-1) * unit, out["1"].reshape(-1)
    quiet = spikes == 0
    assert np.array_equal(spikes, trace[:, 2] > 0) and spikes.sum() == 4
    assert np.abs(v - trace[:, 1])[quiet].max() < 1e-6


@pytest.mark.golden
def test_a_file_whose_types_do_not_match_can_be_read(shared):
    """Rockpool's Output claims shape [1, 1, 1]; nir.read refuses it unless told not to look."""
    path = shared(PAPER + "01_lif/lif_rockpool.nir")
    with pytest.raises(ValueError, match="type mismatch"):
        nir.read(path)
    assert read(path, dt=1e-4).types["1_LIFNeuronTorch"].shape == (1,)


@pytest.mark.golden
def test_two_neurons_of_the_paper(shared, follow):
    graph = read(shared(PAPER + "01_lif/debug_spike_representation/two_lif_neurons.nir"), dt=1e-4)
    spikes = follow(graph, np.zeros((2000, 1)))["lif1"][:, 0]
    # v = 1.2 (1 - exp(-t / tau)) reaches 1 after tau ln 6 = 17.92 ms
    assert np.flatnonzero(spikes)[0] + 1 == np.ceil(0.01 * np.log(6) / 1e-4)
