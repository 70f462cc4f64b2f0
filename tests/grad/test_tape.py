"""The tape and every operation on it."""

import numpy as np
import pytest

from picojoule.grad import ops
from picojoule.grad.optimize import Adam, clip_norm, cosine, layout_of
from picojoule.grad.tape import Tensor, apply, backward, check_grads, unbroadcast

RNG = np.random.Generator(np.random.Philox(key=[1, 0]))
X = RNG.normal(size=(5, 4))


def test_gradients_of_a_tensor_used_twice_add_up():
    x = Tensor(np.array([3.0]), wants=True)
    backward(ops.add(ops.multiply(x, x), x))
    assert x.grad == pytest.approx([7.0])


def test_backward_handles_diamonds_in_the_right_order():
    x = Tensor(np.array([2.0]), wants=True)
    y = ops.multiply(x, x)
    backward(ops.multiply(y, ops.add(y, x)))  # x^4 + x^3
    assert x.grad == pytest.approx([4 * 8 + 3 * 4])


def test_nothing_is_remembered_where_no_gradient_is_wanted():
    y = ops.relu(Tensor(X))
    assert y.inputs == () and y.saved is None and not y.wants


def test_leaves_accumulate_over_calls_and_constants_stay_without():
    x, c = Tensor(np.ones(2), wants=True), Tensor(np.full(2, 3.0))
    for _ in range(2):
        backward(ops.multiply(x, c))
    assert x.grad.tolist() == [6.0, 6.0] and c.grad is None


def test_deep_chains_need_no_recursion():
    x = Tensor(np.ones(1), wants=True)
    y = x
    for _ in range(5000):
        y = ops.scale(y, 1.0)
    backward(y)
    assert x.grad == [1.0]


def test_check_grads_refuses_a_wrong_gradient():
    def wrong(x):
        return apply(lambda a: (a * a, a), lambda a, g: (3 * a * g,), x)

    with pytest.raises(AssertionError, match="slope"):
        check_grads(wrong, X)


@pytest.mark.parametrize("shape", [(), (4,), (1, 4), (5, 1), (5, 4)])
def test_unbroadcast_is_the_transpose_of_broadcasting(shape):
    a, g = RNG.normal(size=shape), RNG.normal(size=(5, 4))
    forward = np.sum(np.broadcast_to(a, g.shape) * g)
    assert forward == pytest.approx(np.sum(a * unbroadcast(g, shape)))


TARGET = ops.smoothed(np.array([0, 3, 1, 1, 2]), 4, 0.1, np.float64)
GAIN, SHIFT = RNG.normal(size=(2, 4))
CASES = {
    "add": (ops.add, X, GAIN),
    "multiply": (ops.multiply, X, GAIN),
    "scale": (lambda x: ops.scale(x, 1.5), X),
    "one_minus": (ops.one_minus, X),
    "total": (lambda x: ops.total(x, 0), X),
    "reshape": (lambda x: ops.reshape(x, (2, 10)), X),
    "spread": (lambda x: ops.spread(x, (5, 4)), GAIN),
    "linear": (ops.linear, X, RNG.normal(size=(3, 4)), RNG.normal(size=3)),
    "relu": (ops.relu, X),
    "batch_norm": (lambda x, g, s: ops.batch_norm(x, g, s, 1e-5), X, GAIN, SHIFT),
    "fixed_norm": (
        lambda x, g, s: ops.fixed_norm(x, g, s, SHIFT, GAIN**2, 1e-5), X, GAIN, SHIFT,
    ),
    "softmax_cross_entropy": (lambda z: ops.softmax_cross_entropy(z, TARGET), X),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_are_those_of_central_differences(name, seed):
    function, *arrays = CASES[name]
    check_grads(function, *arrays, seed=seed)


def test_batch_norm_normalizes():
    out = ops.batch_norm(Tensor(X), Tensor(np.ones(4)), Tensor(np.zeros(4)), 1e-12).data
    assert out.mean(0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert out.var(0) == pytest.approx(np.ones(4))


def test_cross_entropy_survives_large_scores():
    z = Tensor(np.array([[1e4, 0.0], [0.0, 1e4]]), wants=True)
    loss = ops.softmax_cross_entropy(z, np.eye(2))
    assert loss.data == pytest.approx(0.0)
    backward(loss)
    assert np.isfinite(z.grad).all()


def test_smoothed_labels_are_probabilities():
    assert TARGET.sum(1) == pytest.approx(np.ones(5))
    assert TARGET[1] == pytest.approx([0.025, 0.025, 0.025, 0.925])


def test_adam_moves_by_the_rate_at_first_whatever_the_size_of_the_gradient():
    flat = np.zeros(3)
    Adam(3, dtype=np.float64).step(flat, np.array([1e-3, -5.0, 100.0]), 0.1)
    assert flat == pytest.approx([-0.1, 0.1, -0.1], rel=1e-4)


def test_adam_follows_its_recurrence():
    rng = np.random.Generator(np.random.Philox(key=[2, 0]))
    flat, m, v = rng.normal(size=4), np.zeros(4), np.zeros(4)
    own, adam = flat.copy(), Adam(4, decay=0.1, dtype=np.float64)
    for t in range(1, 8):
        g = rng.normal(size=4)
        adam.step(flat, g, 0.01)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        own = own - 0.01 * 0.1 * own
        own = own - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    assert flat == pytest.approx(own, rel=1e-12)


def test_weight_decay_is_masked():
    flat = np.ones(2)
    Adam(2, decay=np.array([0.5, 0.0]), dtype=np.float64).step(flat, np.zeros(2), 0.1)
    assert flat.tolist() == [0.95, 1.0]


def test_cosine_rises_then_falls_to_the_floor():
    factors = [cosine(k, 100, warmup=0.1, floor=0.01) for k in range(101)]
    assert factors[0] == pytest.approx(0.1) and max(factors) == pytest.approx(1.0)
    assert factors[100] == pytest.approx(0.01)
    assert (np.diff(factors[10:]) <= 0).all()


def test_clipping_keeps_direction_and_reports_the_norm():
    g = np.array([3.0, 4.0])
    assert clip_norm(g, 1.0) == 5.0
    assert g == pytest.approx([0.6, 0.8])
    assert clip_norm(g, 2.0) == pytest.approx(1.0) and g == pytest.approx([0.6, 0.8])


def test_flat_views_share_memory():
    arrays = {"a": np.ones((2, 3)), "b": np.array(5.0)}
    layout = layout_of(arrays)
    flat = layout.pack(arrays)
    layout.view(flat, "a")[1, 2] = 9
    assert flat.tolist() == [1, 1, 1, 1, 1, 9, 5]
    assert layout.pack({"b": np.array(2.0)}).tolist() == [0] * 6 + [2]
