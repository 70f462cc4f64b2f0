"""A sheet of neurons, each joined to 250 near it, whose synapses are made when asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.network import drive
from picojoule.fixed.contract import Encoder, Events, Readout
from picojoule.fixed.format import Format
from picojoule.graph import Graph, Node, Pinned, Sparse
from picojoule.graph.ops import Delay, Input, IntCuba, IntSynapse

TILE = 16  # neurons of a side; a tile's neurons are numbered one after the other
REACH = 10  # how far a synapse goes, in rows and columns
FAN_IN = 250  # of the 440 neurons that near
BITS = 6  # of a weight; 9 - BITS bits of a mantissa are zero
STEP = 2 ** (9 - BITS)
V_TH = 4000
SIDES = {  # neurons -> tiles across and down
    1_024: (2, 2), 10_240: (5, 8), 102_400: (20, 20), 1_024_000: (50, 80),
}  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """A torus of tiles."""

    across: int
    down: int
    seed: int = 1

    @property
    def neurons(self) -> int:
        return self.across * self.down * TILE * TILE

    def place(self, neuron: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(row, column) of neurons."""
        tile, inside = np.divmod(neuron, TILE * TILE)
        y, x = np.divmod(inside, TILE)
        return tile // self.across * TILE + y, tile % self.across * TILE + x

    def number(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Neurons by place, which may lie past an edge."""
        row, column = row % (self.down * TILE), column % (self.across * TILE)
        tile = row // TILE * self.across + column // TILE
        return tile * TILE * TILE + row % TILE * TILE + column % TILE

    def synapses(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Synapses onto neurons start..stop: a stretch of a fixed shuffle of the near ones."""
        rng = np.random.default_rng((self.seed, start))
        row, column = (part[:, None] for part in self.place(np.arange(start, stop)))
        far = 2 * REACH + 1
        near = np.random.default_rng(self.seed).permutation(far * far)
        near = near[near != far * far // 2]
        first = rng.integers(0, near.size, (stop - start, 1))
        chosen = near[(first + np.arange(FAN_IN)) % near.size]
        source = self.number(row + chosen // far - REACH, column + chosen % far - REACH)
        size = rng.integers(1, 4, source.shape) * STEP
        weight = np.where(rng.random(source.shape) < 0.5, -size, size)
        bounds = np.arange(stop - start + 1) * FAN_IN
        return bounds, source.ravel(), weight.ravel().astype(np.int16)


def graph_of(sheet: Sheet, rate: float, steps: int, bits: int = BITS) -> Graph:
    """The sheet, driven by biases so that neurons fire in about `rate` of all steps, from
    voltages that one event of the input sets apart."""
    n, rng = sheet.neurons, np.random.default_rng(sheet.seed)
    bias = rng.integers(*(int(drive(rate) * f) for f in (0.8, 1.25)), n)
    pins = {
        "decay_u": (4095, 12, False), "decay_v": (16, 12, False), "v_th": (V_TH, 17, False),
        "bias": (bias, 13, True), "kick": (2 * rng.integers(0, 64, (n, 1)), 9, True),
    }  # fmt: skip
    synapse = {"step_w": "one", "features": n, "bits": bits, "dropped": 9 - bits}
    return Graph(
        name=f"sheet{n}", output="sheet", steps=steps, machine="loihi1_board",
        encoder=Encoder(kind="events", shape=(1,), steps=steps), readout=Readout(kind="none"),
        nodes=(
            Node("input", Input(shape=(1,), kind="spike")),
            Node("kicks", IntSynapse(weight="kick", step_w="one", features=n, exponent=5),
                 ("input",)),
            Node("near", IntSynapse(weight="near", sparse=True, **synapse), ("late",)),
            Node("late", Delay(steps=1), ("sheet",)),
            Node("sheet", IntCuba(decay_u="decay_u", decay_v="decay_v", v_th="v_th", bias="bias",
                                  step="one", bias_exponent=6), ("kicks", "near")),
        ),
        params={"one": np.array(1.0)},
        pinned={k: Pinned(np.asarray(v), Format(b, s)) for k, (v, b, s) in pins.items()},
        sparse={"near": Sparse((n, n), sheet.synapses)},
    )  # fmt: skip


def kick(steps: int) -> Events:
    """One event at the first step."""
    indptr = np.ones(steps + 1, np.int64)
    indptr[0] = 0
    return Events(indptr, np.zeros(1, np.int32), 1, steps, 1)
