"""Targets as data: what a machine is, what its actions cost, and where its file says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

FORMATS = ("weight_formats", "activation_formats")  # fields of a core type
ENGINE_SERIAL = "serial"  # actions on this engine overlap with nothing


def component_kind(component: str) -> str:
    """The kind of an Activity component: `core` for `core12`, `chip` for `chip`."""
    return component.rstrip("0123456789")


@dataclass(frozen=True)
class Price:
    """What one count of an action costs: joules and seconds, each with the band of its sources.

    component  the kind of component that the machine prices it on: core, mesh, chip, sram, ...
    engine     actions of one engine of one component happen one after the other
    excluded   the machine names the action but gives no price; reports print it as excluded
    unknown    'energy' or 'time' that nobody has published: zero here, excluded in reports
    """

    action: str
    component: str
    engine: str
    energy_j: float
    energy_low_j: float
    energy_high_j: float
    time_s: float
    time_low_s: float
    time_high_s: float
    source: str
    confidence: str
    band_source: str = ""
    note: str = ""
    excluded: bool = False
    line: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def assumed(self) -> bool:
        """Nobody has published this number."""
        return self.confidence == "assumed"


@dataclass(frozen=True)
class StaticTerm:
    """Power that flows whether or not anything happens, in watts, with its band."""

    name: str
    power_w: float
    low_w: float
    high_w: float
    source: str
    confidence: str
    band_source: str = ""
    note: str = ""
    line: int = 0

    @property
    def assumed(self) -> bool:
        """Nobody has published this number."""
        return self.confidence == "assumed"


@dataclass(frozen=True)
class Limit:
    """One limit of a core type, and the line of the file that sets it."""

    name: str
    value: int
    source: str
    confidence: str
    note: str
    line: int


@dataclass(frozen=True)
class Limits(Mapping[str, int]):
    """The limits of a core type by name: `limits.neurons`, `limits["neurons"]`, `.line(name)`."""

    entries: tuple[Limit, ...] = ()

    def __getitem__(self, name: str) -> int:
        return self.entry(name).value

    def __getattr__(self, name: str) -> int:
        if name.startswith("_") or name == "entries":  # as copy and pickle ask
            raise AttributeError(name)
        try:
            return self.entry(name).value
        except KeyError:
            raise AttributeError(f"the core type sets no limit '{name}'") from None

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def entry(self, name: str) -> Limit:
        """The limit with its source and line.  Raises KeyError when there is none."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def line(self, name: str) -> int:
        """The 1-based line that sets a limit.  Raises KeyError when there is none."""
        return self.entry(name).line


@dataclass(frozen=True)
class Grid:
    """Tiles of a chip: core k sits on tile k // cores_per_tile; tiles fill column by column."""

    columns: int
    rows: int
    cores_per_tile: int

    def position(self, core: int) -> tuple[int, int]:
        """(x, y) of the tile of a core.  Raises IndexError when there is no such core."""
        tile = core // self.cores_per_tile
        if not 0 <= tile < self.columns * self.rows:
            raise IndexError(f"core {core} is not on this chip")
        return tile // self.rows, tile % self.rows


@dataclass(frozen=True)
class Array:
    """A systolic array and what stays in it: `ws` weights, `os` outputs, `is` inputs."""

    rows: int
    columns: int
    dataflow: str


@dataclass(frozen=True)
class CoreType:
    """Numerics, formats and limits of the cores of a machine.

    choices  allowed numbers of bits by field: `weight_bits`, `activation_bits`, `index_bits`, ...
    weight_formats, activation_formats
             names of `fixed.format.FLOATS` that they may have beside integers
    """

    type: str
    count: int
    profile: str
    grid: Grid
    limits: Limits
    choices: tuple[tuple[str, tuple[int, ...]], ...]
    weight_formats: tuple[str, ...] = ()
    activation_formats: tuple[str, ...] = ()

    def choice(self, name: str) -> tuple[int, ...]:
        """The allowed numbers of bits of a field; empty when the machine has no such field."""
        return dict(self.choices).get(name, ())

    def position(self, core: int) -> tuple[int, int]:
        """(x, y) of the tile of a core.  Raises IndexError when there is no such core."""
        return self.grid.position(core)


@dataclass(frozen=True)
class Component:
    """A part of the chip beside its cores, and what it does: compute, memory, link or dma."""

    name: str
    role: str
    memories: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Target:
    """A machine, read from a hardware model.  Equal and hashable by its two digests.

    memories  bytes by name           prices  by (component kind, action)
    clock_hz  0.0 where the machine has no single clock
    board_rows  chips of a column of the board
    path      the file, as faults name it; lines: dotted path in it -> 1-based line
    """

    name: str
    kind: str
    title: str
    description: str
    chips: int
    core: CoreType
    memories: Mapping[str, int]
    prices: Mapping[tuple[str, str], Price]
    static_terms: tuple[StaticTerm, ...]
    sources: Mapping[str, str]
    path: str
    components: tuple[Component, ...] = ()
    array: Array | None = None
    clock_hz: float = 0.0
    board_rows: int = 1
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, str, str]:
        return self.name, self.machine_digest, self.price_digest

    @property
    def cores(self) -> int:
        """Cores of all chips."""
        return self.chips * self.core.count

    def position(self, core: int) -> tuple[int, int]:
        """(x, y) of the tile of a core on the mesh of all chips, which are placed like tiles.

        Raises IndexError when there is no such core.
        """
        chip, (x, y) = self._chip(core), self.core.position(core % self.core.count)
        return chip[0] * self.core.grid.columns + x, chip[1] * self.core.grid.rows + y

    def hops(self, start: int, stop: int) -> tuple[int, ...]:
        """Links from core to core: east-west and north-south; where there are several chips,
        also the borders between chips that they cross."""
        (x0, y0), (x1, y1) = self.position(start), self.position(stop)
        links = abs(x1 - x0), abs(y1 - y0)
        if self.chips == 1:
            return links
        (cx0, cy0), (cx1, cy1) = self._chip(start), self._chip(stop)
        return (*links, abs(cx1 - cx0) + abs(cy1 - cy0))

    def _chip(self, core: int) -> tuple[int, int]:
        """(column, row) of the chip of a core; chips fill the board column by column."""
        chip = core // self.core.count
        if not 0 <= chip < self.chips:
            raise IndexError(f"core {core} is not on this machine")
        return chip // self.board_rows, chip % self.board_rows

    @property
    def weight_bits(self) -> tuple[int, ...]:
        """Numbers of bits that a weight may have."""
        return self.core.choice("weight_bits")

    @property
    def weight_formats(self) -> tuple[str, ...]:
        """Formats that weights may have beside integers, such as 'e4m3' or 'mxfp4'."""
        return self.core.weight_formats

    @property
    def activation_formats(self) -> tuple[str, ...]:
        """Formats that activations may have beside integers: 'e4m3', or none."""
        return self.core.activation_formats

    @property
    def activation_bits(self) -> tuple[int, ...]:
        """Numbers of bits that an activation (a spike: 1) may have."""
        return self.core.choice("activation_bits")

    @property
    def static_power_w(self) -> float:
        """Power of the whole system that flows whatever happens, in watts."""
        return sum(term.power_w for term in self.static_terms) * self.chips

    def price(self, component: str, action: str) -> Price | None:
        """The price of an action counted on a component such as `core12`; None if it has none.

        An action that a single kind of component prices has that price wherever it is counted:
        cores count the mesh's `hop.ew`.
        """
        exact = self.prices.get((component_kind(component), action))
        if exact is not None:
            return exact
        found = [price for (_, name), price in self.prices.items() if name == action]
        return found[0] if len(found) == 1 else None

    def where(self, dotted: str) -> str:
        """`file:line` of a path such as `core.limits.neurons`, whole or its unique ending.

        Gives the file alone when the path is not in it, or is the ending of several.
        """
        line = self.lines.get(dotted)
        if line is None:
            ends = [n for path, n in self.lines.items() if path.endswith("." + dotted)]
            line = ends[0] if len(ends) == 1 else None
        return self.path if line is None else f"{self.path}:{line}"

    @property
    def machine_digest(self) -> str:
        """SHA-256 over what decides the bits of a program: formats, limits, geometry."""
        core, grid, array = self.core, self.core.grid, self.array
        return _digest(
            {
                "kind": self.kind,
                "chips": self.chips,
                "cores": core.count,
                "profile": core.profile,
                "grid": [grid.columns, grid.rows, grid.cores_per_tile],
                "array": [array.rows, array.columns, array.dataflow] if array else None,
                "choices": {name: sorted(bits) for name, bits in core.choices},
                "limits": dict(core.limits),
                "memories": dict(self.memories),
                **({"board_rows": self.board_rows} if self.chips > 1 else {}),
                **{f: sorted(getattr(core, f)) for f in FORMATS if getattr(core, f)},
            }
        )

    @property
    def price_digest(self) -> str:
        """SHA-256 over what decides a bill: energies, times, engines, static power."""
        prices = {
            f"{kind} {action}": [
                p.engine,
                p.energy_j,
                p.energy_low_j,
                p.energy_high_j,
                p.time_s,
                p.time_low_s,
                p.time_high_s,
                p.excluded,
                p.unknown,
                p.source,
                p.confidence,
            ]
            for (kind, action), p in self.prices.items()
        }
        static = [[t.name, t.power_w, t.low_w, t.high_w] for t in self.static_terms]
        return _digest({"prices": prices, "static": static, "clock": self.clock_hz})


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def axon_list_bits(
    synapses: int,
    weight_bits: int,
    *,
    limits: Limits,
    delay_bits: int = 0,
    tag_bits: int = 0,
    index_bits: int = 0,
) -> int:
    """Bits of synapse memory that the list of one input axon takes; 0 for an empty list.

    Groups of at most `synapses_per_group` synapses, each with a header, each rounded up to whole
    words; the dense format has no index (`index_bits=0`).  Integer arrays give integer arrays.
    Source: nengo-loihi 1.1.0, `Synapse.bits_per_axon`.
    """
    group, word = limits.synapses_per_group, limits.synapse_word_bits
    header, each = limits.group_header_bits, weight_bits + delay_bits + tag_bits + index_bits
    full, rest = synapses // group, synapses % group
    last = (rest > 0) * (-(-(rest * each + header) // word)) * word
    return full * (-(-(group * each + header) // word)) * word + last
