"""Traces of the NIR paper's LIF neuron (01_lif): step by step input spike, voltage, output spike.

A trace `*_fixed.csv` of a fixed-point back end beside `.nir` files of one LIF neuron.  The
paper's exporter wrote, for time constant tau and steps of dt = 0.1 ms:

    decay_u  4095: nothing of the current is kept, silicon subtracts 1 more
    decay_v  int(dt / tau * 4095)
    weight   int(256 w r / 0.4) units of v a spike: 640 for w r = 1
    v_th     (int(v_threshold * 131071) >> 9) * 64
    input    one step late

Silicon keeps the refractory countdown in the voltage word, so that its probe reads 128 where a
neuron has fired; Lava's emulator reads 0 (facts: Loihi numerics, 1.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from picojoule.conform.net import INPUT, Net, Part
from picojoule.conform.trial import Array, NotYet, Quantity, Trial, whole
from picojoule.errors import Fault, UsageError
from picojoule.frontend import nir_file

DT = 1e-4  # seconds
CELL = "lif"
COUNTDOWN = 128  # what a probe of Loihi's voltage word reads in the step of a spike
SIZE_MAX = 1 << 24


def known(path: Path) -> bool:
    """Whether a CSV is a trace of this format: fixed point, with a network beside it."""
    return path.stem.startswith("lif_") and any(path.parent.glob("*.nir"))


def trials(path: Path, name: str) -> Iterator[Trial]:
    """The neuron of a trace.  Raises NotYet for a trace of a floating-point back end."""
    if not path.stem.endswith("_fixed"):
        raise NotYet("a trace in floating point: there are no integers to compare")
    table = _table(path, name)
    x, v, spikes = table[:, :1], table[:, 1:2], table[:, 2:]
    decay_v, mantissa, v_th = _registers(path, name)
    net = Net(name, 1, "loihi1")
    part = Part(CELL, np.arange(1), (("refractory", 1),))
    net.dense("fc", np.array([[mantissa]]), INPUT, CELL, 1, dropped=0)
    net.neurons(part, "cuba", {"decay_u": 4095, "decay_v": decay_v, "v_th": v_th})
    silicon = spikes.any() and bool((v[spikes != 0] == COUNTDOWN).all())
    voltage = Quantity("v", v, ((f"{CELL}.v", np.arange(1)),), fired=COUNTDOWN if silicon else None)
    found = (voltage, whole("spikes", CELL, "spike", spikes != 0))
    yield Trial(net.graph(CELL, len(table)), "loihi1", x[None] != 0, found)


def _table(path: Path, name: str) -> Array:
    """int64 (steps, 3)."""
    if path.stat().st_size > SIZE_MAX:
        raise UsageError(Fault("PJ802", f"vector {name!r}: the trace is too long", str(path)))
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        what = f"vector {name!r}: the trace cannot be read: {str(error)[:200]}"
        raise UsageError(Fault("PJ801", what, str(path))) from None
    if table.shape[1:] != (3,) or not len(table):
        what = f"vector {name!r}: a trace has 3 columns, this one has shape {list(table.shape)}"
        raise UsageError(Fault("PJ802", what, str(path)))
    bad = np.argwhere(~np.isfinite(table) | (table != np.rint(table)))
    if len(bad):
        what = f"vector {name!r}: row {bad[0][0] + 1} of the trace holds no whole number"
        raise UsageError(Fault("PJ807", what, str(path)))
    return table.astype(np.int64)


def _registers(path: Path, name: str) -> tuple[int, int, int]:
    """(decay_v, weight mantissa, threshold mantissa) of the one LIF neuron beside a trace."""
    for beside in sorted(path.parent.glob("*.nir")):
        items = {item.kind: item.arrays for item in nir_file.read_items(beside).items}
        neuron, synapse = items.get("LIF"), items.get("Affine", items.get("Linear"))
        if neuron is None or synapse is None or synapse["weight"].size != 1:
            continue
        tau, r, threshold = (float(neuron[key].reshape(-1)[0])
                             for key in ("tau", "r", "v_threshold"))  # fmt: skip
        weight = float(synapse["weight"].reshape(-1)[0])
        scale = int(round(weight * r, 9) * 256 / 0.4)
        return int(round(DT / tau, 9) * 4095), scale >> 6, int(round(threshold, 9) * 131071) >> 9
    what = f"vector {name!r}: no .nir beside the trace holds one LIF neuron and its weight"
    raise UsageError(Fault("PJ801", what, str(path)))
