"""What the training benchmark trains: the same arrays for us and for every peer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
CHANNELS = (1, 16, 32, 64)
TAPE_LENGTH = 200  # operations of the chain
CHAIN_STEPS, DENSITY, INPUTS, HIDDEN, CLASSES = 100, 0.02, 700, 256, 20
KEEP, SHARPNESS = 0.95, 25.0  # of voltage a step; of the fast sigmoid


def _normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def mlp(rng: np.random.Generator) -> Arrays:
    """784-512-512-10 on a batch of 128; weights (out, in)."""
    sizes = (784, 512, 512, 10)
    out = {"x": _normal(rng, 128, 784), "labels": rng.integers(0, 10, 128)}
    for k, (n, m) in enumerate(pairwise(sizes)):
        out[f"w{k}"] = _normal(rng, m, n, scale=(2 / n) ** 0.5)
        out[f"b{k}"] = _normal(rng, m, scale=0.1)
    return out


def cnn(rng: np.random.Generator) -> Arrays:
    """conv 16, pool, conv 32, pool, conv 64, mean, dense 10, on 64 images of 28 x 28."""
    out = {"x": _normal(rng, 64, 28, 28, 1), "labels": rng.integers(0, 10, 64)}
    for k, (n, m) in enumerate(pairwise(CHANNELS)):
        out[f"w{k}"] = _normal(rng, m, n, 3, 3, scale=(2 / (9 * n)) ** 0.5)
        out[f"b{k}"] = _normal(rng, m, scale=0.1)
    out["w3"], out["b3"] = _normal(rng, 10, 64, scale=0.1), _normal(rng, 10, scale=0.1)
    return out


def qat(rng: np.random.Generator) -> Arrays:
    """The same network with weights and activations of 4 bits, its steps learned."""
    return cnn(rng)


def lsq(rng: np.random.Generator) -> Arrays:
    """Half a million elements to 4 bits, with a learned step."""
    n = 128 * 4096
    return {"x": _normal(rng, n), "g": _normal(rng, n), "step": np.float32(0.35)[None]}


def tape(rng: np.random.Generator) -> Arrays:
    """A chain of small operations: r = r a + x."""
    return {"x": _normal(rng, 16), "a": np.full(16, 0.999, np.float32)}


def _snn(rng: np.random.Generator, batch: int) -> Arrays:
    gain = (1 - KEEP**2) ** 0.5 / (DENSITY * INPUTS) ** 0.5
    return {
        "x": (rng.random((CHAIN_STEPS, batch, INPUTS)) < DENSITY).astype(np.float32),
        "labels": rng.integers(0, CLASSES, batch),
        "w_in": _normal(rng, INPUTS, HIDDEN, scale=gain),
        "v_rec": _normal(rng, HIDDEN, HIDDEN, scale=0.2 / 16),
        "w_out": _normal(rng, HIDDEN, CLASSES, scale=1 / 16),
    }


def snn64(rng: np.random.Generator) -> Arrays:
    """Recurrent spiking 700-256-20, 100 steps, 2 % of inputs fire; batch 64."""
    return _snn(rng, 64)


def snn8(rng: np.random.Generator) -> Arrays:
    """The same with a batch of 8."""
    return _snn(rng, 8)


CASES = {"mlp": mlp, "cnn": cnn, "qat": qat, "lsq": lsq, "tape": tape, "snn64": snn64, "snn8": snn8}


def arrays_of(case: str) -> Arrays:
    """The arrays of a case; always the same."""
    return CASES[case](np.random.Generator(np.random.Philox(key=[1, 0])))


def save(arrays: Arrays, path: Path) -> None:
    """Write named arrays."""
    np.savez(path, **arrays)
