"""Files of any known format to Graphs."""

from __future__ import annotations

import os

from picojoule.container import existing, regular
from picojoule.errors import Fault, FrontendError
from picojoule.frontend.nir_dialect import Dialect
from picojoule.graph.graph import Graph

FORMATS = {".nir": "NIR", ".net": "lava-dl", ".onnx": "ONNX", ".pjg": "a saved Graph"}
PLANNED = {".tflite": "TFLite"}


def load(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    dialect: Dialect | str = "ode-exact",
    steps: int = 100,
) -> Graph:
    """Read a network file; its suffix says the format.

    dt, dialect, steps  see `picojoule.frontend.nir.read`; of a `.net` file steps alone counts,
                        where the file names none

    Raises FrontendError PJ501 for a format that is not read, UsageError PJ801 where there is
    no file; else what the reader raises.
    """
    path = regular(path)
    suffix = path.suffix.lower()
    if suffix in FORMATS:
        path = existing(path)
    if suffix == ".nir":
        from picojoule.frontend import nir

        return nir.read(path, dt=dt, dialect=dialect, steps=steps)
    if suffix == ".net":
        from picojoule.frontend import lava_net

        return lava_net.read(path, steps=steps)
    if suffix == ".onnx":
        from picojoule.frontend import onnx

        return onnx.read(path)
    if suffix == ".pjg":
        from picojoule.graph.files import load as load_graph

        return load_graph(path)
    what = f"{path.name!r} has no suffix of a network file that can be read"
    if suffix in PLANNED:
        what = f"{PLANNED[suffix]} files are not read yet: {path.name!r}"
    known = ", ".join(f"{name} ({end})" for end, name in FORMATS.items())
    raise FrontendError(Fault("PJ501", what, fix=f"formats read now: {known}"))
