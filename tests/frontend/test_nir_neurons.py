"""NIR neurons in steps: against closed forms and against the differential equations."""

import math

import nir
import numpy as np
import pytest
from scipy.linalg import expm

from picojoule.errors import FrontendError, UsageError
from picojoule.frontend.nir import DIALECTS, Dialect, read
from picojoule.frontend.nir_dialect import voltage_scale

DT = 1e-3


def one(*values):
    return [np.array([v], float) for v in values]


def lif(tau=0.02, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0):
    return nir.LIF(*one(tau, r, v_leak, v_threshold, v_reset))


def linear(weight):
    return nir.Linear(weight=np.array(weight, float))


def codes(error):
    return [fault.code for fault in error.value.faults]


def voltages(graph, follow, raster, name="b"):
    return follow(graph, raster)[f"{name}.v"].reshape(len(raster))


# ---------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("dialect, keep", [("ode-exact", math.exp(-DT / 0.02)),
                                           ("euler", 1 - DT / 0.02)])  # fmt: skip
def test_lif_under_constant_input_follows_its_closed_form(chain, follow, dialect, keep):
    path = chain(linear([[3.0]]), lif(r=2.0, v_leak=0.5, v_threshold=99))
    graph = read(path, dt=DT, dialect=dialect)
    t = np.arange(1, 61)
    scale = (1 - keep) * 2.0
    v = voltages(graph, follow, np.ones((60, 1))) * scale
    assert np.allclose(v, (0.5 + 2.0 * 3.0) * (1 - keep**t), rtol=1e-12)


def test_exact_lif_spikes_when_the_equation_crosses_the_threshold(chain, follow):
    graph = read(chain(linear([[3.0]]), lif()), dt=DT)
    spikes = follow(graph, np.ones((100, 1)))["b"][:, 0]
    crossing = -0.02 * math.log(1 - 1.0 / 3.0)  # v(t) = 3 (1 - exp(-t / tau)) = 1
    assert np.flatnonzero(spikes)[0] == math.ceil(crossing / DT) - 1
    assert len(set(np.diff(np.flatnonzero(spikes)))) == 1


def test_reset_and_leak_shift_the_origin(chain, follow):
    shifted = lif(v_leak=-0.3 + 0.7, v_threshold=1.0 - 0.3, v_reset=-0.3)
    graph = read(chain(linear([[3.0]]), shifted), dt=DT)
    plain = read(chain(linear([[3.0]]), lif(v_leak=0.7, v_threshold=1.0)), dt=DT)
    raster = np.random.default_rng(1).random((200, 1)) < 0.7
    assert np.allclose(graph.params["b.bias"], plain.params["b.bias"])
    assert np.allclose(graph.params["b.v_th"], plain.params["b.v_th"])
    same = follow(graph, raster)["b"] == follow(plain, raster)["b"]
    assert same.all() and follow(plain, raster)["b"].sum() > 3


@pytest.mark.parametrize("meaning, gain", [("per_second", DT), ("per_step", 1.0)])
def test_if_adds_its_input_per_second_or_per_step(chain, meaning, gain):
    node = nir.IF(*one(4.0, 1.0, 0.0))
    graph = read(chain(linear([[1.0]]), node), dt=DT, dialect=Dialect(name="x", if_input=meaning))
    assert graph.params["b.v_th"] == 1.0 / (4.0 * gain)
    assert graph.params["b.decay_v"] == 0 and graph.params["b.decay_u"] == 1


def cuba(tau_syn=0.005, tau_mem=0.02, r=2.0, v_leak=0.5, v_threshold=99.0, w_in=3.0, v_reset=0.0):
    return nir.CubaLIF(*one(tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in))


def impulses(tau_syn, tau_mem, r, v_leak, w_in, weight, raster):
    """The equations of a CubaLIF, solved exactly from impulse to impulse (area dt each)."""
    flow = expm(DT * np.array([[-1 / tau_syn, 0, 0], [r / tau_mem, -1 / tau_mem, 1 / tau_mem],
                               [0, 0, 0]]))  # fmt: skip
    x, out = np.array([0.0, 0.0, v_leak]), []
    for spike in raster[:, 0]:
        x[0] += weight * spike * w_in * DT / tau_syn
        x = flow @ x
        out.append(x[1])
    return np.array(out)


@pytest.mark.parametrize("tau_syn, tau_mem", [(0.005, 0.02), (0.02, 0.005), (0.01, 0.01)])
def test_exact_cubalif_solves_its_equations(chain, follow, tau_syn, tau_mem):
    node = cuba(tau_syn=tau_syn, tau_mem=tau_mem)
    graph = read(chain(linear([[0.7]]), node), dt=DT)
    raster = np.random.default_rng(2).random((300, 1)) < 0.2
    arrays = {name: getattr(node, name) for name in ("tau_syn", "tau_mem", "r", "w_in")}
    scale = voltage_scale("CubaLIF", arrays, Dialect(name="x", dt=DT))
    truth = impulses(tau_syn, tau_mem, 2.0, 0.5, 3.0, 0.7, raster)
    assert np.allclose(voltages(graph, follow, raster) * scale, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("w_in, jump", [("per_second", 3.0 * DT / 0.005), ("per_step", 3.0)])
def test_euler_cubalif_steps_as_written(chain, follow, w_in, jump):
    dialect = Dialect(name="x", integrator="euler", w_in=w_in)
    graph = read(chain(linear([[0.7]]), cuba()), dt=DT, dialect=dialect)
    raster = np.random.default_rng(3).random((100, 1)) < 0.3
    i = v = 0.0
    truth = []
    for spike in raster[:, 0]:
        i = i - i * DT / 0.005 + jump * 0.7 * spike
        v = v + DT / 0.02 * (0.5 - v + 2.0 * i)
        truth.append(v)
    scale = jump * 2.0 * DT / 0.02
    assert np.allclose(voltages(graph, follow, raster) * scale, truth, rtol=1e-9)


def test_a_shorter_step_brings_euler_to_the_exact_solution(chain, follow):
    path = chain(linear([[3.0]]), lif(v_threshold=99.0))

    def last(dialect, dt):
        graph = read(path, dt=dt, dialect=dialect)
        decay = float(graph.params["b.decay_v"])
        return voltages(graph, follow, np.ones((round(0.01 / dt), 1)))[-1] * decay

    errors = [abs(last("euler", dt) - last("ode-exact", 1e-3)) for dt in (1e-3, 5e-4, 2.5e-4)]
    assert np.allclose(np.divide(errors[:-1], errors[1:]), 2.0, rtol=0.1)  # first order


# ------------------------------------------------------------------------- arrays and units


def test_parameters_of_each_neuron_stay_apart(chain, follow):
    rng = np.random.default_rng(4)
    tau, r, leak, th = rng.uniform(0.005, 0.03, (4, 3)) * np.array([[1], [100], [10], [20]])
    node = nir.LIF(tau, r, leak, th, np.full(3, -0.1))
    weight = rng.normal(size=(3, 2)) * 3
    graph = read(chain(linear(weight), node, shape=(2,)), dt=DT, dialect="euler")
    raster = rng.random((200, 2)) < 0.5
    truth = np.zeros((200, 3))
    v = np.full(3, -0.1)  # neurons start at v_reset
    for t, spikes in enumerate(raster):
        v = v + DT / tau * (leak - v + r * (weight @ spikes))
        truth[t] = v > th
        v = np.where(v > th, -0.1, v)
    assert truth.sum() > 20 and (follow(graph, raster)["b"] == truth).all()


def test_an_array_of_one_value_fits_any_population(saved):
    nodes = {"in": nir.Input({"input": np.array([2])}), "w": linear(np.ones((5, 2))),
             "l": lif(), "out": nir.Output({"output": np.array([5])})}  # fmt: skip
    graph = read(saved(nodes, ["in->w", "w->l", "l->out"]), dt=DT)
    assert graph.types["l"].shape == (5,)


def test_time_unit_of_the_file(chain):
    ms = read(chain(linear([[1.0]]), lif(tau=20.0)), dt=DT, dialect=Dialect(
        name="ms", time_unit_s=1e-3))  # fmt: skip
    s = read(chain(linear([[1.0]]), lif(tau=0.02)), dt=DT)
    assert ms.params["b.decay_v"] == pytest.approx(s.params["b.decay_v"], rel=1e-12)


# ------------------------------------------------------------------------------- dialects


def test_named_dialects():
    assert set(DIALECTS) == {"ode-exact", "euler", "snntorch", "norse"}
    assert all(dialect.name == name for name, dialect in DIALECTS.items())


@pytest.mark.parametrize(
    "dialect, given, spikes",  # 0.5 s of constant input: facts, ecosystem 2.3
    [
        ("snntorch", dict(tau=0.02), 22),
        ("norse", dict(tau=0.02), 22),
        ("norse", dict(tau=0.02, r=20.0), 0),  # r is ignored
        ("norse", dict(tau=0.02, v_reset=0.4), 22),  # v_reset is ignored
        ("snntorch", dict(tau=0.02, v_reset=0.4), 22),
        ("euler", dict(tau=0.02, v_reset=0.4), 31),
        ("ode-exact", dict(tau=0.02, v_reset=0.4), 31),
        ("ode-exact", dict(tau=0.02, r=20.0), 22),
    ],
)
def test_peers_read_the_same_file_differently(chain, follow, dialect, given, spikes):
    drive = DRIVE / 20 if given.get("r") == 20 else DRIVE
    dt = DIALECTS[dialect].dt or 1e-3
    graph = read(chain(linear([[drive]]), lif(**given)), dt=dt, dialect=dialect)
    assert follow(graph, np.ones((round(0.5 / dt), 1)))["b"].sum() == spikes


DRIVE = 1.5


@pytest.mark.parametrize("dialect, spikes", [("ode-exact", 50), ("norse", 500)])
def test_if_of_the_facts_page(chain, follow, dialect, spikes):
    graph = read(chain(linear([[100.0]]), nir.IF(*one(1.0, 0.9999, 0.0))), dt=1e-3, dialect=dialect)
    assert follow(graph, np.ones((500, 1)))["b"].sum() == spikes


# --------------------------------------------------------------------------------- refusals


def test_no_time_step(chain):
    with pytest.raises(FrontendError, match="needs a time step") as error:
        read(chain(linear([[1.0]]), lif()))
    assert codes(error) == ["PJ503"]


@pytest.mark.parametrize("dt", [0.0, -1e-3, math.nan, math.inf, "1 ms"])
def test_impossible_time_step(chain, dt):
    with pytest.raises(FrontendError, match="dt must be a positive number") as error:
        read(chain(linear([[1.0]]), lif()), dt=dt)
    assert codes(error) == ["PJ503"]


def test_euler_refuses_steps_longer_than_tau(chain):
    with pytest.raises(FrontendError, match=r"longer than tau 0\.02 s") as error:
        read(chain(linear([[1.0]]), lif()), dt=0.03, dialect="euler")
    assert codes(error) == ["PJ503"]
    assert read(chain(linear([[1.0]]), lif()), dt=0.03).params["b.decay_v"] < 1


@pytest.mark.parametrize("given", [dict(tau=0.0), dict(tau=-1.0), dict(r=0.0), dict(r=-2.0)])
def test_impossible_parameters(chain, given):
    with pytest.raises(FrontendError, match="must be positive") as error:
        read(chain(linear([[1.0]]), lif(**given)), dt=DT)
    assert codes(error) == ["PJ405"]


def test_all_neurons_are_reported_at_once(chain):
    path = chain(linear([[1.0]]), lif(tau=-1.0), linear([[1.0]]), lif(r=-1.0))
    with pytest.raises(FrontendError) as error:
        read(path, dt=DT)
    assert [f.what.split(":")[0] for f in error.value.faults] == ["node 'b'", "node 'd'"]


def test_unknown_dialect_and_steps(chain):
    path = chain(linear([[1.0]]), lif())
    with pytest.raises(UsageError, match="no such NIR dialect: 'lava'"):
        read(path, dt=DT, dialect="lava")
    with pytest.raises(UsageError, match="steps must be at least 1"):
        read(path, dt=DT, steps=0)


@pytest.mark.parametrize("option", [dict(integrator="rk4"), dict(if_input="x"), dict(w_in=""),
                                    dict(time_unit_s=0.0), dict(recurrent_delay=0),
                                    dict(ignores=("tau",))])  # fmt: skip
def test_impossible_dialects(chain, option):
    with pytest.raises(UsageError, match=f"dialect 'x': {next(iter(option))} cannot be"):
        read(chain(linear([[1.0]]), lif()), dt=DT, dialect=Dialect(name="x", **option))


def test_numpy_numbers_will_do(chain):
    graph = read(chain(linear([[1.0]]), lif()), dt=np.float32(1e-3), steps=np.int64(5))
    assert graph.steps == 5 and graph.params["a.weight"].flags.writeable
