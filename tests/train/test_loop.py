"""The training loop: data checks, determinism, interrupts, options."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import TrainError, UsageError
from picojoule.fixed.contract import Encoder, Readout, events_from_raster
from picojoule.grad.tape import Tensor
from picojoule.passes import PicojouleWarning, freeze
from picojoule.train import Options, accuracy, fit, start_quantized
from picojoule.train.augment import jitter
from picojoule.train.options import Epoch
from picojoule.train.state import stored_gradient


def refused(graph, x, y, kind=UsageError, **more):
    with pytest.raises(kind) as caught:
        fit(graph, x, y, epochs=1, **more)
    return str(caught.value)


def test_data_that_cannot_be_learned_is_refused(dense, data):
    x, y = data
    assert "PJ803" in refused(dense, x[:0], y[:0])
    assert "PJ802" in refused(dense, x, y[:5]) and "96 samples, but 5" in refused(dense, x, y[:5])
    assert "0..3, found 1..4" in refused(dense, x, y + 1, TrainError)
    assert "PJ702" in refused(dense, x, y - 1, TrainError)
    assert "PJ702" in refused(dense, x, y.astype(float), TrainError)
    wrong = refused(dense, x, y, batch=0, seed=-1, lr=float("nan"))
    assert wrong.count("PJ806") == 3 and "seed=-1 is impossible" in wrong
    assert refused(dense, x, y, batch="64", seed=1.5, lr=None).count("PJ806") == 3
    assert "[n, 12], got [96, 11]" in refused(dense, x[:, 1:], y)


def test_fixed_names_must_be_parameters(dense, data):
    text = refused(dense, *data, options=Options(fixed=("fc1.weight", "fc9.weight")))
    assert "PJ806" in text and "fc9.weight" in text and "fc2.weight" in text


def test_a_loss_that_is_not_finite_names_step_and_layer(dense, data):
    x, y = data
    broken = dense.params["fc2.weight"].copy()
    broken[0, 0] = np.nan
    text = refused(dense.with_params({"fc2.weight": broken}), x, y, TrainError)
    assert "PJ701" in text and "step 0" in text and "'fc2.weight'" in text
    holes = x.copy()
    holes[:, 3] = np.inf
    with np.errstate(invalid="ignore"):
        text = refused(dense, holes, y, TrainError)
    assert "PJ701" in text and "'input'" in text


def test_an_exploding_rate_is_reported_not_returned(dense, data):
    with np.errstate(all="ignore"), pytest.raises(TrainError, match=r"PJ701.*step \d+"):
        fit(dense, *data, epochs=200, lr=1e30, seed=0)


def test_same_seed_same_bits_another_seed_another_network(dense, data):
    runs = [fit(dense, *data, epochs=2, seed=s).digest for s in (7, 7, 8)]
    assert runs[0] == runs[1] != runs[2]


def test_the_graph_that_was_given_is_left_alone(dense, data):
    before = dense.digest
    trained = fit(dense, *data, epochs=1)
    assert trained.digest != before == type(dense)(**vars_of(dense)).digest


def vars_of(graph):
    return {f: getattr(graph, f) for f in graph.__dataclass_fields__}


def test_progress_is_told_each_epoch_and_the_loss_falls(dense, data):
    seen: list[Epoch] = []
    fit(dense, *data, epochs=6, seed=0, batch=16, lr=1e-2, validation=data, callback=seen.append)
    assert [e.number for e in seen] == list(range(6))
    assert seen[-1].loss < 0.5 * seen[0].loss
    assert seen[-1].accuracy > seen[0].accuracy or seen[-1].accuracy == 1.0


def test_the_best_epoch_on_validation_data_is_returned(dense, data):
    seen: list[Epoch] = []
    best = fit(dense, *data, epochs=8, seed=0, lr=0.3, batch=16, validation=data,
               callback=seen.append)  # fmt: skip
    assert accuracy(best, *data) == max(e.accuracy for e in seen)


@pytest.mark.parametrize("validation", [False, True])
def test_an_interrupt_keeps_the_best(dense, data, validation):
    scores = []

    def stop(epoch):
        scores.append(epoch.accuracy)
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.warns(PicojouleWarning, match="interrupted in epoch 4 of 50"):
        kept = fit(dense, *data, epochs=50, seed=0, lr=1e-2, callback=stop,
                   validation=data if validation else None)  # fmt: skip
    assert len(scores) == 4
    found = accuracy(kept, *data)
    assert found == max(scores) if validation else found > accuracy(dense, *data)


def test_an_interrupt_can_be_raised(dense, data):
    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(dense, *data, epochs=5, callback=stop, options=Options(keep_interrupted=False))


def test_no_epochs_change_nothing(dense, data):
    assert fit(dense, *data, epochs=0).digest == dense.digest


def test_the_running_average_differs_from_the_last_parameters(dense, data):
    last = fit(dense, *data, epochs=15, seed=0, lr=1e-2)
    mean = fit(dense, *data, epochs=15, seed=0, lr=1e-2, options=Options(average=0.9))
    assert last.digest != mean.digest and accuracy(mean, *data) > 0.8


def test_weights_shrink_with_decay(dense, data):
    norms = [
        np.linalg.norm(fit(dense, *data, epochs=5, seed=0, options=Options(weight_decay=d))
                       .params["fc1.weight"])
        for d in (0.0, 20.0)
    ]  # fmt: skip
    assert norms[1] < 0.9 * norms[0]


def test_a_teacher_s_answers_are_learned(dense, data):
    x, y = data
    teacher = fit(dense, x, y, epochs=20, seed=0, lr=1e-2)
    other = dense.with_params({"fc3.weight": -dense.params["fc3.weight"]})
    wrong = np.roll(y, 1)
    pupil = fit(other, x, wrong, epochs=20, seed=0, lr=1e-2,
                options=Options(teacher=teacher, trust=1.0))  # fmt: skip
    assert accuracy(pupil, x, y) > 0.9


def test_jitter_without_size_changes_nothing_and_with_it_stays_in_range():
    x = np.random.Generator(np.random.Philox(key=[1, 1])).uniform(size=(20, 30))
    rng = np.random.Generator(np.random.Philox(key=[1, 2]))
    still = jitter((5, 6), shift=0.0)(x, rng)
    np.testing.assert_allclose(still, x, atol=1e-12)
    moved = jitter((5, 6), shift=1.0, turn=0.3, zoom=0.2, noise=0.2)(x, rng)
    assert moved.shape == x.shape and moved.min() >= 0 and moved.max() <= 1
    assert np.abs(moved - x).mean() > 0.05


def test_jitter_moves_a_pixel_by_what_it_draws():
    class Half:
        def uniform(self, low, high, size):
            return np.full(size, high)

    x = np.zeros((1, 25))
    x[0, 12] = 1
    out = jitter((5, 5), shift=1.0)(x, Half()).reshape(5, 5)
    assert out[1, 1] == pytest.approx(1.0) and out.sum() == pytest.approx(1.0)


def test_a_frozen_network_has_nothing_to_train(dense, array, data):
    frozen = freeze(start_quantized(dense, array, data[0], bits=8))
    assert "PJ704" in refused(frozen, *data, TrainError)


def test_events_can_be_given_as_such():
    encoder = Encoder(kind="events", shape=(3,), steps=6)
    graph = nn.sequential([nn.CubaLif(features=2)], encoder=encoder,
                          readout=Readout(kind="count"), seed=0, steps=6)  # fmt: skip
    raster = np.random.Generator(np.random.Philox(key=[3, 3])).random((8, 6, 3)) < 0.4
    y, events = np.arange(8) % 2, events_from_raster(raster)
    a, b = (fit(graph, x, y, epochs=1, seed=0) for x in (raster, events))
    assert a.digest == b.digest
    assert "PJ802" in refused(nn.spiking_network([3, 2], steps=6, seed=0), events, y)


def test_neurons_stay_as_they_are_where_both_their_rates_are_0(chip, data):
    graph = nn.sequential(
        [nn.CubaLif(features=n, bias=True) for n in (8, 4)], seed=0, steps=6,
        encoder=Encoder(kind="rate", shape=(12,), steps=6), readout=Readout(kind="count"),
    )  # fmt: skip
    graph = graph.with_params({"lif1.bias": np.full(8, 0.1, np.float32)})
    live = start_quantized(graph, chip, data[0], bits=8)
    of_neurons = [n for n in graph.params if n.startswith("lif")]
    for before in (graph, live):
        for moving, options in (
            ((), Options(neuron_lr=0.0, bias_lr=0.0)),
            ((".bias",), Options(neuron_lr=0.0)),
            ((".decay_u", ".decay_v", ".v_th"), Options(bias_lr=0.0)),
        ):
            after = fit(before, *data, epochs=2, lr=1e-2, options=options)
            assert not np.array_equal(after.params["fc1.weight"], before.params["fc1.weight"])
            for name in of_neurons:
                same = np.array_equal(after.params[name], before.params[name])
                assert same != name.endswith(moving), name


def test_steps_move_in_the_log_domain():
    """d loss / d log(step) = step d loss / d step; other parameters move as they are."""
    leaf = Tensor(np.array([0.5, 4.0]), wants=True)
    leaf.grad = np.array([3.0, -1.0])
    assert stored_gradient("fc1.step_w", leaf).tolist() == [1.5, -4.0]
    assert stored_gradient("fc1.weight", leaf).tolist() == [3.0, -1.0]
    assert stored_gradient("fc1.step_w", Tensor(np.ones(2), wants=True)) is None
