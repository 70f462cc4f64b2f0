"""Quantized graphs keep live parameters, leave pins alone, and warn of what they spoil."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from passes_nets import Net, samples, spiking_net, tensor_net

from picojoule.errors import CheckError, UsageError
from picojoule.fixed.contract import Encoder, events_from_raster
from picojoule.fixed.format import Format, Scale
from picojoule.fixed.profile import SPIKING
from picojoule.graph import Pinned
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import Dense, Input
from picojoule.passes import PicojouleWarning, freeze, lower, quantize, schedule_delays
from picojoule.passes.as_real import as_real
from picojoule.passes.calibrate import Peaks
from picojoule.passes.choose_exponents import Levels, choose_units
from picojoule.sim.run import run


def test_derivations_live_over_the_first_parameters(systolic):
    graph = tensor_net()
    made = quantize(graph, systolic, samples(graph))
    assert not made.frozen and made.machine == "systolic_int8"
    assert all(np.array_equal(made.params[name], value) for name, value in graph.params.items())
    chain = [made.derived["fc1.weight_q"].inputs, made.derived["fc1.weight_folded"].inputs]
    assert chain == [("fc1.weight_folded", "fc1.step_w"),
                     ("fc1.weight", "bn1.gain", "bn1.variance")]  # fmt: skip
    moved = made.with_params({"fc1.weight": 2 * graph.params["fc1.weight"]})
    assert not np.array_equal(moved.value("fc1.weight_q"), made.value("fc1.weight_q"))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_spiking_integers_stand_for_the_reals(bits, loihi):
    graph = spiking_net(1, bias=np.linspace(-0.2, 0.3, 30))
    made = quantize(graph, loihi, samples(graph), bits=bits)
    step, op = float(made.value("lif1.step")), made["lif1"].op
    profile = SPIKING["loihi1"]
    v_th = made.value(op.v_th) * 2**profile.weight_shift * step
    assert np.allclose(v_th, 1.0, rtol=2e-3)
    bias = made.value(op.bias) * 2**op.bias_exponent * step
    assert np.abs(bias - graph.params["lif1.bias"]).max() <= 2**op.bias_exponent * step
    for name in ("fc1", "rec1"):
        synapse = made[name].op
        assert synapse.bits == bits and synapse.dropped == 9 - bits
        weight, real = made.value(synapse.weight), graph.params[f"{name}.weight"]
        assert np.all(weight % 2**synapse.dropped == 0)
        assert weight.min() >= -256 and weight.max() <= 254
        effective = weight * 2.0**synapse.exponent * 2**profile.weight_shift * step
        assert np.array_equal(effective * 2**9, np.rint(effective / step) * step * 2**9)
        least = {2: 0.9, 4: 0.99, 8: 0.9999}[bits]
        assert np.corrcoef(effective.ravel(), real.ravel())[0, 1] > least
        inside = np.abs(real) < 0.5 * np.abs(real).max()
        assert np.abs(effective - real)[inside].max() <= float(made.value(synapse.step_w))
    assert made.value("lif1.decay_u_q") == 4095 - 2048 and made.value("lif1.decay_v_q") == 1024


def test_units_leave_headroom_and_share_one_step():
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.3, (20, 20)), rng.normal(0, 0.01, (20, 5))]
    profile, levels = SPIKING["loihi1"], Levels(8)
    peaks = Peaks(q=0.7, u=3.0)
    units = choose_units(weights, levels, profile, 1.0, 0.5, peaks)
    assert 4 * peaks.q / units.step <= 2**21 and 4 * peaks.u / units.step <= 2**23
    assert 1.0 / units.step <= 131071 * 64
    assert 0.5 / units.step <= 4095 * 2**units.bias_exponent
    assert units.exponents[0] - units.exponents[1] in (4, 5, 6)  # 0.3 / 0.01 is about 2**4.9
    half = choose_units(weights, levels, profile, 1.0, 0.5, Peaks(0.7, 60.0))
    assert half.step > units.step


def test_levels_of_mixed_weights():
    assert [(Levels(b).low, Levels(b).high, Levels(b).dropped) for b in (8, 4, 2)] == [
        (-128, 127, 1), (-8, 7, 5), (-2, 1, 7)]  # fmt: skip


def test_integer_nodes_and_pins_pass_through(loihi, systolic):
    for graph, target in ((tensor_net(), systolic), (spiking_net(), loihi)):
        frozen = freeze(schedule_delays(quantize(graph, target, samples(graph)), target))
        again = freeze(schedule_delays(quantize(frozen, target), target))
        assert again == frozen
        assert lower(again, target) == lower(frozen, target)


def test_a_pinned_weight_is_used_as_it_is(systolic, loihi):
    graph = tensor_net()
    levels = np.random.default_rng(0).integers(-100, 100, (5, 16))
    steps = (0.002,) * 5
    pin = Pinned(levels, Format(8), Scale(steps, axis=0))
    made = quantize(replace(graph, pinned={"fc3.weight": pin}), systolic, samples(graph), bits=4)
    assert made["fc3"].op.weight == "fc3.weight" and made["fc3"].op.weight_bits == 8
    assert np.array_equal(made.value("fc3.step_w"), steps)
    assert made["fc1"].op.weight_bits == 4
    dram = lower(freeze(made), systolic).arrays["fc3.weight"]
    assert np.array_equal(dram, levels) and made["fc3"].op.multiplier is None

    # in different units the accumulators cannot be compared, so they are requantized
    pin = Pinned(levels, Format(8), Scale(tuple(np.linspace(0.001, 0.002, 5)), axis=0))
    made = quantize(replace(graph, pinned={"fc3.weight": pin}), systolic, samples(graph))
    assert made["fc3"].op.multiplier == "fc3.multiplier"

    graph = spiking_net()
    mantissas = np.random.default_rng(1).integers(-16, 16, (6, 30)) * 16
    pin = Pinned(mantissas, Format(9), Scale((0.01,)))
    made = quantize(replace(graph, pinned={"fc2.weight": pin}), loihi, samples(graph), bits=3)
    op = made["fc2"].op
    assert (op.weight, op.bits, op.dropped, op.exponent) == ("fc2.weight", 5, 4, 0)
    assert np.isclose(made.value("lif2.step"), 0.01 / 64)
    program = lower(freeze(schedule_delays(made, loihi)), loihi)
    assert np.array_equal(program.arrays["core0.fc2.weight"], mantissas.T)


def test_integers_as_reals_are_near_the_network(systolic, loihi):
    graph = tensor_net()
    x = samples(graph, 100)
    made = as_real(freeze(quantize(graph, systolic, x)))
    a, b = interpret(made, x), interpret(graph, x)
    assert np.sqrt(np.mean((a["fc3"] - b["fc3"]) ** 2)) < 0.03 * b["fc3"].std()
    graph = spiking_net(1)
    made = as_real(freeze(quantize(graph, loihi, samples(graph))))
    a, b = interpret(made, samples(graph)), interpret(graph, samples(graph))
    assert np.mean(a["lif1"] != b["lif1"]) < 0.03


def test_answers_of_unequal_classes_compare(systolic):
    """One class has weights four times as large; integers must still rank classes as reals do."""
    graph = tensor_net()
    scale = np.array([4.0, 1.0, 1.0, 1.0, 1.0])
    weight = graph.params["fc3.weight"] * scale[:, None]
    x = samples(graph, 200)
    graph = graph.with_params({"fc3.weight": weight, "fc3.bias": np.zeros(5)})
    middle = np.median(interpret(graph, x)["fc3"], axis=0)
    graph = graph.with_params({"fc3.bias": -middle})
    program = lower(freeze(quantize(graph, systolic, x)), systolic)
    exact = interpret(graph, x)["fc3"].argmax(axis=1)
    assert len(set(exact)) > 2
    assert np.mean(run(program, x).answers() == exact) > 0.9


def test_a_half_quantized_network_can_be_finished(systolic):
    graph = tensor_net()
    x = samples(graph)
    once = quantize(graph, systolic, x)
    op = Dense(weight="fc3.weight", bias="fc3.bias", features=5)
    done = quantize(once.swap("fc3", op), systolic, x)
    assert done["fc3"].op.zero_in == once["fc3"].op.zero_in
    assert np.array_equal(done.value("fc3.weight_q"), once.value("fc3.weight_q"))
    assert done.encoder == once.encoder


@pytest.mark.parametrize(
    ("bad", "code"),
    [(None, "PJ803"), (np.zeros((0, 12)), "PJ803"), (np.zeros((4, 11)), "PJ802"),
     (np.full((4, 12), np.nan), "PJ807"), (np.full((4, 12), "a"), "PJ802"),
     (np.float64(3), "PJ802"), (np.zeros(12), "PJ802")],
)  # fmt: skip
def test_bad_samples_are_refused(bad, code, systolic):
    with pytest.raises(UsageError, match=code):
        quantize(tensor_net(), systolic, bad)


def test_spiking_networks_need_no_samples(loihi):
    graph = spiking_net(1)
    made = quantize(graph, loihi)
    assert made.value("lif1.v_th_q").min() > 100


def test_events_can_calibrate(loihi):
    graph = replace(spiking_net(1), encoder=Encoder(kind="events", shape=(20,), steps=15))
    raster = np.random.default_rng(0).random((6, 15, 20)) < 0.3
    a, b = quantize(graph, loihi, raster), quantize(graph, loihi, events_from_raster(raster))
    assert a == b
    with pytest.raises(UsageError, match="PJ802"):
        quantize(graph, loihi, raster[:, 0])


def test_bits_that_the_machine_lacks_are_refused(loihi, systolic):
    with pytest.raises(CheckError) as caught:
        quantize(tensor_net(), systolic, bits=3, activation_bits=5)
    assert [f.code for f in caught.value.faults] == ["PJ209", "PJ209"]
    assert "systolic_int8.yaml:" in caught.value.faults[0].where
    with pytest.raises(CheckError, match=r"PJ209  1 weight bits asked for.*offers 2, 3, 4"):
        quantize(spiking_net(), loihi, bits=1)


def test_a_dense_bias_before_leaky_currents_warns(loihi):
    net = Net(1)
    net.lif("lif", net.dense("fc", net.node("input", Input(shape=(4,), kind="spike")), 4, 3))
    graph = net.graph("lif", Encoder(kind="rate", shape=(4,), steps=9), steps=9)
    with pytest.warns(PicojouleWarning, match=r"PJ212  the bias of 'fc'.*'lif' at once"):
        made = quantize(graph, loihi, samples(graph))
    settled = graph.params["fc.bias"] / 0.5
    step = 2 ** made["lif"].op.bias_exponent * float(made.value("lif.step"))
    assert np.abs(made.value("lif.bias_q") * step - settled).max() <= step
    plain = graph.with_params({"lif.decay_u": np.ones(())})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = quantize(plain, loihi, samples(graph))
    assert made["lif"].op.bias == "lif.bias_q" and "bias" not in made["fc"].op.CONSTANTS


def test_silenced_weights_warn(loihi):
    graph = spiking_net(1, recurrent=False)
    graph = graph.with_params({"fc1.weight": np.full((30, 20), 1e-9)})
    with pytest.warns(PicojouleWarning, match="PJ211  every weight of 'fc1' quantizes to 0"):
        quantize(graph, loihi, samples(graph))


def test_inputs_that_are_never_negative_use_all_levels(systolic):
    graph = tensor_net()
    x = samples(graph)
    for shift, zero, low in ((0.0, -128, -128), (0.5, 0, -128)):
        encoder = quantize(graph, systolic, x - shift).encoder
        assert (encoder.zero, encoder.format) == (zero, Format(8))
        levels = encoder.integers(x - shift)
        assert levels.min() < low + 10 and levels.max() > 117
