"""LoRA: nothing changes at first, adapters alone are trained, merged is unmerged."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import UsageError
from picojoule.passes import freeze, lower
from picojoule.train import Options, accuracy, confirm, evaluate_outputs, fit, start_quantized
from picojoule.train.adapt import merged, only_adapters, with_adapters


def adapted(graph, **more):
    return with_adapters(graph, rank=2, seed=3, **more)


def test_outputs_are_the_same_to_the_bit_until_adapters_are_trained(dense, array, data):
    x, _ = data
    before, after = (evaluate_outputs(g, x)["output"] for g in (dense, adapted(dense)))
    assert before.tobytes() == after.astype(before.dtype).tobytes()
    live = [start_quantized(g, array, x, bits=4) for g in (dense, adapted(dense))]
    found = [evaluate_outputs(g, x)["output"] for g in live]
    assert np.array_equal(*found)


def test_only_adapters_learn_and_few_numbers_are_enough(dense, data):
    x, y = data
    trained = fit(dense, x, y, epochs=15, batch=16, lr=1e-2, seed=0)
    other = np.roll(np.arange(4), 1)[y]  # a new task: the classes have other names
    graph = adapted(trained)
    tuned = fit(graph, x, other, epochs=60, batch=16, lr=2e-2, seed=0,
                options=Options(fixed=only_adapters(graph)))  # fmt: skip
    changed = {n for n in graph.params if not np.array_equal(graph.params[n], tuned.params[n])}
    assert {n for n in changed if not n.startswith("bn")} == {
        f"{w}.{part}" for w in ("fc1.weight", "fc2.weight", "fc3.weight") for part in ("down", "up")
    }
    assert accuracy(tuned, x, other) > 0.9 > accuracy(trained, x, other)


def test_merged_is_unmerged(dense, data):
    x, y = data
    graph = adapted(dense)
    tuned = fit(graph, x, y, epochs=3, options=Options(fixed=only_adapters(graph)))
    plain = merged(tuned)
    assert not plain.derived and set(plain.params) == set(dense.params)
    np.testing.assert_allclose(
        evaluate_outputs(plain, x)["output"], evaluate_outputs(tuned, x)["output"],
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_adapters_are_fine_tuned_under_quantization_and_deployed(dense, array, data):
    x, y = data
    trained = fit(dense, x, y, epochs=15, batch=16, lr=1e-2, seed=0)
    live = start_quantized(adapted(trained), array, x, bits=4)
    tuned = fit(live, x, y, epochs=5, batch=16, options=Options(fixed=only_adapters(live)))
    assert np.array_equal(tuned.params["fc1.weight"], live.params["fc1.weight"])
    assert not np.array_equal(tuned.params["fc1.weight.up"], live.params["fc1.weight.up"])
    frozen = freeze(tuned)
    assert confirm(tuned, lower(frozen, array), x) == 4 * len(x)


def test_adapters_that_cannot_be_are_refused(dense):
    with pytest.raises(UsageError, match=r"PJ806.*rank=0"):
        with_adapters(dense, rank=0)
    with pytest.raises(UsageError, match="no Dense or Conv"):
        with_adapters(dense, rank=1, nodes=("relu1",))


def test_convolutions_have_adapters_too():
    from picojoule.fixed.contract import Encoder, Readout

    encoder = Encoder(kind="affine", shape=(5, 5, 1), step=1 / 127)
    graph = nn.sequential([nn.Conv(4), nn.Relu(), nn.Dense(3)], encoder=encoder,
                          readout=Readout(), seed=0)  # fmt: skip
    x = np.random.Generator(np.random.Philox(key=[4, 0])).random((6, 5, 5, 1)).astype(np.float32)
    y = np.arange(6) % 3
    tuned = fit(adapted(graph), x, y, epochs=2, lr=1e-2)
    np.testing.assert_allclose(
        evaluate_outputs(merged(tuned), x)["output"], evaluate_outputs(tuned, x)["output"],
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip
