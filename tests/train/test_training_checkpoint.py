"""Checkpoints: resumed training is the same training; what does not belong is refused."""

import errno
from dataclasses import replace

import numpy as np
import pytest

from picojoule import container, nn
from picojoule.errors import TrainError, UsageError
from picojoule.kernels.train_blocks import Surrogate
from picojoule.passes import PicojouleWarning
from picojoule.train import Options, checkpoint, fit, start_quantized

MORE = {"batch": 16, "lr": 1e-2, "seed": 3}


def noisy(x, rng):
    return x + rng.normal(0, 0.05, x.shape).astype(x.dtype)


def options(path, resume=True, **more):
    return Options(checkpoint=path, resume=resume, average=0.9, weight_decay=0.1, augment=noisy,
                   **more)  # fmt: skip


def stopped_after(epochs):
    def callback(epoch):
        if epoch.number == epochs - 1:
            raise KeyboardInterrupt

    return callback


def in_two(graph, x, y, path, validation=None, **more):
    with pytest.warns(PicojouleWarning, match="interrupted in epoch 5 of 10"):
        fit(graph, x, y, epochs=10, callback=stopped_after(5), validation=validation,
            options=options(path, **more), **MORE)  # fmt: skip
    return fit(graph, x, y, epochs=10, validation=validation, options=options(path, **more), **MORE)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("validated", [False, True])
def test_ten_epochs_are_five_and_five_resumed(tmp_path, dense, data, optimizer, validated):
    x, y = data
    validation = (x[:40], y[:40]) if validated else None
    whole = fit(dense, x, y, epochs=10, validation=validation, **MORE,
                options=options(None, resume=False, optimizer=optimizer))  # fmt: skip
    cut = in_two(dense, x, y, tmp_path / "t.pjc", validation, optimizer=optimizer)
    assert cut.digest == whole.digest


def test_fine_tuning_and_spiking_networks_resume_too(tmp_path, dense, spiking, array, data):
    x, y = data
    for name, graph in (("q", start_quantized(dense, array, x, bits=4)), ("s", spiking)):
        whole = fit(graph, x, y, epochs=10, options=options(None, resume=False), **MORE)
        assert in_two(graph, x, y, tmp_path / f"{name}.pjc").digest == whole.digest


def test_a_constant_schedule_may_be_prolonged(tmp_path, dense, data):
    kept = options(tmp_path / "t.pjc", schedule="constant", warmup=0.0)
    fit(dense, *data, epochs=5, options=kept, **MORE)
    longer = fit(dense, *data, epochs=10, options=kept, **MORE)
    free = options(None, resume=False, schedule="constant", warmup=0.0)
    assert longer.digest == fit(dense, *data, epochs=10, options=free, **MORE).digest


def test_a_finished_training_is_only_read(tmp_path, dense, data):
    kept = options(tmp_path / "t.pjc")
    first = fit(dense, *data, epochs=2, options=kept, **MORE)
    assert fit(dense, *data, epochs=2, options=kept, callback=pytest.fail, **MORE) == first


def refused(path, graph, data, kind=TrainError, **more):
    with pytest.raises(kind) as caught:
        fit(graph, *data, epochs=3, **{**MORE, "options": options(path), **more})
    return str(caught.value)


def test_a_checkpoint_of_another_network_or_training_is_refused(tmp_path, dense, array, data):
    path = tmp_path / "t.pjc"
    fit(dense, *data, epochs=1, options=options(path), **MORE)
    other = nn.dense_network([12, 8, 4], seed=2)
    assert "PJ707" in refused(path, other, data) and "'dense'" in refused(path, other, data)
    assert "PJ707" in refused(path, start_quantized(dense, array, data[0], bits=8), data)
    text = refused(path, dense, data, batch=8, seed=4, options=options(path, optimizer="sgd"))
    assert text.count("PJ707") == 4 and "batch=16, now 8" in text and "epochs=1, now 3" in text
    shorter = tuple(a[:50] for a in data)
    assert "samples=96, now 50" in refused(path, dense, shorter)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"augment": None}, "augment='noisy', now None"),
        ({"weight_decay": 0.2}, "weight_decay=0.1, now 0.2"),
        ({"neuron_lr": 0.5}, "neuron_lr=1.0, now 0.5"),
        ({"schedule": "linear"}, "schedule='cosine', now 'linear'"),
        ({"surrogate": Surrogate(1, 2.0)}, "surrogate=[0, 5.0], now [1, 2.0]"),
        ({"fixed": ("fc3.bias",)}, "fixed=[], now ['fc3.bias']"),
        ({"penalties": (lambda made: made.scores,)}, "penalties=[], now ['<lambda>']"),
        ({"teacher": nn.dense_network([12, 4], seed=2)}, "teacher=None, now '"),
    ],
)
def test_a_checkpoint_of_other_options_is_refused(tmp_path, dense, data, changed, says):
    path = tmp_path / "t.pjc"
    kept = options(path)
    fit(dense, *data, epochs=3, options=kept, **MORE)
    text = refused(path, dense, data, options=replace(kept, **changed))
    assert text.count("PJ707") == 1 and says in text and "resume=False" in text


def test_a_checkpoint_of_another_rate_is_refused_and_how_it_is_kept_is_free(tmp_path, dense, data):
    path = tmp_path / "t.pjc"
    kept = options(path)
    first = fit(dense, *data, epochs=3, options=kept, **MORE)
    assert "lr=0.01, now 0.02" in refused(path, dense, data, lr=2e-2)
    as_numpy = {"lr": np.float32(MORE["lr"]), "batch": np.int64(16), "seed": np.int64(3)}
    assert "lr=0.01, now 0.009" in refused(path, dense, data, **as_numpy)  # which is another rate
    free = replace(kept, patience=4, threads=2, keep_interrupted=False)
    assert fit(dense, *data, epochs=3, options=free, **MORE) == first


def test_damaged_checkpoints_and_other_versions_are_refused(tmp_path, dense, data):
    path = tmp_path / "t.pjc"
    fit(dense, *data, epochs=3, options=options(path), **MORE)
    whole = path.read_bytes()
    for bad in (b"", b"garbage, and more garbage", whole[:-50], whole[:200]):
        path.write_bytes(bad)
        assert "PJ705" in refused(path, dense, data)
    path.write_bytes(whole.replace(b'\\"version\\":2', b'\\"version\\":3'))
    assert "PJ706" in refused(path, dense, data)
    about, arrays = _read(whole, path)
    for change, says in (
        ({"flat": arrays["flat"][1:]}, "'flat'"),
        ({"best.fc1.weight": arrays["best.fc1.weight"].T}, "'best.fc1.weight'"),
        ({"measured.bn1.mean": np.full(16, np.nan, np.float32)}, "not finite"),
        ({"measured.unknown": arrays["flat"]}, "'measured.unknown'"),
    ):
        container.write(path, checkpoint.KIND, about, {**arrays, **change})
        text = refused(path, dense, data)
        assert "PJ705" in text and says in text
    container.write(path, checkpoint.KIND, {**about, "steps": -1}, arrays)
    assert "how far" in refused(path, dense, data)
    container.write(path, checkpoint.KIND, {}, arrays)
    assert "no settings" in refused(path, dense, data)


def _read(data, path):
    path.write_bytes(data)
    about, arrays = container.read(path, checkpoint.KIND)
    about = {k: v for k, v in about.items() if k not in ("kind", "version")}
    return about, {name: np.array(array) for name, array in arrays.items()}


def test_a_full_disk_keeps_the_last_good_checkpoint_and_training_goes_on(
    tmp_path, dense, data, monkeypatch
):
    path = tmp_path / "t.pjc"
    kept = options(path, schedule="constant", warmup=0.0)
    fit(dense, *data, epochs=1, options=kept, **MORE)
    good, seen = path.read_bytes(), []

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(container, "_write", full)
    with pytest.warns(PicojouleWarning, match=r"(?s)no checkpoint of epoch 2.*No space left"):
        fit(dense, *data, epochs=2, options=kept, callback=seen.append, **MORE)
    assert [e.number for e in seen] == [1]
    assert path.read_bytes() == good and list(tmp_path.iterdir()) == [path]


def test_training_stops_when_validation_gets_no_better(dense, data):
    x, y = data
    seen = []
    wrong = (x[:40], (y[:40] + 1) % 4)
    fit(dense, x, y, epochs=60, validation=wrong, callback=seen.append,
        options=Options(patience=3), **MORE)  # fmt: skip
    best = int(np.argmax([e.accuracy for e in seen]))
    assert len(seen) < 60 and len(seen) - 1 - best == 3


def test_options_that_do_not_fit_are_refused_all_at_once():
    with pytest.raises(UsageError) as caught:
        Options(optimizer="adamm", schedule="cos", patience=0, resume=True)
    text = str(caught.value)
    assert text.count("PJ806") == 4 and "'adamm'" in text and "patience=0" in text


def test_what_is_of_another_kind_is_refused_too():
    with pytest.raises(UsageError) as caught:
        Options(optimizer=["adam"], surrogate="arctan", fixed="fc1.weight", threads=10**400)
    text = str(caught.value)
    assert text.count("PJ806") == 4
    for says in ("optimizer=['adam']", "surrogate='arctan' is no", "try: fixed=('fc1.weight',)"):
        assert says in text


def test_options_that_json_has_no_word_for_are_kept_with_a_checkpoint(tmp_path, dense, data):
    kept = options(tmp_path / "t.pjc", clip=float("inf"), fixed={"fc3.bias"}, penalties=[])
    first = fit(dense, *data, epochs=3, options=kept, **MORE)
    assert fit(dense, *data, epochs=3, options=kept, **MORE) == first
    text = refused(tmp_path / "t.pjc", dense, data, options=replace(kept, clip=10.0))
    assert text.count("PJ707") == 1 and "clip='inf', now 10.0" in text


def test_numbers_out_of_range_are_refused_all_at_once():
    wrong = {
        "warmup": 1.5, "floor": -0.1, "weight_decay": -1.0, "smoothing": 2.0, "gain": 0.0,
        "average": 1.0, "clip": float("nan"), "neuron_lr": -1.0, "bias_lr": float("inf"),
        "step_lr": "1", "delay_lr": -5.0, "delay_max": 2.5, "momentum": 2.0, "trust": 1.01,
        "freeze_statistics": -1, "live_statistics": 3, "teacher_gain": -1.0, "threads": 0,
        "surrogate": Surrogate(5, -1.0),
    }  # fmt: skip
    with pytest.raises(UsageError) as caught:
        Options(**wrong)
    text = str(caught.value)
    assert text.count("PJ806") == len(wrong) + 1  # kind and sharpness of the surrogate
    for says in ("warmup=1.5", "try: warmup: a number 0..1", "step_lr='1'", "surrogate.kind=5",
                 "delay_max: a whole number of at least 1",
                 "threads: a whole number of at least 1, or None"):  # fmt: skip
        assert says in text
    edges = {
        "clip": float("inf"),
        "average": 0.999,
        "warmup": np.float32(1.0),
        "threads": np.int64(2),
    }
    Options(**edges, patience=None, smoothing=0)
