"""PACT and LSQ+: what edges learn, and that the machine computes integers moved by an offset."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad.tape import Tensor, backward
from picojoule.passes import freeze, lower
from picojoule.sim.run import run
from picojoule.train import Options, confirm, evaluate_outputs, fit, methods, start_quantized
from picojoule.train.learned_edges import settled
from picojoule.train.model import forward_pass, prepare
from picojoule.train.post_training import choose_offsets

RNG = np.random.Generator(np.random.Philox(key=[9, 0]))


@pytest.fixture
def signed():
    """Layers whose activations have either sign: Elu and LeakyRelu behind a Conv, a sum."""
    encoder = Encoder(kind="affine", shape=(4, 4, 1), step=1 / 32)
    layers = [nn.Conv(4), nn.Elu(), nn.MaxPool(2), nn.Conv(3), nn.LeakyRelu(slope=0.2),
              nn.AveragePool(2), nn.Dense(6), nn.Dense(3)]  # fmt: skip
    return nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1)


@pytest.fixture
def samples():
    return RNG.normal(0, 1, (48, 4, 4, 1)).astype(np.float32), np.arange(48) % 3


def offsets(graph):
    return sorted(n for n in graph.params if n.endswith(".edge_offset"))


def grads(live, x, name):
    """A layer on the tape, its real values before rounding, what arrives, and all gradients."""
    leaves = {n: Tensor(np.asarray(a), wants=True) for n, a in live.params.items()}
    layer = forward_pass(prepare(live), leaves, x).values.of[name]
    op = live[name].op
    real = layer.saved[2] * np.asarray(live.value(op.step_in)) * live.value(op.step_w)
    g = RNG.normal(size=layer.shape).astype(np.float32)
    backward(layer, g)
    return layer.data, real, g, {n: leaf.grad for n, leaf in leaves.items()}


def test_pact_learns_from_what_is_clipped_alone(array, data):
    """d largest = sum of g where x exceeds it (Choi et al. 2018, equation 4)."""
    x, _ = data
    encoder, layers = Encoder(kind="affine", shape=(12,)), [nn.Dense(16), nn.Relu(), nn.Dense(4)]
    graph = nn.sequential(layers, encoder=encoder, readout=Readout(), seed=2)
    live = methods.use(start_quantized(graph, array, x, bits=4), activations="pact")
    largest = 0.5 * float(live.params["fc1.largest"])
    live = live.with_params({"fc1.largest": np.asarray(largest)})
    _, real, g, found = grads(live, x, "fc1")
    assert 0.02 < (real > largest).mean() < 0.9
    expected = (g * (real > largest)).sum(dtype=np.float64)
    assert float(found["fc1.largest"]) == pytest.approx(expected, rel=1e-5)


def test_an_offset_and_a_step_have_the_gradients_of_lsq_plus(array, samples, signed):
    """The stand-in: step (clip(x / step - offset / step) + r) + offset, with what rounding
    added, r, held constant."""
    x, _ = samples
    live = methods.use(start_quantized(signed, array, x, bits=4), activations="lsq+")
    name = "fc1" if "fc1.edge_offset" in live.params else offsets(live)[-1].rsplit(".", 1)[0]
    step = float(live.params[f"{name}.step_out"]) / 2
    live = settled(live.with_params({f"{name}.step_out": np.asarray(step),
                                     f"{name}.edge_offset": np.asarray(3 * step)}))  # fmt: skip
    op = live[name].op
    assert op.zero == -3
    level, exact, g, found = grads(live, x, name)

    def stand_in(step, offset):
        position = (exact - offset) / step
        return step * (np.clip(position, op.low, op.high) + added) + offset

    position = (exact - 3 * step) / step
    added = level - np.clip(position, op.low, op.high)
    added = np.where((position < op.low) | (position > op.high), 0.0, added)
    size = 1e-7
    of_step = ((stand_in(step + size, 3 * step) - stand_in(step - size, 3 * step)) * g).sum()
    of_offset = ((stand_in(step, 3 * step + size) - stand_in(step, 3 * step - size)) * g).sum()
    scale = 1 / np.sqrt(level[0].size * (op.high - op.zero))
    assert float(found[f"{name}.edge_offset"]) == pytest.approx(
        of_offset / (2 * size) * scale, rel=1e-4)  # fmt: skip
    assert float(found[f"{name}.step_out"]) == pytest.approx(
        of_step / (2 * size) * scale, rel=1e-4)  # fmt: skip


def test_settling_keeps_what_the_integers_stand_for(array, samples, signed):
    """An offset moves integers and zero together: no real value changes but by clipping."""
    x, _ = samples
    live = methods.use(start_quantized(signed, array, x, bits=8), activations="lsq+")
    assert len(offsets(live)) >= 3
    name = offsets(live)[0].rsplit(".", 1)[0]
    step = float(live.params[f"{name}.step_out"])
    other = settled(live.with_params({f"{name}.edge_offset": np.asarray(-2.2 * step)}))
    assert other[name].op.zero == 2 and live[name].op.zero == 0
    before, after = (evaluate_outputs(g, x)["output"] for g in (live, other))
    unlike = (before != after).any(axis=1).mean()
    assert unlike < 0.5  # those that a larger zero clips
    assert settled(other) is other


def test_moved_integers_are_those_of_the_machine(array, samples, signed):
    """Every kind of reader has the zero that training left: train = deploy."""
    x, y = samples
    live = methods.use(start_quantized(signed, array, x, bits=4), activations="lsq+")
    live = choose_offsets(live, x)
    tuned = fit(live, x, y, epochs=4, batch=16, lr=2e-2, seed=1)
    zeros = {n.name: n.op.zero for n in tuned.nodes if f"{n.name}.edge_offset" in tuned.params}
    assert sum(zero != 0 for zero in zeros.values()) >= 2, zeros
    frozen = freeze(tuned)
    program = lower(frozen, array)
    assert not offsets(frozen)
    assert confirm(tuned, program, x) == confirm(frozen, program, x)
    for engine in ("numba", "reference"):
        found = run(program, x, engine=engine).outputs["output"]
        assert np.array_equal(found, evaluate_outputs(frozen, x)["output"])


def test_a_resumed_training_has_the_same_zeros(array, samples, signed, tmp_path):
    x, y = samples
    live = methods.use(start_quantized(signed, array, x, bits=4), activations="lsq+")
    live = choose_offsets(live, x)
    how = {"batch": 16, "lr": 2e-2, "seed": 1, "validation": (x, y)}
    whole = fit(live, x, y, epochs=2, **how)
    at = tmp_path / "training.pjc"
    fit(live, x, y, epochs=2, options=Options(checkpoint=at), **how)
    again = fit(live, x, y, epochs=2, options=Options(checkpoint=at, resume=True), **how)
    assert {n.name: n.op for n in again.nodes} == {n.name: n.op for n in whole.nodes}
    assert settled(again) is again and offsets(again)
