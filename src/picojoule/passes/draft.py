"""A program while it is being written."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from picojoule.fixed.format import Format
from picojoule.program import Instruction, Region, Source, Span
from picojoule.program.program import Role


@dataclass
class Draft:
    """Regions, constants, instructions and source map, in the order in which they are made."""

    regions: dict[str, Region] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    source: list[Source] = field(default_factory=list)

    def region(
        self, name: str, memory: str, core: int, form: Format, shape: tuple[int, ...], role: Role
    ) -> Span:
        """Make a region; the span of all of it."""
        assert name not in self.regions, f"region {name!r} made twice"
        self.regions[name] = Region(memory, core, form, shape, role)
        return Span(name, 0, shape[0])

    def constant(self, name: str, memory: str, core: int, form: Format, values: np.ndarray) -> Span:
        """Make a constant region from integers that its format holds."""
        assert values.size == 0 or form.low <= values.min() <= values.max() <= form.high, name
        array = np.ascontiguousarray(values, form.dtype)
        array.flags.writeable = False
        self.arrays[name] = array
        return self.region(name, memory, core, form, array.shape, "const")

    def emit(self, instruction: Instruction) -> int:
        """Append an instruction; its index."""
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def last(self) -> tuple[int, ...]:
        """All instructions that no other waits for; the rest follows."""
        waited = {i for instruction in self.instructions for i in instruction.after}
        return tuple(i for i in range(len(self.instructions)) if i not in waited)
