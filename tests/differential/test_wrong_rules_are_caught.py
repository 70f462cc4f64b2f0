"""A trainer whose arithmetic is not the machine's cannot hand over a program."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import TrainError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.profile import SPIKING
from picojoule.graph import derive
from picojoule.kernels import pooling
from picojoule.kernels import tensor as kernels
from picojoule.kernels import tensor_image as image_kernels
from picojoule.train import derivations, finetune, spiking, tensor, tensor_image

DIFFERS = re.compile(
    r"PJ703.* (\d+) of (\d+) values of '(\S+)' differ; first at \[([\d, ]+)\]:"
    r" (\S+) in training, (\S+) in the program"
)


def network(machine):
    if machine == "tensor":
        return nn.dense_network([6, 8, 8, 3], seed=1, residual=True)
    if machine == "image":
        layers = [nn.Conv(4), nn.Relu(), nn.MaxPool(2), nn.Conv(3), nn.Tanh(), nn.AveragePool(2),
                  nn.Dense(3)]  # fmt: skip
        encoder = Encoder(kind="affine", shape=(8, 8, 1), step=1 / 127)
        return nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1)
    return nn.spiking_network([6, 8, 3], steps=6, seed=1, decay_u=0.3, decay_v=0.1)


def tune(machines, machine):
    """Two epochs on 24 samples."""
    rng = np.random.default_rng(0)
    x, y = rng.random((24, *((8, 8, 1) if machine == "image" else (6,)))), np.arange(24) % 3
    on = "tensor" if machine == "image" else machine
    return finetune(network(machine), machines[on], x, y, bits=4, epochs=2, batch=8)


def found_in(error):
    """[(how many, of how many, array, index, ours, theirs)] of a PJ703."""
    assert error.faults and all(fault.code == "PJ703" for fault in error.faults)
    matches = [DIFFERS.search(str(fault)) for fault in error.faults]
    assert all(matches), str(error)
    return [
        (int(m[1]), int(m[2]), m[3], [int(i) for i in m[4].split(",")], m[5], m[6])
        for m in matches if m
    ]  # fmt: skip


def truncated(x, step, *, low, high):
    """Rounds towards zero where rule T8 rounds to nearest."""
    step = np.asarray(step, np.float64)
    step = derive.by_row(step, np.ndim(x))
    return np.clip(np.trunc(np.asarray(x, np.float64) / step), low, high).astype(np.int64)


def rounded_once(acc, multiplier, exponent, zero, low, high, fraction=0):
    """Requantizes in reals, rounding once where T4 rounds down at the end."""
    exact = acc * (multiplier * 2.0 ** (exponent - 31.0))
    return np.clip(np.floor(exact) + zero, low, high).astype(np.int64)


def without_last_input(x, weight, bias, zero_in, shift, threads):
    return kernels.int_matmul(x[:, :-1], np.ascontiguousarray(weight[:, :-1]), bias, zero_in)


def places_rounded_once(acc, multiplier, exponent, zero, low, high, dtype, fraction):
    return rounded_once(acc, multiplier, exponent, zero, low, high).astype(dtype)


def shifted_window(x, weight, bias, window, groups, shift):
    """Reads the kernel from right to left."""
    return image_kernels.conv_int(x, weight[..., ::-1], bias, window, groups)


def smallest(x, window):
    """A pool that takes the least integer."""
    y, which = pooling.max_pool(-x.astype(np.int32), window)
    return (-y).astype(x.dtype), which


def one_row_too_few(x, window, dtype):
    """Sums over the image moved by a row."""
    return pooling.sum_pool(np.roll(x, 1, axis=1), window, dtype)


def padded_with_ones(x, zero, carrier):
    """Forgets the zero point: what padding stands for is no longer 0."""
    return image_kernels.shifted(x, zero + 1, carrier)


def plain_sum(a, b, zero_a, zero_b, left_shift, scaling, zero, low, high):
    return np.clip(a.astype(np.int64) + b, low, high)


def profile(**changes):
    return {**SPIKING, "loihi1": replace(SPIKING["loihi1"], **changes)}


# name -> (machine, module of the trainer, what is patched there, by what)
BROKEN = {
    "requantize": ("tensor", tensor, "requantize_array", rounded_once),
    "matmul": ("tensor", tensor, "int_matmul", without_last_input),
    "add": ("tensor", tensor, "add_array", plain_sum),
    "conv requantize": ("image", tensor_image, "requantize_places", places_rounded_once),
    "conv window": ("image", tensor_image, "conv_int", shifted_window),
    "conv zero": ("image", tensor_image, "shifted", padded_with_ones),
    "max pool": ("image", tensor_image, "max_pool", smallest),
    "sum pool": ("image", tensor_image, "sum_pool", one_row_too_few),
    "decay offset": ("loihi1", spiking, "SPIKING", profile(u_decay_offset=0)),
    "weight shift": ("loihi1", spiking, "SPIKING", profile(weight_shift=5)),
    "decay bits": ("loihi1", spiking, "SPIKING", profile(decay_bits=11)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_stops_fine_tuning(name, machines, monkeypatch):
    machine, module, attribute, wrong = BROKEN[name]
    monkeypatch.setattr(module, attribute, wrong)
    with pytest.raises(TrainError) as caught:
        tune(machines, machine)
    for count, size, array, index, ours, theirs in found_in(caught.value):
        assert 0 < count <= size and ours != theirs
        assert array == "output" or array.partition(".")[0] in ("spikes", "u", "v")
        assert len(index) == (3 if array == "spikes" else 2)


def test_one_integer_is_named_with_both_numbers(machines, monkeypatch):
    """Sample 3, class 1 is 7 too large."""

    def off_by_seven(x, weight, bias, zero_in, shift, threads):
        out = kernels.int_matmul(x, weight, bias, zero_in)
        out[3:4, 1] += 7 * (len(weight) == 3)
        return out

    monkeypatch.setattr(tensor, "int_matmul", off_by_seven)
    with pytest.raises(TrainError) as caught:
        tune(machines, "tensor")
    ((count, size, array, index, ours, theirs),) = found_in(caught.value)
    assert (count, size, array, index) == (1, 72, "output", [3, 1])
    assert int(ours) == int(theirs) + 7


def other_table(step_in, step_out, **options):
    """Entries rounded down where rule T12 rounds to nearest."""
    table = derive.lookup_table(step_in, step_out * 0.999, **options)
    return np.clip(table - 1, options["low"], options["high"])


DERIVED = {
    ("image", "quantize"): truncated,
    ("image", "lookup_table"): other_table,
    ("tensor", "quantize"): truncated,
    ("loihi1", "mantissa"): lambda x, step, *, dropped, **limits: (
        truncated(x, step, **limits) << dropped
    ),
}


@pytest.mark.parametrize(("machine", "function"), DERIVED)
def test_a_constant_derived_otherwise_in_training_stops_fine_tuning(
    machine, function, machines, monkeypatch
):
    """`confirm` must see the integers that were trained, not only those that were frozen."""
    wrong = {**derive.FUNCTIONS, function: DERIVED[machine, function]}
    monkeypatch.setattr(derivations, "FUNCTIONS", wrong)
    with pytest.raises(TrainError) as caught:
        tune(machines, machine)
    assert found_in(caught.value)


@pytest.mark.parametrize("machine", ["tensor", "image", "loihi1"])
def test_right_rules_pass(machine, machines):
    frozen, program = tune(machines, machine)
    assert frozen.frozen and program.instructions
