"""Shared lists hold exactly the synapses of the dense matrix, however they are cut."""

import numpy as np
import pytest

from picojoule.graph.ops import IntConv, IntPool
from picojoule.passes.shared import cut, lengths, lists, of_conv, of_lists, of_pool


def dense_conv(op, weight):
    """The matrix (outputs, inputs) of a convolution, tap by tap."""
    height, width, channels = op.in_shape
    rows, columns, outputs = op.out_shape
    weight = weight[:, :, ::-1, ::-1] if op.flipped else weight
    out, inputs = outputs // op.groups, channels // op.groups
    matrix = np.zeros((rows, columns, outputs, height, width, channels), np.int64)
    for y, x, a, b, g in np.ndindex(rows, columns, *op.kernel, op.groups):
        iy = y * op.stride[0] + a * op.dilation[0] - op.padding[0]
        ix = x * op.stride[1] + b * op.dilation[1] - op.padding[1]
        if 0 <= iy < height and 0 <= ix < width:
            o, i = slice(g * out, (g + 1) * out), slice(g * inputs, (g + 1) * inputs)
            matrix[y, x, o, iy, ix, i] += weight[o, :, a, b]
    return matrix.reshape(rows * columns * outputs, height * width * channels)


def matrix_of(made, neurons, inputs):
    """The matrix that the operands of deliver_shared stand for."""
    matrix = np.zeros((neurons, inputs), np.int64)
    for axon, (row, base) in enumerate(zip(made.row, made.base)):
        part = slice(made.indptr[row], made.indptr[row + 1])
        np.add.at(matrix[:, made.low + axon], base + made.target[part], made.weight[part])
    return matrix


def random_conv(rng):
    def pair(low, high):
        return tuple(int(v) for v in rng.integers(low, high, 2))

    groups = int(rng.choice([1, 1, 2, 3]))
    return IntConv(
        weight="w", in_shape=(*pair(3, 9), groups * int(rng.integers(1, 3))),
        channels=groups * int(rng.integers(1, 4)), kernel=pair(1, 4), stride=pair(1, 4),
        padding=pair(0, 3), dilation=pair(1, 3), groups=groups, flipped=bool(rng.random() < 0.5),
    )  # fmt: skip


def cuts(rng, size, grain):
    """All of it, some whole positions, some channels of one position."""
    found = [(0, size)]
    for _ in range(4):
        first, last = sorted(rng.integers(0, size // grain + 1, 2))
        low, high = sorted(rng.integers(0, grain + 1, 2))
        place = int(rng.integers(0, size // grain)) * grain
        found += [(first * grain, last * grain), (place + low, place + high)]
    return [(int(a), int(b)) for a, b in found if b > a]


def agree(shared, matrix, rng):
    for start, stop in cuts(rng, len(matrix), shared.grain):
        part, made = matrix[start:stop], cut(shared, start, stop)
        if made.axons == 0:
            assert not part.any()
            continue
        operands = lists(shared, made)
        assert np.array_equal(matrix_of(operands, stop - start, matrix.shape[1]), part)
        sizes, counted = np.diff(operands.indptr), lengths(shared, made)
        assert sorted(sizes[sizes > 0]) == sorted(counted[counted > 0])
        assert operands.base.min() >= 0 and operands.base.max() < stop - start


@pytest.mark.parametrize("seed", range(30))
def test_convolution_and_pooling(seed):
    rng = np.random.default_rng(seed)
    op = random_conv(rng)
    if op.complaints():
        pytest.skip("a window larger than the image")
    inputs = op.in_shape[2] // op.groups
    weight = rng.choice([-5, -3, 2, 7], (op.channels, inputs, *op.kernel))
    agree(of_conv(op, weight), dense_conv(op, weight), rng)
    window = {"in_shape": op.in_shape, "kernel": op.kernel, "stride": op.stride,
              "padding": op.padding}  # fmt: skip
    pool, channels = IntPool(weight="w", **window), op.in_shape[2]
    if pool.complaints():
        return
    same = IntConv(weight="w", channels=channels, groups=channels, **window)
    matrix = dense_conv(same, np.full((channels, 1, *op.kernel), 3))
    agree(of_pool(pool, np.array(3)), matrix, rng)


@pytest.mark.parametrize("seed", range(15))
def test_population_weights(seed):
    rng = np.random.default_rng(seed)
    inputs, neurons, kinds = (int(rng.integers(*bounds)) for bounds in ((1, 9), (4, 20), (1, 4)))
    sizes = rng.integers(0, 4, kinds)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    target, weight = rng.integers(-1, 3, indptr[-1]), rng.integers(1, 9, indptr[-1])
    row, base = rng.integers(0, kinds, inputs), rng.integers(1, neurons - 2, inputs)
    matrix = np.zeros((neurons, inputs), np.int64)
    for i in range(inputs):
        part = slice(indptr[row[i]], indptr[row[i] + 1])
        np.add.at(matrix[:, i], base[i] + target[part], weight[part])
    agree(of_lists(row, base, indptr, target, weight), matrix, rng)


def test_memory_is_kernel_times_classes():
    """Stride 1 without padding: 3 x 3 places along an image's border and inside, each class
    with its part of the kernel, whatever the size of the image."""
    for side in (12, 40):
        op = IntConv(weight="w", in_shape=(side, side, 2), channels=4, kernel=(3, 3))
        shared = of_conv(op, np.ones((4, 2, 3, 3), np.int64))
        made = lists(shared, cut(shared, 0, (side - 2) ** 2 * 4))
        assert shared.indptr.size - 1 == 25  # per axis 1, 2, 3, 2, 1 taps
        assert made.weight.size == (1 + 2 + 3 + 2 + 1) ** 2 * 2 * 4
    pool = IntPool(weight="w", in_shape=(40, 40, 16), kernel=(2, 2), stride=(2, 2))
    shared = of_pool(pool, np.array(1))
    assert lists(shared, cut(shared, 0, 20 * 20 * 16)).weight.size == 4  # one a stride phase
