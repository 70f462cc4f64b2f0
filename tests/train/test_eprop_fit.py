"""e-prop as the gradient of `fit`: equal to backpropagation where it must be, and it learns."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import TrainError, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad import ops
from picojoule.grad.tape import Tensor, backward
from picojoule.kernels.train_blocks import Surrogate
from picojoule.train import Options, accuracy, confirm, finetune, fit, start_quantized
from picojoule.train.derivations import constants
from picojoule.train.spiking import score_and_spikes
from picojoule.train.wiring import flatten

EPROP = Options(gradient="eprop", neuron_lr=0.0, gain=0.5)
SURROGATES = [Surrogate(0, 5.0), Surrogate(1, 2.0), Surrogate(4, 3.0)]


def network(reach=1.0, recurrent=False, hidden=(14,), bias=False):
    layers = [nn.CubaLif(features=n, decay_u=0.6, decay_v=0.2, refractory=2, recurrent=recurrent,
                         bias=bias) for n in hidden]  # fmt: skip
    layers.append(nn.CubaLif(features=4, decay_u=0.7, decay_v=0.1, v_th=reach, refractory=3,
                            reach=1.5 / reach**2))  # fmt: skip
    return nn.sequential(layers, encoder=Encoder(kind="rate", shape=(12,), steps=10), steps=10,
                         readout=Readout(kind="count", start=2), seed=4)  # fmt: skip


def gradients(graph, x, gradient, surrogate=SURROGATES[0]):
    """Of all parameters, for random gradients of scores and of how often populations spike."""
    leaves = {n: Tensor(a, wants=True) for n, a in graph.params.items()}
    known = constants(graph, leaves)
    events = graph.encoder.events(x, graph.steps + graph.latency)
    scores, spikes = score_and_spikes(graph, flatten(graph), known, events, surrogate, 1,
                                      gradient=gradient)  # fmt: skip
    rng = np.random.Generator(np.random.Philox(key=[8, 0]))
    weigh = [Tensor(rng.normal(size=a.shape).astype(a.data.dtype)) for a in (scores, spikes)]
    both = [ops.total(ops.reshape(ops.multiply(a, by), (-1,)), 0)
            for a, by in zip((scores, spikes), weigh)]  # fmt: skip
    backward(ops.add(*both))
    return {n: leaf.grad for n, leaf in leaves.items()}, scores.data


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
@pytest.mark.parametrize("reach", [1.0, 64.0], ids=["counts", "voltages"])
def test_without_synapses_among_hidden_neurons_weights_have_their_true_gradient(
    reach, surrogate, data
):
    graph = network(reach)
    graph = graph.with_params({n: a.astype(np.float64) for n, a in graph.params.items()})
    ours, scores = gradients(graph, data[0][:20], "eprop", surrogate)
    theirs, _ = gradients(graph, data[0][:20], "bptt", surrogate)
    assert np.any(scores % 1) == (reach > 1)  # voltages where no output spikes, else counts
    for name in ("fc1.weight", "fc2.weight"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12)
        assert np.abs(theirs[name]).max() > 1e-3
    assert not ours["lif1.decay_u"].any() and theirs["lif1.decay_u"].any()


def test_integers_have_it_too(chip, data):
    live = start_quantized(network(), chip, data[0], bits=8)
    ours, theirs = (gradients(live, data[0][:20], kind)[0] for kind in ("eprop", "bptt"))
    for name in ("fc1.weight", "fc2.weight"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5)
        assert np.abs(theirs[name]).max() > 1e-3


def test_loops_are_left_out(data):
    graph = network(recurrent=True)
    ours, theirs = (gradients(graph, data[0][:20], kind)[0] for kind in ("eprop", "bptt"))
    np.testing.assert_allclose(ours["fc2.weight"], theirs["fc2.weight"], rtol=1e-4, atol=1e-5)
    assert not np.allclose(ours["rec1.weight"], theirs["rec1.weight"], rtol=0.1)
    same = np.corrcoef(ours["fc1.weight"].ravel(), theirs["fc1.weight"].ravel())[0, 1]
    assert 0.5 < same < 0.9999


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_network_learns_by_it_and_is_deployed(recurrent, chip, data):
    graph = network(recurrent=recurrent)
    runs = [fit(graph, *data, epochs=20, lr=1e-2, batch=16, seed=1,
                options=Options(gradient="eprop", neuron_lr=0.0, gain=0.5, threads=threads))
            for threads in (1, 2)]  # fmt: skip
    learned = runs[0]
    assert learned.digest == runs[1].digest
    assert accuracy(graph, *data) < 0.6 and accuracy(learned, *data) >= 0.95
    if recurrent:
        assert not np.array_equal(learned.params["rec1.weight"], graph.params["rec1.weight"])
    frozen, program = finetune(learned, chip, *data, bits=8, epochs=2, lr=1e-3, options=EPROP)
    assert confirm(frozen, program, data[0]) > 0 and accuracy(frozen, *data) >= 0.95


def refused(kind, graph, data, **options):
    with pytest.raises(kind) as caught:
        fit(graph, *data, epochs=1, options=Options(gradient="eprop", **options))
    return str(caught.value)


def test_what_it_cannot_is_refused(dense, data):
    assert "networks of spiking" in refused(UsageError, dense, data)
    text = refused(UsageError, network(bias=True), data, delay_lr=1.0)
    assert text.count("PJ806") == 3
    for name in ("neuron_lr=1.0", "delay_lr=1.0", "bias_lr=1.0"):
        assert name in text
    assert "bias_lr" not in refused(UsageError, network(), data)
    text = refused(TrainError, network(hidden=(8, 8)), data, neuron_lr=0.0)
    assert text.count("PJ704") == 1 and "'lif1'" in text
    with pytest.raises(UsageError, match="gradient='e-prop' is none of"):
        Options(gradient="e-prop")


def test_biases_of_synapses_are_refused_unless_fixed(data):
    graph = network()
    op = graph["fc1"].op
    graph = graph.with_params({"fc1.bias": np.zeros(14, np.float32)})
    graph = graph.swap("fc1", type(op)(weight=op.weight, bias="fc1.bias", features=op.features))
    text = refused(TrainError, graph, data, neuron_lr=0.0)
    assert "PJ704" in text and "fixed=('fc1.bias',)" in text
    kept = Options(gradient="eprop", neuron_lr=0.0, fixed=("fc1.bias",))
    fit(graph, *data, epochs=1, options=kept)
