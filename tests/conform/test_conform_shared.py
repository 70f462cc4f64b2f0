"""The recordings that users hold too: each matches on both engines, integer for integer."""

import os
from pathlib import Path

import pytest

from picojoule.conform.run import conform

SHARED = Path(os.environ.get("PICOJOULE_SHARED", Path(__file__).parents[3] / "shared"))
NENGO = "golden/nengo_loihi"
LAVA = "golden/lava"
NETS = "models/lava_dl"
LEARNING = {
    NENGO: {"n10_pes_clip"},
    LAVA: {"l20_stdp_t1", "l21_stdp_t4", "l23_inh_saturate", "l24_tags", "l25_graded_addover",
           "l25_graded_overwrite", "l28_three_factor"},
}  # fmt: skip


def vectors(folder):
    return sorted(path.stem for path in (SHARED / folder).glob("*.npz")) or ["none"]


CASES = [(folder, name) for folder in (NENGO, LAVA) for name in vectors(folder)]


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
@pytest.mark.parametrize("folder, name", CASES)
def test_every_recorded_integer(shared, folder, name, engine):
    (found,) = conform(shared(f"{folder}/{name}.npz"), engine=engine)
    if name in LEARNING[folder]:
        assert found.status == "skipped" and "learns" in found.reason
        return
    assert found.status == "match", found.first or found.reason
    assert found.equal == found.total > 0


SETS = {
    "complex_dense": (912_000, {"out", "current"}),
    "dense": (1_024_000, {"out", "current"}),
    "tinynet": (37_980, {"input", "current", "layer1", "output"}),
    "tinynet_sdnn": (13_984, {"input", "layer1", "layer2"}),
    "pilotnet_sdnn": (879_049, {"act0", "sigma1", "sigma2", "sigma4_square", "output"}),
}


@pytest.mark.golden
@pytest.mark.parametrize("name", SETS)
def test_blocks_and_networks_of_lava_dl(shared, name):
    (found,) = conform(shared(f"{NETS}/{name}/arrays.npz"))
    total, quantities = SETS[name]
    assert found.status == "match", found.first or found.reason
    assert found.equal == found.total == total and quantities <= set(found.quantities)


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_pilotnet_as_loihi_2_ran_it(shared, engine):
    """u, v and spikes of all 9 layers that were recorded, from the image on."""
    (found,) = conform(shared(f"{NETS}/pilotnet_lif/arrays.npz"), engine=engine)
    assert found.status == "match", found.first or found.reason
    assert found.equal == found.total == 5_862_240
    assert {"input", "conv-0", "conv-4-u", "fc-2-v", "fc-2"} <= set(found.quantities)


@pytest.mark.golden
def test_the_fixed_point_traces_of_the_nir_paper(shared):
    found = {o.name: o for o in conform(shared("models/nir_paper/01_lif"))}
    matched = {name for name, o in found.items() if o.status == "match"}
    assert matched == {"lif_lava_cpu_fixed", "lif_lava_loihi_fixed"}
    assert all("floating point" in o.reason for n, o in found.items() if n not in matched)
    assert len(found) == 11
