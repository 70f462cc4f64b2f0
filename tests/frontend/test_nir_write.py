"""Graph -> NIR -> Graph."""

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.errors import FrontendError, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.frontend.nir import DIALECTS, Dialect, read, write
from picojoule.graph import Graph, Node
from picojoule.graph.ops import BatchNorm, CubaLif, Delay, Dense, Flatten, Input, Relu

DT = 1e-3
GRIDS = [Dialect(name=f"{how}-{a}-{b}", integrator=how, if_input=a, w_in=b, time_unit_s=unit)
         for how, unit in (("exact", 1.0), ("euler", 1e-3))
         for a in ("per_step", "per_second") for b in ("per_step", "per_second")]  # fmt: skip
GRIDS += [DIALECTS["norse"], DIALECTS["snntorch"]]


def network(rng, n_in=(2, 3), n=4, *, decay_u=1.0, leaky=True, bias=True, delay=2):
    """Input - Flatten - Dense - neurons, which feed themselves back through a Delay."""
    draw = rng.uniform
    params = {
        "w.weight": rng.normal(size=(n, int(np.prod(n_in)))), "w.bias": rng.normal(size=n),
        "r.weight": rng.normal(size=(n, n)),
        "l.decay_u": draw(0.05, 0.9, n) if decay_u is None else np.full(n, decay_u),
        "l.decay_v": draw(0.01, 0.95, n) if leaky else np.zeros(n),
        "l.v_th": draw(0.5, 2, n),
    }  # fmt: skip
    if bias:
        params["l.bias"] = rng.normal(size=n)
    neuron = CubaLif(decay_u="l.decay_u", decay_v="l.decay_v", v_th="l.v_th",
                     bias="l.bias" if bias else None)  # fmt: skip
    nodes = (
        Node("in", Input(shape=n_in, kind="spike")), Node("f", Flatten(), ("in",)),
        Node("w", Dense(weight="w.weight", bias="w.bias", features=n), ("f",)),
        Node("l", neuron, ("w", "r")), Node("d", Delay(steps=delay), ("l",)),
        Node("r", Dense(weight="r.weight", features=n), ("d",)),
    )  # fmt: skip
    encoder = Encoder(kind="events", shape=n_in, steps=7)
    return Graph("net", nodes, "l", encoder, Readout(kind="count"), params, steps=7)


def same(a, b):
    assert {n.name: (n.op, set(n.inputs)) for n in a.nodes} == {
        n.name: (n.op, set(n.inputs)) for n in b.nodes}  # fmt: skip
    assert (a.name, a.output, a.encoder, a.readout, a.steps) == (
        b.name, b.output, b.encoder, b.readout, b.steps)  # fmt: skip
    assert set(a.params) == set(b.params)
    for name, array in a.params.items():
        assert np.allclose(np.broadcast_to(b.params[name], array.shape), array, rtol=1e-12,
                           atol=1e-15), name  # fmt: skip


@pytest.mark.parametrize("dialect", GRIDS, ids=lambda d: d.name)
@pytest.mark.parametrize(
    "given_",
    [dict(), dict(decay_u=None), dict(decay_u=0.25, bias=False), dict(leaky=False, bias=False)],
)
def test_round_trip(tmp_path, dialect, given_):
    graph = network(np.random.default_rng(1), **given_)
    write(graph, tmp_path / "net.nir", dialect, dt=DT)
    same(graph, read(tmp_path / "net.nir", dt=DT, dialect=dialect, steps=7))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1.0), st.sampled_from(GRIDS),
       st.integers(1, 50), st.sampled_from([1.0, None, 0.3]), st.booleans())  # fmt: skip
def test_round_trip_of_any_network(tmp_path_factory, seed, dt, dialect, delay, decay_u, bias):
    rng = np.random.default_rng(seed)
    n_in, n = tuple(rng.integers(1, 4, rng.integers(1, 3)).tolist()), int(rng.integers(1, 5))
    graph = network(rng, n_in, n, decay_u=decay_u, bias=bias, delay=delay)
    path = tmp_path_factory.mktemp("trip") / "net.nir"
    write(graph, path, dialect, dt=dt)
    same(graph, read(path, dt=dt, dialect=dialect, steps=7))


def test_another_step_gives_another_network(tmp_path):
    write(network(np.random.default_rng(1)), tmp_path / "net.nir", "euler", dt=DT)
    half = read(tmp_path / "net.nir", dt=DT / 2, dialect="euler")
    assert half["d"].op.steps == 4
    assert np.allclose(half.params["l.decay_v"] * 2,
                       network(np.random.default_rng(1)).params["l.decay_v"])  # fmt: skip


def test_peers_can_read_it(tmp_path):
    """nir.read with all its type checks; equations as NIR defines them."""
    graph = network(np.random.default_rng(1))
    write(graph, tmp_path / "net.nir", "ode-exact", dt=DT)
    back = nir.read(tmp_path / "net.nir")
    assert {k: type(n).__name__ for k, n in back.nodes.items()} == {
        "in": "Input", "f": "Flatten", "w": "Affine", "l": "LIF", "d": "Delay", "r": "Linear",
        "output": "Output"}  # fmt: skip
    lif = back.nodes["l"]
    assert np.allclose(np.exp(-DT / lif.tau), 1 - graph.params["l.decay_v"])
    assert np.allclose((1 - np.exp(-DT / lif.tau)) * lif.r, 1)  # voltage unscaled
    assert np.allclose(lif.v_leak / lif.r, graph.params["l.bias"])
    assert np.allclose(back.nodes["d"].delay, 2 * DT) and back.nodes["d"].delay.shape == (4,)


def test_the_step_is_noted_for_people(tmp_path):
    write(network(np.random.default_rng(1)), tmp_path / "net.nir", "euler", dt=DT)
    with h5py.File(tmp_path / "net.nir") as file:
        assert file["node/metadata/dt"][()] == DT
        assert file["node/metadata/dialect"][()] == b"euler"
    with pytest.raises(FrontendError, match=r"its writer noted dt=0\.001"):
        read(tmp_path / "net.nir")


def test_same_bytes_each_time(tmp_path):
    for name in "ab":
        write(network(np.random.default_rng(1)), tmp_path / f"{name}.nir", dt=DT)
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()


# ------------------------------------------------------------------------------- refusals


def test_all_nodes_that_nir_cannot_say(tmp_path):
    graph = network(np.random.default_rng(1))
    norm = BatchNorm(gain="l.v_th", shift="l.v_th", mean="l.v_th", variance="l.v_th")
    slow = CubaLif(decay_u="l.decay_u", decay_v="l.decay_v", v_th="l.v_th", refractory=3)
    graph = graph.add(
        Node("relu", Relu(), ("w",)),
        Node("n", norm, ("w",)),
        Node("slow", slow, ("w",)),
        Node("a/b", Flatten(), ("w",)),
    )
    with pytest.raises(FrontendError) as error:
        write(graph, tmp_path / "net.nir", dt=DT)
    assert {f.code for f in error.value.faults} == {"PJ502"}
    assert [f.what.split("'")[1] for f in error.value.faults] == ["relu", "n", "slow", "a/b"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "params, match",
    [
        ({"l.decay_v": np.array([0, 0.1, 0.1, 0.1])}, "only some voltages leak"),
        ({"l.decay_v": np.zeros(4)}, "no bias in a neuron without leak"),
        ({"l.decay_u": np.array([0, 0.1, 0.1, 0.1])}, "without leak of current"),
        ({"l.decay_v": np.ones(4)}, "a decay of 1 needs tau = 0"),
        ({"l.decay_u": np.array([1, 0.1, 0.1, 0.1])}, "a decay of 1 needs tau = 0"),
    ],
)
def test_neurons_that_nir_cannot_say(tmp_path, params, match):
    graph = network(np.random.default_rng(1)).with_params(params)
    with pytest.raises(FrontendError, match=f"node 'l': .*{match}"):
        write(graph, tmp_path / "net.nir", dt=DT)


def test_time_step_is_needed(tmp_path):
    with pytest.raises(FrontendError, match="dt must be given") as error:
        write(network(np.random.default_rng(1)), tmp_path / "net.nir")
    assert error.value.faults[0].code == "PJ503"


def test_nothing_is_left_behind_where_writing_fails(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write 'net\.nir'") as error:
        write(network(np.random.default_rng(1)), tmp_path / "no" / "net.nir", dt=DT)
    assert error.value.faults[0].code == "PJ801"
    (tmp_path / "net.nir").mkdir()
    with pytest.raises(UsageError):
        write(network(np.random.default_rng(1)), tmp_path / "net.nir", dt=DT)
    assert [p.name for p in tmp_path.iterdir()] == ["net.nir"]
