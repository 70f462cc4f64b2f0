"""Users hold vectors with other parameters: every one of a sidecar is read, none is assumed."""

import copy

import numpy as np
import pytest
import small_peers

from picojoule.conform.run import conform


@pytest.mark.parametrize("seed", range(6))
def test_nengo_blocks_with_any_registers(tmp_path, seed):
    head, arrays = small_peers.nengo(np.random.default_rng(seed))
    path = small_peers.write(tmp_path, "made", head, arrays)
    for engine in ("numba", "reference"):
        (found,) = conform(path, engine=engine)
        assert found.status == "match", found.first or found.reason
        assert found.total == 4 * arrays["o_current"].size


@pytest.mark.parametrize("cls", ["LIF", "LIFReset", "TernaryLIF"])
@pytest.mark.parametrize("seed", range(4))
def test_lava_populations_with_any_parameters(tmp_path, cls, seed):
    head, arrays = small_peers.lava(np.random.default_rng(seed), cls)
    path = small_peers.write(tmp_path, "made", head, arrays)
    for engine in ("numba", "reference"):
        (found,) = conform(path, engine=engine)
        assert found.status == "match", found.first or found.reason
        assert found.total == 3 * arrays["o_u"].size


def moved(head, arrays, where):
    """The same vector with one parameter of the sidecar, or one array, a little off."""
    if isinstance(where, str):
        changed = 2 * arrays[where] if where.endswith("bias") else arrays[where] ^ 1
        return head, {**arrays, where: changed}
    head = copy.deepcopy(head)
    inner = head
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] += 40 if where[-1] == "vth" else 1
    return head, arrays


@pytest.mark.parametrize("where", [("lif", "du"), ("lif", "dv"), ("lif", "vth"),
                                   ("lif", "reset_interval"), ("lif", "reset_offset")])  # fmt: skip
def test_a_parameter_that_is_off_is_noticed(tmp_path, where):
    head, arrays = small_peers.lava(np.random.default_rng(1), "LIFReset")
    path = small_peers.write(tmp_path, "made", *moved(head, arrays, where))
    (found,) = conform(path)
    assert found.status == "differ" and found.equal < found.total


@pytest.mark.parametrize("where", ["b0_decay_u", "b0_decay_v", "b0_bias", "o_voltage", "o_ref"])
def test_an_array_that_is_off_is_noticed(tmp_path, where):
    head, arrays = small_peers.nengo(np.random.default_rng(2))
    path = small_peers.write(tmp_path, "made", *moved(head, arrays, where))
    (found,) = conform(path)
    assert found.status == "differ" and found.first is not None
