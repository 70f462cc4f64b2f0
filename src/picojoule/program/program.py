"""What a machine holds: regions of memory, constants, instructions, routes, a source map."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format, Scale

Role = Literal["const", "state", "buffer", "input", "output"]
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Region:
    """A named piece of memory.

    memory  which memory of the machine holds it: 'synapse', 'state', 'axon', 'host', 'dram',
            'sram_input', 'sram_weight', 'sram_output' ...
    core    the core it belongs to; -1: none
    role    'const' has an array; 'state' outlives a step and is zeroed by a reset;
            'buffer' is written before it is read; 'input' and 'output' face the host
    """

    memory: str
    core: int
    format: Format
    shape: tuple[int, ...]
    role: Role

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def packed_bytes(self) -> int:
        """Bytes when elements are packed without gaps, shared exponents included."""
        rows = self.shape[0] if self.shape else 1
        return -(-self.format.packed_bits(rows, math.prod(self.shape[1:])) // 8)


@dataclass(frozen=True)
class Span:
    """Elements start..stop of axis 0 of a region."""

    region: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"{self.region}[{self.start}:{self.stop}]"


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One step of a core's work.  Its opcode's row in `opcodes.py` says what each field means.

    after   indices of instructions that must have finished; order follows from these alone
    phase   window of the activity counts that it belongs to (layers of a tensor machine)
    """

    op: str
    core: int
    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()
    args: tuple[int, ...] = ()
    loops: tuple[tuple[str, int], ...] = ()
    after: tuple[int, ...] = ()
    phase: int = 0


@dataclass(frozen=True)
class Source:
    """Elements start..stop of a region hold elements first.. of `what` of a graph node.

    what   'u', 'v', 'spike', 'weight', 'bias', 'output', ...
    scale  what one unit means, where known
    """

    region: str
    start: int
    stop: int
    node: str
    what: str
    first: int = 0
    scale: Scale | None = None


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled network: enough to run, with nothing left of the graph.  Immutable.

    regions, arrays  memory, and the constants in it (read-only, in the region's dtype)
    instructions     spiking: run once a step; tensor: run once an inference
    steps            steps of one inference, pipeline latency included
    phases           names of the phases of a tensor program
    positions        (x, y) mesh position of each core
    held             what others derived from it and keep (a plan, that it is verified): no part
                     of it, not compared, not saved; a changed copy starts without
    machine          digest of the machine it was compiled for
    """

    name: str
    target: str
    machine: str
    kind: Literal["spiking", "tensor"]
    profile: str
    regions: Mapping[str, Region]
    arrays: Mapping[str, np.ndarray]
    instructions: tuple[Instruction, ...]
    encoder: Encoder
    readout: Readout
    steps: int = 1
    latency: int = 0
    phases: tuple[str, ...] = ()
    positions: tuple[tuple[int, int], ...] = ()
    source: tuple[Source, ...] = ()
    initial: Mapping[str, np.ndarray] = field(default_factory=dict)
    held: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def cores(self) -> int:
        """How many cores it uses."""
        return 1 + max((i.core for i in self.instructions), default=-1)

    def where(self, node: str, what: str) -> tuple[Source, ...]:
        """Where `what` of a graph node lies, in order of element."""
        found = [s for s in self.source if s.node == node and s.what == what]
        return tuple(sorted(found, key=lambda s: s.first))

    def with_state(self, state: Mapping[str, np.ndarray]) -> Program:
        """The same program starting from other state words (region name -> array)."""
        return replace(self, initial={**self.initial, **state})

    def save(self, path: str | Path) -> None:
        """Write it to one file (`*.pjp`), array by array; see `program.files.save`."""
        from picojoule.program import files  # it needs this module

        files.save(self, path)

    @staticmethod
    def open(path: str | Path, *, verify: bool = False) -> Program:
        """Read a saved program; its arrays are mapped, not read; see `program.files.load`."""
        from picojoule.program import files  # it needs this module

        return files.load(path, verify=verify)

    @cached_property
    def digest(self) -> str:
        """sha256 over everything that decides a run, hexadecimal."""
        from picojoule.program.plain import canonical  # it needs this module

        sha = hashlib.sha256(f"{FORMAT_VERSION}{canonical(self)}".encode())
        for arrays in (self.arrays, self.initial):
            for name, array in sorted(arrays.items()):
                array = np.ascontiguousarray(array)
                sha.update(f"{name}{array.dtype.str}{array.shape}".encode() + array.tobytes())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __str__(self) -> str:
        from picojoule.program.listing import listing  # it needs this module

        return listing(self)
