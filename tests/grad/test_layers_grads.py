"""Activations, norms, losses, attention: central differences, torch, and what they promise."""

import tracemalloc

import numpy as np
import pytest

from picojoule.grad import activation, loss, norm, ops
from picojoule.grad.attention import TILE, attention
from picojoule.grad.tape import Tensor, backward, check_grads

RNG = np.random.Generator(np.random.Philox(key=[5, 0]))
X = RNG.normal(size=(5, 4))
IMAGES = RNG.normal(size=(3, 4, 5, 4))
GAIN, SHIFT = RNG.normal(size=(2, 4))
SPIKES = RNG.random((3, 6, 4))  # between 0 and 1: the extension that has a gradient
LABELS = np.array([0, 3, 1])
CASES = {
    "leaky_relu": (lambda x: activation.leaky_relu(x, 0.1), X),
    "elu": (lambda x: activation.elu(x, 0.7), X),
    "sigmoid": (activation.sigmoid, 3 * X),
    "tanh": (activation.tanh, X),
    "dropout": (lambda x: activation.dropout(x, 0.4, (1, 2)), X),
    "relu of images": (ops.relu, IMAGES),
    "layer_norm": (lambda x, g, s: norm.layer_norm(x, g, s, 1e-5), IMAGES, GAIN, SHIFT),
    "batch_norm of images": (lambda x, g, s: ops.batch_norm(x, g, s, 1e-5), IMAGES, GAIN, SHIFT),
    "fixed_norm of images": (
        lambda x, g, s: ops.fixed_norm(x, g, s, SHIFT, GAIN**2, 1e-5), IMAGES, GAIN, SHIFT,
    ),
    "mean_squared": (lambda y: loss.mean_squared(y, GAIN), X),
    "first_spike": (loss.first_spike, SPIKES),
    "latency": (lambda s: loss.latency(s, LABELS, tau=2.0), SPIKES),
    "spike_count": (lambda s: loss.spike_count(s, LABELS, true=4, false=1), SPIKES),
    "spike_rate": (lambda s: loss.spike_rate(s, LABELS, true=0.7, false=0.1), SPIKES),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_are_those_of_central_differences(name, seed):
    function, *arrays = CASES[name]
    check_grads(function, *arrays, seed=seed, rtol=1e-6)


# ---------------------------------------------------------------------------------- torch


def compare(ours, theirs, *arrays):
    """Values and all gradients agree with torch to 1e-6, in float64."""
    torch = pytest.importorskip("torch")
    mine = [Tensor(a, wants=True) for a in arrays]
    peers = [torch.from_numpy(np.array(a)).requires_grad_() for a in arrays]
    y, out = ours(*mine), theirs(torch, *peers)
    g = RNG.normal(size=y.shape)
    backward(y, g)
    out.backward(torch.from_numpy(np.asarray(g)))
    assert np.allclose(y.data, out.detach().numpy(), rtol=1e-6)
    for a, b in zip(mine, peers):
        assert np.allclose(a.grad, b.grad.numpy(), rtol=1e-6, atol=1e-12)


PEERS = {
    "relu": lambda t, x: t.relu(x),
    "leaky_relu": lambda t, x: t.nn.functional.leaky_relu(x, 0.1),
    "elu": lambda t, x: t.nn.functional.elu(x, 0.7),
    "sigmoid": lambda t, x: t.sigmoid(x),
    "tanh": lambda t, x: t.tanh(x),
    "relu of images": lambda t, x: t.relu(x),
    "linear": lambda t, *a: t.nn.functional.linear(*a),
    "layer_norm": lambda t, x, g, s: t.nn.functional.layer_norm(x, (4,), g, s),
    "batch_norm": lambda t, x, g, s: t.nn.functional.batch_norm(x, None, None, g, s, True),
    "batch_norm of images": lambda t, x, g, s: t.nn.functional.batch_norm(
        x.permute(0, 3, 1, 2), None, None, g, s, True
    ).permute(0, 2, 3, 1),
    "fixed_norm of images": lambda t, x, g, s: t.nn.functional.batch_norm(
        x.permute(0, 3, 1, 2), t.from_numpy(SHIFT), t.from_numpy(GAIN**2), g, s
    ).permute(0, 2, 3, 1),
    "mean_squared": lambda t, y: t.nn.functional.mse_loss(
        y, t.from_numpy(np.broadcast_to(GAIN, X.shape).copy())
    ),
    "cross_entropy": lambda t, z: t.nn.functional.cross_entropy(z, t.tensor([0, 3, 1, 1, 2])),
}
MORE = {
    **CASES,
    "relu": (ops.relu, X),
    "linear": (ops.linear, X, RNG.normal(size=(3, 4)), RNG.normal(size=3)),
    "batch_norm": (lambda x, g, s: ops.batch_norm(x, g, s, 1e-5), X, GAIN, SHIFT),
    "cross_entropy": (
        lambda z: ops.softmax_cross_entropy(z, np.eye(4)[np.array([0, 3, 1, 1, 2])]), X,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PEERS)
def test_operations_are_torchs(name):
    function, *arrays = MORE[name]
    compare(function, PEERS[name], *arrays)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_torchs(causal):
    many = [RNG.normal(size=(2, TILE + 9, 8)) for _ in range(3)]

    def theirs(torch, *qkv):
        f = torch.nn.functional.scaled_dot_product_attention
        return f(*(t[None] for t in qkv), is_causal=causal)[0]

    compare(lambda q, k, v: attention(q, k, v, causal=causal), theirs, *many)


# -------------------------------------------------------------------------- what they promise


def test_activations_survive_large_numbers():
    x = Tensor(np.array([-1e4, -800.0, 0.0, 800.0, 1e4]), wants=True)
    for function in (activation.sigmoid, activation.elu, activation.tanh):
        y = function(x)
        backward(y)
        assert np.isfinite(y.data).all() and np.isfinite(x.grad).all()


def test_activations_keep_the_type():
    x = Tensor(X.astype(np.float32), wants=True)
    for name in ("leaky_relu", "elu", "sigmoid", "tanh", "dropout"):
        x.grad = None
        y = CASES[name][0](x)
        backward(y)
        assert y.data.dtype == x.grad.dtype == np.float32, name


def test_dropout_draws_by_key_and_keeps_the_mean():
    x = Tensor(np.ones((200, 200)))
    y, again, other = (activation.dropout(x, 0.3, key).data for key in ((1, 2), (1, 2), (1, 3)))
    assert np.array_equal(y, again) and not np.array_equal(y, other)
    assert abs((y == 0).mean() - 0.3) < 0.01 and abs(y.mean() - 1) < 0.02
    assert activation.dropout(x, 0.0, (1, 2)) is x
    with pytest.raises(ValueError, match="rate of dropout"):
        activation.dropout(x, 1.0, (1, 2))


def test_batch_norm_of_images_is_that_of_their_pixels():
    x = RNG.normal(size=(40, 7, 9, 4)) * 3 + 100
    of_images = ops.batch_norm(Tensor(x), Tensor(GAIN), Tensor(SHIFT), 1e-5).data
    of_rows = ops.batch_norm(Tensor(x.reshape(-1, 4)), Tensor(GAIN), Tensor(SHIFT), 1e-5).data
    assert np.allclose(of_images.reshape(-1, 4), of_rows)
    mean, variance = norm.batch_moments(x.astype(np.float32))
    assert np.allclose(mean, x.mean((0, 1, 2))) and np.allclose(variance, x.var((0, 1, 2)), 1e-4)


def test_norms_have_the_same_bits_on_any_number_of_threads(monkeypatch):
    x = RNG.normal(size=(40, 9, 9, 4)).astype(np.float32)
    results = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("PICOJOULE_THREADS", threads)
        leaves = [Tensor(a.astype(np.float32), wants=True) for a in (x, GAIN, SHIFT)]
        y = ops.relu(ops.batch_norm(*leaves, 1e-5))
        backward(y, y.data)
        results.append([y.data, *(leaf.grad for leaf in leaves)])
    for others in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], others))


def test_the_first_spike_is_the_step_where_it_comes():
    spikes = np.zeros((1, 5, 3))
    spikes[0, 2:, 0] = 1
    spikes[0, 0, 1] = 1
    assert loss.first_spike(Tensor(spikes)).data.tolist() == [[2, 0, 5]]


def test_an_earlier_right_spike_lowers_the_latency_loss():
    spikes = np.zeros((1, 5, 2))
    spikes[0, 3, 0] = 1
    late = loss.latency(Tensor(spikes), np.array([0]), tau=1.0)
    spikes[0, 1, 0] = 1
    early = Tensor(spikes, wants=True)
    sooner = loss.latency(early, np.array([0]), tau=1.0)
    assert sooner.data < late.data
    backward(sooner)
    assert early.grad[0, 0, 0] < 0 < early.grad[0, 0, 1]


# ------------------------------------------------------------------------------ attention


def naive(q, k, v, g, causal):
    """(out, gradients of q, k, v), with all weights at once."""
    scale = q.dtype.type(q.shape[-1] ** -0.5)
    scores = (q @ k.swapaxes(1, 2)) * scale
    if causal:
        scores[:, np.triu(np.ones(scores.shape[1:], bool), 1)] = -np.inf
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    of_p = g @ v.swapaxes(1, 2)
    of_scores = p * (of_p - (of_p * p).sum(-1, keepdims=True)) * scale
    return p @ v, of_scores @ k, of_scores.swapaxes(1, 2) @ q, p.swapaxes(1, 2) @ g


def tiled(q, k, v, g, causal):
    leaves = [Tensor(a, wants=True) for a in (q, k, v)]
    out = attention(*leaves, causal=causal)
    backward(out, g)
    return out.data, *(leaf.grad for leaf in leaves)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 5, 32, TILE, TILE + 9, 2 * TILE + 3])
def test_tiled_attention_errs_no_more_than_all_weights_at_once(causal, length):
    rng = np.random.Generator(np.random.Philox(key=[length, causal]))
    exact = [rng.normal(size=(8, length, 16)) for _ in range(4)]
    single = [a.astype(np.float32) for a in exact]
    true = naive(*(a.astype(np.float64) for a in single), causal)
    plain, ours = naive(*single, causal), tiled(*single, causal)
    assert all(np.allclose(a, b) for a, b in zip(naive(*exact, causal), tiled(*exact, causal)))
    for a, b, c in zip(ours, plain, true):
        tiles, whole = (np.square(found - c).mean() ** 0.5 for found in (a, b))
        assert tiles <= 1.03 * whole or length < 32  # the same sums, in another order


def test_queries_may_be_fewer_than_keys():
    q, k, v = (RNG.normal(size=s) for s in ((2, 3, 4), (2, 200, 4), (2, 200, 5)))
    check_grads(attention, q, k, v, rtol=1e-6)


def test_attention_has_the_same_bits_on_any_number_of_threads(monkeypatch):
    arrays = [RNG.normal(size=(3, TILE + 1, 8)).astype(np.float32) for _ in range(4)]
    results = []
    for threads in ("1", "2"):
        monkeypatch.setenv("PICOJOULE_THREADS", threads)
        results.append(tiled(*arrays, True))
    assert all(np.array_equal(a, b) for a, b in zip(*results))


def peak(length, threads="1"):
    arrays = [np.zeros((1, length, 16), np.float32) for _ in range(4)]
    tracemalloc.start()
    tiled(*arrays, True)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found / arrays[0].nbytes


def test_memory_of_attention_is_linear_in_the_length(monkeypatch):
    monkeypatch.setenv("PICOJOULE_THREADS", "1")
    peak(TILE)
    assert peak(8192) < 1.1 * peak(1024)  # per element; with all weights at once 8 times as much


def test_attention_refuses_what_does_not_fit():
    q, k = Tensor(np.ones((1, 3, 4))), Tensor(np.ones((1, 5, 4)))
    with pytest.raises(ValueError, match="does not fit"):
        attention(q, k, k, causal=True)
    with pytest.raises(ValueError, match="does not fit"):
        attention(q, k, q)
