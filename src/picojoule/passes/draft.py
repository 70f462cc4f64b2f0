"""A program while it is being written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.format import Format
from picojoule.program import Instruction, Region, Source, Span
from picojoule.program.program import Role

Array = np.ndarray[Any, Any]

HELD_MAX = 2**28  # bytes of constants in memory; what comes after them goes to a file
ALIGNMENT = 64  # bytes


@dataclass
class Spool:
    """Constants of a large program in a file without a name, which lives as long as its views."""

    file: BinaryIO | None = None
    size: int = 0
    places: dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]] = field(default_factory=dict)

    def add(self, name: str, array: Array) -> None:
        """Append an array.  Raises UsageError PJ801 where there is no room for it."""
        try:
            if self.file is None:
                self.file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  # `views` closes it
            self.file.write(np.ascontiguousarray(array).data)
            self.file.write(b"\0" * (-array.nbytes % ALIGNMENT))
        except OSError as error:
            self.close()
            what = f"the constants of a large program cannot be kept in a file: {error.strerror}"
            fix = "TMPDIR=... to name a folder on a disk with more room"
            raise UsageError(Fault("PJ801", what, tempfile.gettempdir(), fix)) from None
        self.places[name] = (self.size, array.dtype, array.shape)
        self.size += array.nbytes + -array.nbytes % ALIGNMENT

    def close(self) -> None:
        """Give the room back; views that were made keep it."""
        if self.file is not None:
            self.file.close()

    def views(self) -> Iterator[tuple[str, Array]]:
        """Name and read-only view of each array; memory is only taken up by what is looked at."""
        if self.file is None:
            return
        self.file.flush()
        data = np.memmap(self.file, np.uint8, mode="r").view(np.ndarray)  # it keeps the file
        self.close()
        for name, (start, dtype, shape) in self.places.items():
            stop = start + int(np.prod(shape)) * dtype.itemsize
            yield name, data[start:stop].view(dtype).reshape(shape)


@dataclass
class Draft:
    """Regions, constants, instructions and source map, in the order in which they are made."""

    regions: dict[str, Region] = field(default_factory=dict)
    held: dict[str, Array] = field(default_factory=dict)
    spool: Spool = field(default_factory=Spool)
    bytes: int = 0
    instructions: list[Instruction] = field(default_factory=list)
    source: list[Source] = field(default_factory=list)

    @property
    def arrays(self) -> dict[str, Array]:
        """All constants, read-only, when no more will be made."""
        return self.held | dict(self.spool.views())

    def region(
        self, name: str, memory: str, core: int, form: Format, shape: tuple[int, ...], role: Role
    ) -> Span:
        """Make a region; the span of all of it."""
        assert name not in self.regions, f"region {name!r} made twice"
        self.regions[name] = Region(memory, core, form, shape, role)
        return Span(name, 0, shape[0])

    def constant(self, name: str, memory: str, core: int, form: Format, values: Array) -> Span:
        """Make a constant region from integers that its format holds."""
        assert values.size == 0 or form.low <= values.min() <= values.max() <= form.high, name
        array = np.ascontiguousarray(values, form.dtype)
        array.flags.writeable = False
        self.bytes += array.nbytes
        if self.bytes > HELD_MAX and array.size:
            self.spool.add(name, array)
        else:
            self.held[name] = array
        return self.region(name, memory, core, form, array.shape, "const")

    def emit(self, instruction: Instruction) -> int:
        """Append an instruction; its index."""
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def last(self) -> tuple[int, ...]:
        """All instructions that no other waits for; the rest follows."""
        waited = {i for instruction in self.instructions for i in instruction.after}
        return tuple(i for i in range(len(self.instructions)) if i not in waited)
