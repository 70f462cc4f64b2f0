"""Sets of labelled images from a folder, as MNIST and Fashion-MNIST are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.train.data.idx import read_idx
from picojoule.train.data.npz import read_npz

Array = np.ndarray
PREFIXES = {"train": ("train",), "test": ("t10k", "test")}
FORMS = "t10k-images-idx3-ubyte(.gz) and its labels, or *train*.npz and *test*.npz with x and y"


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and their labels: x uint8 (n, height, width, 1), y int64 (n,)."""

    x: Array
    y: Array

    def scaled(self) -> Array:
        """The images as float32 in 0..1."""
        return self.x.astype(np.float32) / np.float32(255)

    def first(self, count: int) -> Labelled:
        """The first `count` of them."""
        return Labelled(self.x[:count], self.y[:count])


def image_set(folder: str | Path, part: str) -> Labelled:
    """The 'train' or 'test' images of a folder of IDX or npz files.

    Several npz files of one part are joined in the order of their names.
    Raises UsageError PJ801 for a folder without them and for damaged files, PJ802 for arrays
    that are not images with a label each, PJ806 for another part.
    """
    if part not in PREFIXES:
        raise UsageError(Fault("PJ806", f"part={part!r} is none of {sorted(PREFIXES)}"))
    folder = Path(folder)
    archives = sorted(folder.glob(f"*{part}*.npz"))
    if archives:
        found = [_checked(path, *read_npz(path, ("x", "y")).values()) for path in archives]
        _alike(found, folder)
        return Labelled(np.concatenate([f.x for f in found]), np.concatenate([f.y for f in found]))
    images, labels = (_idx_file(folder, part, what) for what in ("images-idx3", "labels-idx1"))
    if images is None or labels is None:
        what = f"there are no {part} images"
        raise UsageError(Fault("PJ801", what, where=str(folder), fix=f"a folder with {FORMS}"))
    return _checked(images, read_idx(images), read_idx(labels))


def _idx_file(folder: Path, part: str, what: str) -> Path | None:
    names = [f"{prefix}-{what}-ubyte" for prefix in PREFIXES[part]]
    paths = [folder / f"{name}{end}" for name in names for end in ("", ".gz")]
    return next((path for path in paths if path.is_file()), None)


def _checked(path: Path, x: Array, y: Array) -> Labelled:
    faults = []
    if x.ndim != 3 or x.dtype != np.uint8:
        what = f"images must be uint8 (n, height, width), got {x.dtype} {list(x.shape)}"
        faults.append(Fault("PJ802", what, where=str(path)))
    if y.ndim != 1 or y.dtype.kind not in "iu" or (x.ndim and len(y) != len(x)):
        what = f"labels must be one whole number an image, got {y.dtype} {list(y.shape)}"
        faults.append(Fault("PJ802", what, where=str(path)))
    if not faults and len(x) == 0:
        faults.append(Fault("PJ803", "there are no images", where=str(path)))
    if faults:
        raise UsageError(faults)
    return Labelled(x[..., None], y.astype(np.int64))


def _alike(found: list[Labelled], folder: Path) -> None:
    sizes = sorted({part.x.shape[1:3] for part in found})
    if len(sizes) > 1:
        what = f"its files hold images of several sizes: {', '.join(map(str, sizes))}"
        raise UsageError(Fault("PJ802", what, where=str(folder)))
