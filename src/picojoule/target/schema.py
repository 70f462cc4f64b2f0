"""What a hardware model file must say; `hardware_models/README.md` explains each field.

pydantic collects all faults of a file at once; `reader` turns them into `Fault`s with lines.
Error types of our own: `quantity` (PJ103) and `model` (PJ102).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from picojoule import units
from picojoule.fixed.format import FLOATS

SUM_BITS_MAX = 63  # the simulator holds exact sums, and half of a shift, in 64 bits
PRICED, EXCLUDED = "<priced>", "<excluded>"  # tags that no field of a file can have


def _quantity(kind: str) -> Callable[[object], float]:
    def read(text: object) -> float:
        try:
            value = units.parse(text, kind)  # type: ignore[arg-type]  # it refuses non-text
        except ValueError as error:
            raise PydanticCustomError("quantity", "{why}", {"why": str(error)}) from None
        if value < 0:
            why = f"{text!r} is negative"
            raise PydanticCustomError("quantity", "{why}", {"why": why})
        return value

    return read


def _fault(what: str) -> PydanticCustomError:
    return PydanticCustomError("model", "{what}", {"what": what})


Energy: TypeAlias = Annotated[float, BeforeValidator(_quantity("energy"))]
Time: TypeAlias = Annotated[float, BeforeValidator(_quantity("time"))]
Power: TypeAlias = Annotated[float, BeforeValidator(_quantity("power"))]
Frequency: TypeAlias = Annotated[float, BeforeValidator(_quantity("frequency"))]
Memory: TypeAlias = Annotated[float, BeforeValidator(_quantity("memory"))]
Pair: TypeAlias = Field(min_length=2, max_length=2)  # type: ignore[valid-type]
Confidence: TypeAlias = Literal["measured", "published", "derived", "fitted", "assumed"]
Positive: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
ActionName: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,3}$", max_length=60)
]


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Sourced(Record):
    """A number, or a few, with where they come from and how far to trust them."""

    source: Text
    confidence: Confidence
    note: Text = ""


class Count(Sourced):
    value: Positive


class Limit(Sourced):
    value: Annotated[int, Field(ge=-(2**62), le=2**62)]


class Choice(Sourced):
    values: Annotated[list[Annotated[int, Field(ge=0, le=1024)]], Field(min_length=1)]


class Formats(Sourced):
    """Formats of numbers by name, as rule T13 of docs/numerics.md has them."""

    values: Annotated[list[Text], Field(min_length=1)]

    @model_validator(mode="after")
    def known(self) -> Formats:
        unknown = sorted(set(self.values) - set(FLOATS))
        if unknown:
            raise _fault(f"no such format: {', '.join(unknown)}; known: {', '.join(FLOATS)}")
        return self


class ActivationFormats(Formats):
    """Formats in which each number stands alone: activations share no exponents."""

    @model_validator(mode="after")
    def alone(self) -> ActivationFormats:
        others = sorted(set(self.values) - {"e4m3"})
        if others:
            raise _fault(f"activations in {', '.join(others)} are not known; e4m3 is")
        return self


class Size(Sourced):
    size: Memory

    @model_validator(mode="after")
    def whole(self) -> Size:
        if self.size != int(self.size):
            raise _fault(f"a memory holds whole bytes, not {self.size}")
        return self


class Clock(Sourced):
    frequency: Frequency

    @model_validator(mode="after")
    def ticking(self) -> Clock:
        if self.frequency == 0:
            raise _fault("a clock of 0 Hz never ticks")
        return self


class GridSpec(Sourced):
    columns: Positive
    rows: Positive
    cores_per_tile: Positive


class BoardSpec(Sourced):
    """How chips are placed: chip k is in column k // rows."""

    columns: Positive
    rows: Positive


class ArraySpec(Sourced):
    rows: Positive
    columns: Positive
    dataflow: Literal["ws", "os", "is"]


class StaticSpec(Sourced):
    power: Power
    power_band: Annotated[list[Power], Pair] | None = None
    band_source: Text = ""

    @model_validator(mode="after")
    def ordered(self) -> StaticSpec:
        _check_band("power", self.power, self.power_band)
        return self


class PriceSpec(Sourced):
    """Energy and time of one count of an action.

    unknown  what nobody has published: it stands at zero, and reports print it as excluded
    """

    energy: Energy
    energy_band: Annotated[list[Energy], Pair] | None = None
    time: Time
    time_band: Annotated[list[Time], Pair] | None = None
    band_source: Text = ""
    engine: Name
    unknown: list[Literal["energy", "time"]] = []

    @model_validator(mode="after")
    def ordered(self) -> PriceSpec:
        _check_band("energy", self.energy, self.energy_band)
        _check_band("time", self.time, self.time_band)
        return self

    @model_validator(mode="after")
    def unknown_is_zero(self) -> PriceSpec:
        values = {"energy": self.energy, "time": self.time}
        if any(values[name] for name in self.unknown):
            raise _fault("what is unknown must stand at 0, without a band")
        return self


class ExcludedSpec(Record):
    """An action that is counted but has no price; reports print it as excluded."""

    excluded: Literal[True]
    note: Text


def _action_shape(value: object) -> str:
    return EXCLUDED if isinstance(value, dict) and "excluded" in value else PRICED


ActionSpec: TypeAlias = Annotated[
    Annotated[PriceSpec, Tag(PRICED)] | Annotated[ExcludedSpec, Tag(EXCLUDED)],
    Discriminator(_action_shape),
]
Actions: TypeAlias = dict[ActionName, ActionSpec]


class ComponentSpec(Record):
    """A part of the chip beside its cores: a link, a memory, a DMA engine, a vector unit."""

    role: Literal["compute", "memory", "link", "dma"]
    memories: dict[Name, Size] = {}
    actions: Actions = {}


class HostSpec(Record):
    actions: Actions = {}


class CoreSpec(Record):
    """A core type: numerics and limits belong here."""

    type: Text
    profile: Name
    count: Count
    choices: dict[Name, Choice]
    weight_formats: Formats | None = None
    activation_formats: ActivationFormats | None = None
    limits: dict[Name, Limit] = {}
    memories: dict[Name, Size] = {}
    array: ArraySpec | None = None
    actions: Actions = {}

    @model_validator(mode="after")
    def formats(self) -> CoreSpec:
        missing = {"weight_bits", "activation_bits"} - set(self.choices)
        if missing:
            raise _fault(f"choices lack {', '.join(sorted(missing))}")
        sums = self.limits.get("accumulator_bits")
        if sums is not None and not 1 <= sums.value <= SUM_BITS_MAX:
            raise _fault(f"accumulator_bits must lie in 1..{SUM_BITS_MAX}, got {sums.value}")
        return self


class ChipSpec(Record):
    clock: Clock | None = None
    grid: GridSpec
    core: CoreSpec
    components: dict[Name, ComponentSpec] = {}
    static: dict[Name, StaticSpec]
    actions: Actions = {}

    @model_validator(mode="after")
    def consistent(self) -> ChipSpec:
        grid, count = self.grid, self.core.count.value
        room = grid.columns * grid.rows * grid.cores_per_tile
        if room != count:
            shape = f"{grid.columns} x {grid.rows} tiles of {grid.cores_per_tile} cores"
            raise _fault(f"{shape} make {room} cores, but core.count is {count}")
        reserved = {"core", "chip", "host"} & set(self.components)
        if reserved:
            raise _fault(f"components must not be called {', '.join(sorted(reserved))}")
        parts: list[CoreSpec | ComponentSpec] = [self.core, *self.components.values()]
        names = [name for part in parts for name in part.memories]
        if len(set(names)) < len(names):
            raise _fault("two memories have the same name")
        return self


class SystemSpec(Record):
    chips: Count
    board: BoardSpec | None = None
    chip: ChipSpec
    host: HostSpec = HostSpec()

    @model_validator(mode="after")
    def placed(self) -> SystemSpec:
        board, chips = self.board, self.chips.value
        if board is None and chips > 1:
            raise _fault(f"{chips} chips need a board: how many columns and rows of them")
        if board is not None and board.columns * board.rows != chips:
            shape = f"{board.columns} x {board.rows}"
            raise _fault(
                f"a board of {shape} holds {board.columns * board.rows} chips, not {chips}"
            )
        return self


class ModelSpec(Record):
    name: Name
    kind: Literal["spiking", "tensor"]
    title: Text
    description: Text
    sources: dict[Name, Text]
    system: SystemSpec

    @model_validator(mode="after")
    def complete(self) -> ModelSpec:
        chip = self.system.chip
        if self.kind == "tensor" and (chip.core.array is None or chip.clock is None):
            raise _fault("a tensor machine needs chip.clock and core.array")
        if self.kind == "spiking" and "neurons" not in chip.core.limits:
            raise _fault("a spiking machine needs core.limits.neurons")
        return self


def _check_band(what: str, value: float, band: list[float] | None) -> None:
    if band is not None and not band[0] <= value <= band[1]:
        raise _fault(f"{what} {value:g} lies outside its band {band[0]:g} to {band[1]:g}")
