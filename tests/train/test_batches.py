"""Batches: every sample once, the same order for the same seed, streams like arrays."""

import io

import numpy as np
import pytest

from picojoule.errors import TrainError, UsageError
from picojoule.train import Options, fit
from picojoule.train.augment import move
from picojoule.train.batches import Stream, batches
from picojoule.train.options import Epoch
from picojoule.train.progress import all_of, line


def in_chunks(x, y, sizes):
    stops = np.cumsum(sizes)
    parts = [(x[b - n : b], y[b - n : b]) for n, b in zip(sizes, stops)]
    return Stream(lambda k: parts[k], len(parts), len(y))


@pytest.mark.parametrize("sizes", [[96], [40, 40, 16], [1, 95], [33, 30, 33]])
def test_every_sample_comes_once_and_only_the_last_batch_is_short(dense, data, sizes):
    x, y = data
    made = batches(dense, in_chunks(x, y, sizes), None, size=20, seed=5)
    for epoch in (0, 1):
        found = list(made.epoch(epoch))
        assert [len(b) for _, b in found] == [20, 20, 20, 20, 16] and len(made) == 5
        rows = np.concatenate([a for a, _ in found])
        assert np.array_equal(np.sort(rows, 0), np.sort(x, 0))
        assert all(np.array_equal(r, x[np.flatnonzero((x == r).all(1))[0]]) for r in rows[:5])


def test_order_is_of_seed_and_epoch_alone(dense, data):
    x, y = data
    stream = in_chunks(x, y, [50, 46])

    def order(seed, epoch):
        made = batches(dense, stream, None, size=30, seed=seed)
        return np.concatenate([b for _, b in made.epoch(epoch)]).tolist()

    assert order(1, 3) == order(1, 3) != order(2, 3) != order(1, 4)
    still = batches(dense, stream, None, size=30, seed=1, shuffle=False)
    assert np.array_equal(np.concatenate([a for a, _ in still.epoch(0)]), x)


def test_a_stream_is_learned(dense, data):
    from picojoule.train import accuracy

    found = fit(dense, in_chunks(*data, [50, 46]), None, epochs=15, batch=16, lr=1e-2)
    assert accuracy(found, *data) > 0.9


def test_a_stream_of_one_chunk_is_the_array(dense, data):
    one = fit(dense, in_chunks(*data, [96]), None, epochs=2)
    assert one.digest == fit(dense, *data, epochs=2).digest


def test_chunks_are_checked(dense, data):
    x, y = data
    with pytest.raises(UsageError, match="PJ803"):
        fit(dense, Stream(lambda k: (x, y), 0, 0), None, epochs=1)
    with pytest.raises(TrainError, match="PJ702"):
        fit(dense, in_chunks(x, y + 9, [50, 46]), None, epochs=1)
    with pytest.raises(UsageError, match=r"PJ802.*\[50, 11\]"):
        fit(dense, in_chunks(x[:, 1:], y, [50, 46]), None, epochs=1)


def test_images_move_by_whole_pixels_and_mirror():
    rng = np.random.Generator(np.random.Philox(key=[3, 1]))
    x = np.zeros((200, 7, 6, 1), np.float32)
    x[:, 3, 2] = 1
    moved = move(1)(x, rng)
    assert moved.shape == x.shape and (moved.sum((1, 2, 3)) == 1).all()
    places = {tuple(map(int, p)) for p in np.argwhere(moved[..., 0])[:, 1:]}
    assert places == {(r, c) for r in (2, 3, 4) for c in (1, 2, 3)}
    assert np.array_equal(move(0)(x, rng), x)
    mirrored = {int(c) for c in np.argwhere(move(0, mirror=True)(x, rng)[..., 0])[:, 2]}
    assert mirrored == {2, 3}


def test_the_progress_line_tells_what_is_known(dense, data):
    stream, seen = io.StringIO(), []
    fit(dense, *data, epochs=2, validation=data, callback=all_of(line(stream, "dense"),
                                                                 seen.append))  # fmt: skip
    rows = stream.getvalue().splitlines()
    assert len(rows) == 2 and rows[0].startswith("dense  epoch 1/2  loss ")
    assert "accuracy" in rows[0] and "s left" in rows[0] and len(seen) == 2
    line(stream)(Epoch(0, 1.0, float("nan"), 3))
    assert "accuracy" not in stream.getvalue().splitlines()[-1]


def test_statistics_of_batch_norm_freeze_when_told(dense, data):
    kept = []

    def remember(epoch):
        kept.append(epoch.graph.params["bn1.mean"].copy())

    fit(dense, *data, epochs=4, callback=remember, options=Options(freeze_statistics=0.5))
    assert not np.array_equal(kept[0], kept[1])
    assert np.array_equal(kept[1], kept[2]) and np.array_equal(kept[2], kept[3])
