"""Optimizers, schedules and running averages on flat buffers."""

import numpy as np
import pytest

from picojoule.grad.optimize import (
    OPTIMIZERS,
    SCHEDULES,
    Adam,
    Momentum,
    constant,
    follow,
    linear,
    spans,
    staircase,
)

SIZE = 200_003  # several blocks of the kernels, the last one short


def buffers(size=SIZE, dtype=np.float32):
    rng = np.random.Generator(np.random.Philox(key=[9, 0]))
    return tuple(rng.normal(size=size).astype(dtype) for _ in range(3))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_threads_do_not_change_a_bit(name):
    flat, g, other = buffers()
    ends = []
    for threads in (1, 2, 3):
        decay = np.where(np.arange(SIZE) < 70_001, 0.1, 0.0)
        moved, made = flat.copy(), OPTIMIZERS[name](SIZE, decay=decay)
        made.step(moved, g, 0.01, threads)
        made.step(moved, other, 0.02, threads)
        follow(moved, flat, 0.9, threads)
        ends.append(moved.tobytes())
    assert ends[0] == ends[1] == ends[2]


def test_adam_in_float32_is_the_array_recurrence_to_the_bit():
    flat, g, other = buffers(1000)
    own, made = flat.copy(), Adam(1000, decay=0.1)
    first, second, kind = np.zeros_like(flat), np.zeros_like(flat), np.float32
    for count, slope in enumerate((g, other, g), 1):
        made.step(flat, slope, 0.01)
        first += kind(1 - 0.9) * (slope - first)
        second += kind(1 - 0.999) * (slope * slope - second)
        root = np.sqrt(second / kind(1 - 0.999**count)) + kind(1e-8)
        own -= kind(0.01) * kind(0.1) * own
        own -= kind(0.01) / kind(1 - 0.9**count) * first / root
    assert flat.tobytes() == own.tobytes()


def test_rates_and_decays_of_elements_are_kept_in_spans():
    factor, decay = np.array([1.0, 1.0, 2.0, 2.0, 2.0]), np.array([0.5, 0.5, 0.5, 0.0, 0.0])
    assert spans(5, factor, decay) == [(0, 2, 1.0, 0.5), (2, 3, 2.0, 0.5), (3, 5, 2.0, 0.0)]
    assert spans(0, 1.0, 0.0) == []
    flat = np.ones(5)
    Adam(5, factor=factor, decay=decay, dtype=np.float64).step(flat, np.zeros(5), 0.1)
    assert flat.tolist() == [0.95, 0.95, 0.9, 1.0, 1.0]


def test_momentum_follows_its_recurrence():
    flat, g, other = buffers(5, np.float64)
    own, velocity, made = flat.copy(), 0.0, Momentum(5, decay=0.2, keep=0.8, dtype=np.float64)
    for slope in (g, other):
        made.step(flat, slope, 0.05)
        velocity = 0.8 * velocity + slope + 0.2 * own
        own = own - 0.05 * velocity
    np.testing.assert_allclose(flat, own, rtol=1e-12)


TWINS = {
    "adamw": lambda torch, p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "adam": lambda torch, p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "sgd": lambda torch, p: torch.optim.SGD(p, lr=0.01, weight_decay=0.1, momentum=0.9),
    "nesterov": lambda torch, p: torch.optim.SGD(
        p, lr=0.01, weight_decay=0.1, momentum=0.9, nesterov=True
    ),
}


@pytest.mark.parametrize("name", sorted(TWINS))
def test_torch_moves_alike(name):
    torch = pytest.importorskip("torch")
    flat, *slopes = buffers(50, np.float64)
    theirs = torch.tensor(flat.copy(), requires_grad=True)
    twin, ours = TWINS[name](torch, [theirs]), OPTIMIZERS[name](50, decay=0.1, dtype=np.float64)
    for g in slopes * 3:
        theirs.grad = torch.tensor(g)
        twin.step()
        ours.step(flat, g, 0.01)
    np.testing.assert_allclose(flat, theirs.detach().numpy(), rtol=1e-6)


def test_the_state_of_an_optimizer_is_its_buffers_and_count():
    flat, g, other = buffers(100)
    for name, make in OPTIMIZERS.items():
        one, two = make(100), make(100)
        moved = flat.copy()
        one.step(moved, g, 0.1)
        two.buffers, two.count = {n: b.copy() for n, b in one.buffers.items()}, one.count
        resumed = moved.copy()
        one.step(moved, other, 0.1)
        two.step(resumed, other, 0.1)
        assert moved.tobytes() == resumed.tobytes(), name


def test_schedules_start_and_end_where_they_say():
    for name, schedule in SCHEDULES.items():
        factors = [schedule(k, 200, warmup=0.1) for k in range(200)]
        assert factors[0] == pytest.approx(0.05), name
        assert max(factors) == pytest.approx(1.0) and min(factors) >= 0.0, name
    assert linear(150, 200, 0.0, 0.0) == pytest.approx(0.25)
    assert constant(150, 200) == 1.0
    assert [staircase(k, 100) for k in (0, 49, 50, 75)] == pytest.approx([1, 1, 0.1, 0.01])
