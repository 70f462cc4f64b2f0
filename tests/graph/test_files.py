"""Graph files: round trip, damage."""

import numpy as np
import pytest
from tests.graph.build import BUILDERS

from picojoule.errors import FrontendError, PicojouleError
from picojoule.graph.files import load, save


@pytest.mark.parametrize("build", BUILDERS)
def test_round_trip(build, tmp_path):
    graph = build(3)
    graph.save(tmp_path / "g.pjg")
    assert load(tmp_path / "g.pjg") == graph


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "g.pjg"
    save(BUILDERS[0](1), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 60):
        path.write_bytes(whole[:at])
        with pytest.raises(FrontendError, match="PJ501"):
            load(path)
    for at in rng.integers(8, len(whole), 60):
        damaged = bytearray(whole)
        damaged[at] ^= 0x41
        path.write_bytes(bytes(damaged))
        try:
            load(path)
        except PicojouleError as error:
            assert str(path) in str(error)


def test_a_program_is_no_graph(tmp_path):
    from picojoule import container

    container.write(tmp_path / "p.pjg", container.Kind("program", 1), {}, {})
    with pytest.raises(FrontendError, match="not a 'graph'"):
        load(tmp_path / "p.pjg")


def test_pinned_integers_keep_format_and_scale(tmp_path):
    from tests.graph.build import batch, chain

    from picojoule.passes import freeze, quantize
    from picojoule.target import load as load_target

    graph, chip = chain(2), load_target("systolic_int8")
    frozen = freeze(quantize(graph, chip, batch(graph, 0, 8), bits=8))
    save(frozen, tmp_path / "frozen.pjg")
    assert frozen.pinned and load(tmp_path / "frozen.pjg") == frozen
