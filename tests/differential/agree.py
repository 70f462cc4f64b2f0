"""One network, computed by trainer and simulator in every way there is: all integers equal."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
from tests.differential.networks import Case

from picojoule.errors import CheckError
from picojoule.fixed.contract import events_from_raster
from picojoule.graph import Graph
from picojoule.passes import PicojouleWarning, check, freeze, lower
from picojoule.program import Program
from picojoule.program.files import load, save
from picojoule.program.listing import listing, parse
from picojoule.sim.run import Run, run
from picojoule.target import Target
from picojoule.train import evaluate_outputs, start_quantized
from picojoule.train.model import is_step

Array = np.ndarray
Outputs = dict[str, Array]


def quantized(case: Case, target: Target) -> Graph | None:
    """The live graph, scheduled; None where the network does not fit the target."""
    bits = {"bits": case.bits, "activation_bits": case.activation_bits, "weights": case.weights,
            "activations": case.activations}  # fmt: skip
    if check(case.graph, target, **bits):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicojouleWarning)
        try:
            return start_quantized(case.graph, target, case.x, **bits)
        except CheckError:
            return None


def all_agree(live: Graph, target: Target, x: Array) -> Outputs | None:
    """What everybody computes; None where the integers do not fit the target."""
    try:
        frozen = freeze(live)
        program = lower(frozen, target)
    except CheckError:
        return None
    want = evaluate_outputs(live, x)
    equal(want, evaluate_outputs(frozen, x), "frozen")
    equal(want, _in_parts(lambda part: evaluate_outputs(frozen, part, threads=2), x), "split")
    numba, reference = run(program, x, threads=1), run(program, x, engine="reference", threads=1)
    equal(want, integers(numba, want), "numba")
    equal(want, integers(reference, want), "reference")
    assert numba.digests == reference.digests, "wait or spikes under way differ"
    assert np.array_equal(numba.activity.counts, reference.activity.counts)
    if frozen.encoder.kind == "events":
        _events(frozen, program, x, want)
    _ways_of_running(program, x, want)
    return want


def moved(live: Graph, seed: int) -> Graph:
    """The same graph with every parameter elsewhere, as training could have left it."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, array in live.params.items():
        noise = rng.normal(size=np.shape(array))
        if is_step(name):
            found[name] = array * np.exp(0.7 * noise)
        elif name.endswith((".decay_u", ".decay_v")):
            found[name] = np.clip(array + 0.3 * noise, 0, 1)
        elif name.endswith((".v_th", ".variance")):
            found[name] = np.abs(array) * np.exp(noise)
        else:
            found[name] = array + noise * np.std(array)
    found.pop("input.step", None)  # the encoder's own
    return live.with_params({n: a.astype(live.params[n].dtype) for n, a in found.items()})


def _events(frozen: Graph, program: Program, x: Array, want: Outputs) -> None:
    """A raster and its events are the same samples."""
    events = events_from_raster(x.reshape(*x.shape[:2], -1))
    equal(want, evaluate_outputs(frozen, events), "events in training")
    equal(want, integers(run(program, events, threads=1), want), "events")


def _ways_of_running(program: Program, x: Array, want: Outputs) -> None:
    equal(want, integers(run(program, x, threads=2), want), "two threads")
    parts = _in_parts(lambda part: integers(run(program, part, threads=2), want), x)
    equal(want, parts, "split batch")
    text = listing(program)
    again = parse(text, program.arrays, program.initial)
    assert again == program and listing(again) == text
    equal(want, integers(run(again, x, threads=1, detail="sum"), want), "listing")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "net.pjp"
        save(program, path)
        loaded = load(path, verify=True)
        assert loaded == program
        equal(want, integers(run(loaded, x, threads=1), want), "file")


def _in_parts(compute, x: Array) -> Outputs:
    at = (len(x) + 1) // 2
    parts = [compute(part) for part in (x[:at], x[at:]) if len(part)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def integers(done: Run, like: Outputs) -> Outputs:
    """The arrays of a run under the trainer's names."""
    found = {name: done.outputs[name] for name in ("output", "spikes") if name in like}
    for name in like.keys() - found.keys():
        what, node = name.split(".", 1)
        found[name] = done.node(node, what)
    return found


def equal(want: Outputs, found: Outputs, who: str) -> None:
    assert want.keys() == found.keys(), who
    for name, array in want.items():
        assert array.dtype == found[name].dtype, (who, name, array.dtype, found[name].dtype)
        np.testing.assert_array_equal(array, found[name], err_msg=f"{who}: {name}")
