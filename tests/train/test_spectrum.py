"""Sound as spikes."""

import numpy as np
import pytest

from picojoule.train.data.spectrum import Ear, as_spikes, loudness, moved_in_time, varied

EAR = Ear(steps=20, bands=8, levels=(0.4, 0.8))
RNG = np.random.Generator(np.random.Philox(key=[3, 0]))


def tone(hertz, samples=1600):
    sound = 3000 * np.sin(2 * np.pi * hertz * np.arange(samples) / EAR.rate)
    return (sound + RNG.normal(0, 3, samples)).astype(np.int16)


def test_a_higher_tone_is_heard_in_a_higher_band():
    loudest = [loudness(EAR, tone(f)).sum(0).argmax() for f in (200, 600, 1500, 3000)]
    assert loudest == sorted(set(loudest))


def test_pitch_and_pace_change_what_they_should():
    low = loudness(EAR, tone(1500), pitch=1.5).sum(0).argmax()
    assert low < loudness(EAR, tone(1500)).sum(0).argmax()
    heard = [int((loudness(EAR, tone(500), pace=p).max(1) > 0).sum()) for p in (1.0, 2.0)]
    assert heard[1] < heard[0] <= EAR.steps


@pytest.mark.parametrize("samples", [0, 1, 255, 256, 257, 5000, 60000])
def test_clips_of_any_length_fill_the_same_steps(samples):
    heard = loudness(EAR, tone(400, samples))
    assert heard.shape == (20, 8) and heard.min() >= 0 and heard.max() <= 1
    spikes = as_spikes(EAR, heard)
    assert spikes.shape == (20, EAR.channels) and spikes.dtype == bool


def test_a_louder_level_spikes_less():
    spikes = as_spikes(EAR, loudness(EAR, tone(700))).reshape(20, 2, 8)
    assert (spikes[:, 1] <= spikes[:, 0]).all() and spikes[:, 1].any()


def test_variations_are_keyed_by_their_generator():
    made = [varied(EAR, tone(700, 3000) * 0 + 5, np.random.default_rng(s)) for s in (1, 1, 2)]
    assert np.array_equal(made[0], made[1])


def test_rasters_move_in_time_and_lose_a_few_spikes():
    x = np.zeros((50, 20, 4), bool)
    x[:, 10] = True
    moved = moved_in_time(x, np.random.default_rng(0), most=3, lost=0.2)
    steps = moved.any(2).argmax(1)
    assert set(steps) == {7, 8, 9, 10, 11, 12, 13} and 0.7 < moved.sum() / x.sum() < 0.9
    assert np.array_equal(moved_in_time(x, np.random.default_rng(0), most=0, lost=0.0), x)
