"""Convolution and pooling: central differences, torch, threads, and the exact integer twin."""

import itertools

import numpy as np
import pytest

from picojoule.grad import convolution
from picojoule.grad.tape import Tensor, backward, check_grads
from picojoule.kernels import convolution as kernels
from picojoule.kernels.convolution import convolution_gradients, convolve
from picojoule.kernels.pooling import max_pool, max_pool_gradient, sum_pool, sum_pool_gradient
from picojoule.kernels.tensor import carrier_of
from picojoule.kernels.tensor_image import conv_int, shifted
from picojoule.kernels.window import Window

RNG = np.random.Generator(np.random.Philox(key=[4, 0]))
GEOMETRIES = {
    "same": ((6, 7, 3), 5, (3, 3), {"padding": (1, 1, 1, 1)}),
    "one channel": ((9, 8, 1), 16, (3, 3), {"padding": (1, 1, 1, 1)}),
    "valid": ((8, 9, 2), 20, (5, 3), {}),
    "pointwise": ((4, 5, 6), 33, (1, 1), {}),
    "strided": ((9, 8, 3), 4, (3, 2), {"stride": (2, 3), "padding": (1, 0, 2, 1)}),
    "stride skips": ((5, 5, 2), 3, (2, 2), {"stride": (3, 3)}),
    "padding beyond the kernel": ((3, 3, 2), 3, (2, 2), {"padding": (2, 3, 2, 2)}),
    "dilated": ((9, 9, 2), 3, (3, 3), {"dilation": (2, 3), "padding": (2, 3, 2, 3)}),
    "grouped": ((5, 6, 4), 6, (3, 3), {"groups": 2, "padding": (1, 1, 1, 1)}),
    "depthwise": ((5, 6, 4), 4, (3, 3), {"groups": 4, "stride": (2, 2)}),
    "one pixel": ((1, 1, 3), 2, (1, 1), {}),
}


def problem(name, n=3, dtype=np.float64):
    (h, w, c), out, kernel, options = GEOMETRIES[name]
    shapes = ((n, h, w, c), (out, c // options.get("groups", 1), *kernel), (out,))
    return [RNG.normal(size=s).astype(dtype) for s in shapes], options


def split(options, weight):
    options = dict(options)
    groups = options.pop("groups", 1)
    return Window(kernel=weight.shape[2:], **options), groups


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_gradients_of_convolution_are_those_of_central_differences(name, relu):
    arrays, options = problem(name)
    check_grads(lambda *t: convolution.conv(*t, **options, relu=relu), *arrays, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", sorted(set(GEOMETRIES) - {"one pixel"}))
def test_pooling_within_is_pooling_after(name, relu, dtype):
    arrays, options = problem(name, 19, dtype)
    results = []
    for within in (False, True):
        leaves = [Tensor(a, wants=True) for a in arrays]
        y = convolution.conv(*leaves, **options, relu=relu, pool=within)
        if not within:
            y = convolution.max_pool(y, kernel=(2, 2), stride=(2, 2))
        backward(y, y.data + 1)
        results.append([y.data, *(leaf.grad for leaf in leaves)])
    assert all(np.array_equal(a, b) for a, b in zip(*results))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_float32_equals_float64_to_rounding(name, relu):
    arrays, options = problem(name, 19)
    window, groups = split(options, arrays[1])
    single = [a.astype(np.float32) for a in arrays]
    fast = convolve(*single, window, groups=groups, relu=relu)
    y = convolve(*arrays, window, groups=groups, relu=relu)
    assert fast.dtype == np.float32
    assert np.allclose(fast, y, atol=1e-4)
    g = RNG.normal(size=y.shape) * (np.abs(y) > 1e-3)
    common = {"groups": groups, "y": y if relu else None}
    ours = convolution_gradients(g.astype(np.float32), *single[:2], window, **common)
    plain = convolution_gradients(g, *arrays[:2], window, **common)
    for a, b in zip((ours.x, ours.weight, ours.bias), (plain.x, plain.weight, plain.bias)):
        assert a.dtype == np.float32 and a.shape == b.shape
        assert np.allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("size", [*itertools.product((1, 3, 7, 13, 14, 28, 30), (2, 16, 40))])
def test_every_width_of_row_and_of_channels_fits_the_tiles(size):
    width, out = size
    x = RNG.normal(size=(2, 4, width, 3)).astype(np.float32)
    weight = RNG.normal(size=(out, 3, 3, 3)).astype(np.float32)
    window = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    found = convolve(x, weight, None, window)
    plain = convolve(x.astype(float), weight.astype(float), None, window)
    assert np.allclose(found, plain, atol=1e-4)
    g = RNG.normal(size=found.shape).astype(np.float32)
    ours = convolution_gradients(g, x, weight, window)
    exact = convolution_gradients(g.astype(float), x.astype(float), weight.astype(float), window)
    assert np.allclose(ours.x, exact.x, atol=1e-3)
    assert np.allclose(ours.weight, exact.weight, atol=1e-3)
    assert np.allclose(ours.bias, exact.bias, atol=1e-3)


@pytest.mark.parametrize("name", ["same", "strided", "grouped"])
def test_bits_do_not_depend_on_the_number_of_threads(name):
    (x, weight, bias), options = problem(name, 37, np.float32)
    window, groups = split(options, weight)
    results = []
    for threads in (1, 2, 4):
        y = convolve(x, weight, bias, window, groups=groups, threads=threads)
        found = convolution_gradients(y, x, weight, window, groups=groups, threads=threads)
        results.append([y, found.x, found.weight, found.bias])
    for others in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], others))


def test_a_gradient_of_the_input_is_left_out_where_it_is_not_wanted():
    (x, weight, _), options = problem("same", dtype=np.float32)
    window, _ = split(options, weight)
    g = np.ones((3, 6, 7, 5), np.float32)
    found = convolution_gradients(g, x, weight, window, wants_x=False)
    assert found.x is None
    assert np.array_equal(found.weight, convolution_gradients(g, x, weight, window).weight)


def test_an_empty_batch_gives_empty_images_and_no_gradient():
    (x, weight, bias), options = problem("same", dtype=np.float32)
    window, _ = split(options, weight)
    y = convolve(x[:0], weight, bias, window)
    assert y.shape == (0, 6, 7, 5)
    assert not convolution_gradients(y, x[:0], weight, window).weight.any()


def test_shapes_that_do_not_fit_are_refused():
    (x, weight, bias), options = problem("same", dtype=np.float32)
    window, _ = split(options, weight)
    wrong = [
        (x[..., :2], weight, window), (x, weight[:, :2], window), (x[0], weight, window),
        (x, weight, Window(kernel=(5, 3))), (x[:, :1, :1], weight, Window(kernel=(3, 3))),
        (x, weight, Window(kernel=(3, 3), padding=(-1, 0, 0, 0))),
    ]  # fmt: skip
    for images, many, where in wrong:
        for function in (convolve, kernels.convolve_pooled):
            with pytest.raises(ValueError, match="do not fit"):
                function(images, many, bias, where)
    with pytest.raises(ValueError, match="a gradient"):
        convolution_gradients(x[..., :2], x, weight, window)
    y, which = kernels.convolve_pooled(x, weight, bias, window)
    for seen in ({"y": y[1:], "which": which}, {"which": which[..., :1]}):
        with pytest.raises(ValueError, match="a result of another shape"):
            convolution_gradients(y, x, weight, window, **seen)


def test_what_is_not_a_number_stays_in_sight():
    (x, weight, bias), options = problem("same", dtype=np.float32)
    x[0, 0, 0, 0] = np.nan
    window, _ = split(options, weight)
    assert np.isnan(convolve(x, weight, bias, window, relu=True)).any()
    assert np.isnan(max_pool(x, Window(kernel=(2, 2), stride=(2, 2)))[0]).any()
    assert np.isnan(max_pool(x, Window(kernel=(3, 2)))[0]).any()


def test_without_compiled_tiles_the_same_comes_out(monkeypatch):
    (x, weight, bias), options = problem("strided", 5, np.float32)
    window, _ = split(options, weight)
    fast = convolve(x, weight, bias, window)
    monkeypatch.setattr(kernels, "_tiles", lambda *_: False)
    assert np.allclose(convolve(x, weight, bias, window), fast, atol=1e-5)


# ------------------------------------------------------------------------------- integers


def loops(x, weight, bias, window, zero, groups):
    """The definition, one multiplication at a time, in Python's own integers."""
    top, left = window.padding[:2]
    rows, columns = window.out_size(*x.shape[1:3])
    many, depth = len(weight), weight.shape[1]
    y = np.zeros((len(x), rows, columns, many), object)
    for at in np.ndindex(y.shape):
        n, i, j, o = at
        total = int(bias[o])
        for c, ky, kx in np.ndindex(weight.shape[1:]):
            row = i * window.stride[0] + ky * window.dilation[0] - top
            column = j * window.stride[1] + kx * window.dilation[1] - left
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                channel = o // (many // groups) * depth + c
                total += (int(x[n, row, column, channel]) - zero) * int(weight[o, c, ky, kx])
        y[at] = (total + 2**31) % 2**32 - 2**31
    return y


@pytest.mark.parametrize("reach", [127, 2**11, 2**15 - 1, 2**31 - 1])
@pytest.mark.parametrize("name", ["same", "strided", "dilated", "grouped"])
def test_integers_are_exact_on_every_carrier(name, reach):
    (x, weight, bias), options = problem(name, 1)
    x = RNG.integers(-reach, reach, x.shape, endpoint=True)
    weight = RNG.integers(-reach, reach, weight.shape, endpoint=True)
    bias = RNG.integers(-(2**20), 2**20, bias.shape)
    window, groups = split(options, weight)
    for zero in (0, -5):
        carrier = carrier_of(int(np.abs(x - zero).max()), weight, bias)
        found = conv_int(shifted(x, zero, carrier), weight, bias, window, groups)
        assert found.dtype == np.int32
        assert np.array_equal(found, loops(x, weight, bias, window, zero, groups))


# ------------------------------------------------------------------------------------ pools

POOLS = {
    "two": ((2, 2), (2, 2), (0, 0, 0, 0)),
    "odd": ((3, 2), (1, 2), (0, 0, 0, 0)),
    "padded": ((3, 3), (2, 2), (1, 1, 1, 1)),
    "lopsided": ((2, 3), (2, 1), (1, 0, 0, 2)),
}
IMAGE = RNG.normal(size=(3, 7, 6, 5))


@pytest.mark.parametrize("name", POOLS)
def test_gradients_of_pools_are_those_of_central_differences(name):
    options = dict(zip(("kernel", "stride", "padding"), POOLS[name]))
    check_grads(lambda x: convolution.max_pool(x, **options), IMAGE, rtol=1e-6)
    for count in (False, True):
        check_grads(
            lambda x, c=count: convolution.average_pool(x, **options, count_padding=c),
            IMAGE, rtol=1e-6,
        )  # fmt: skip
    check_grads(convolution.global_average_pool, IMAGE, rtol=1e-6)


@pytest.mark.parametrize("name", POOLS)
def test_pools_of_integers_count_what_lies_in_the_image(name):
    kernel, stride, padding = POOLS[name]
    window = Window(kernel=kernel, stride=stride, padding=padding)
    x = RNG.integers(-128, 128, (2, 7, 6, 3)).astype(np.int8)
    rows, columns = window.out_size(7, 6)
    largest, sums = max_pool(x, window)[0], sum_pool(x, window, np.int32)
    for n, i, j, c in np.ndindex(2, rows, columns, 3):
        r, s = i * stride[0] - padding[0], j * stride[1] - padding[1]
        seen = x[n, max(r, 0) : r + kernel[0], max(s, 0) : s + kernel[1], c].astype(int)
        assert largest[n, i, j, c] == seen.max() and sums[n, i, j, c] == seen.sum()


def test_the_first_of_equals_gets_the_gradient():
    x = Tensor(np.ones((1, 2, 2, 1)), wants=True)
    backward(convolution.max_pool(x, kernel=(2, 2), stride=(2, 2)))
    assert x.grad.ravel().tolist() == [1, 0, 0, 0]


def test_pools_have_the_same_bits_on_any_number_of_threads():
    x = RNG.normal(size=(21, 7, 6, 5)).astype(np.float32)
    window = Window(kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
    one, two = ([*max_pool(x, window, t), sum_pool(x, window, np.float32, t)] for t in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two))
    back = [
        (
            max_pool_gradient(one[0], one[1], window, x.shape, t),
            sum_pool_gradient(one[2], window, x.shape, t),
        )
        for t in (1, 2)
    ]
    assert all(np.array_equal(a, b) for a, b in zip(*back))


# ------------------------------------------------------------------------------------ torch


@pytest.mark.parametrize("name", GEOMETRIES)
def test_convolution_is_torchs(name):
    torch = pytest.importorskip("torch")
    arrays, options = problem(name)
    ours = [Tensor(a, wants=True) for a in arrays]
    y = convolution.conv(*ours, **options)
    g = RNG.normal(size=y.shape)
    backward(y, g)
    peers = [torch.from_numpy(a).requires_grad_() for a in arrays]
    top, left, bottom, right = options.get("padding", (0, 0, 0, 0))
    image = torch.nn.functional.pad(peers[0].permute(0, 3, 1, 2), (left, right, top, bottom))
    rest = {k: v for k, v in options.items() if k != "padding"}
    out = torch.nn.functional.conv2d(image, peers[1], peers[2], **rest).permute(0, 2, 3, 1)
    out.backward(torch.from_numpy(g))
    assert np.allclose(y.data, out.detach().numpy(), rtol=1e-6)
    for a, b in zip(ours, peers):
        assert np.allclose(a.grad, b.grad.numpy(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["two", "odd", "padded"])
def test_pools_are_torchs(name):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    kernel, stride, padding = POOLS[name]
    peer = torch.from_numpy(IMAGE).permute(0, 3, 1, 2).requires_grad_()
    pads = padding[:2]
    pairs = {
        "max": (
            lambda x: convolution.max_pool(x, kernel=kernel, stride=stride, padding=padding),
            lambda x: f.max_pool2d(x, kernel, stride, pads),
        ),
        **{
            count: (
                lambda x, c=count: convolution.average_pool(
                    x, kernel=kernel, stride=stride, padding=padding, count_padding=c
                ),
                lambda x, c=count: f.avg_pool2d(x, kernel, stride, pads, count_include_pad=c),
            )
            for count in (False, True)
        },
    }
    for ours, theirs in pairs.values():
        x = Tensor(IMAGE, wants=True)
        y, peer.grad = ours(x), None
        out = theirs(peer)
        g = RNG.normal(size=y.shape)
        backward(y, g)
        out.backward(torch.from_numpy(g).permute(0, 3, 1, 2))
        assert np.allclose(y.data, out.detach().permute(0, 2, 3, 1).numpy())
        assert np.allclose(x.grad, peer.grad.permute(0, 2, 3, 1).numpy())
