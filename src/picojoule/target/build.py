"""A validated hardware model file becomes a `Target`."""

from __future__ import annotations

from collections.abc import Iterator

from picojoule.target import schema
from picojoule.target.machine import (
    Array,
    Component,
    CoreType,
    Grid,
    Limit,
    Limits,
    Price,
    StaticTerm,
    Target,
)
from picojoule.target.yaml_tree import Path, Tree

CHIP: Path = ("system", "chip")


def build(spec: schema.ModelSpec, tree: Tree, path: str) -> Target:
    """The target that a valid file describes; `tree` holds the lines of that file."""
    chip = spec.system.chip
    array = chip.core.array
    parts: tuple[schema.CoreSpec | schema.ComponentSpec, ...] = (
        chip.core,
        *chip.components.values(),
    )
    return Target(
        name=spec.name,
        kind=spec.kind,
        title=spec.title,
        description=spec.description,
        chips=spec.system.chips.value,
        core=_core(chip, tree),
        memories={k: int(size.size) for part in parts for k, size in part.memories.items()},
        prices={(price.component, price.action): price for price in _prices(spec, tree)},
        static_terms=tuple(_static(chip, tree)),
        sources=dict(spec.sources),
        path=path,
        components=tuple(
            Component(name, part.role, tuple(part.memories))
            for name, part in chip.components.items()
        ),
        array=Array(array.rows, array.columns, array.dataflow) if array else None,
        clock_hz=chip.clock.frequency if chip.clock else 0.0,
        board_rows=spec.system.board.rows if spec.system.board else 1,
        lines={".".join(map(str, place)): line for place, line in tree.lines.items() if place},
    )


def _core(chip: schema.ChipSpec, tree: Tree) -> CoreType:
    core, grid = chip.core, chip.grid
    limits = tuple(
        Limit(
            name,
            limit.value,
            limit.source,
            limit.confidence,
            limit.note,
            tree.line((*CHIP, "core", "limits", name)),
        )
        for name, limit in core.limits.items()
    )
    return CoreType(
        type=core.type,
        count=core.count.value,
        profile=core.profile,
        grid=Grid(grid.columns, grid.rows, grid.cores_per_tile),
        limits=Limits(limits),
        choices=tuple((name, tuple(choice.values)) for name, choice in core.choices.items()),
        weight_formats=tuple(core.weight_formats.values) if core.weight_formats else (),
        activation_formats=tuple(core.activation_formats.values) if core.activation_formats else (),
    )


def _static(chip: schema.ChipSpec, tree: Tree) -> Iterator[StaticTerm]:
    for name, term in chip.static.items():
        low, high = term.power_band or (term.power, term.power)
        yield StaticTerm(
            name,
            term.power,
            low,
            high,
            term.source,
            term.confidence,
            term.band_source,
            term.note,
            tree.line((*CHIP, "static", name)),
        )


def _prices(spec: schema.ModelSpec, tree: Tree) -> Iterator[Price]:
    chip = spec.system.chip
    places: list[tuple[str, schema.Actions, Path]] = [
        ("core", chip.core.actions, (*CHIP, "core")),
        *(
            (name, part.actions, (*CHIP, "components", name))
            for name, part in chip.components.items()
        ),
        ("chip", chip.actions, CHIP),
        ("host", spec.system.host.actions, ("system", "host")),
    ]
    for component, actions, path in places:
        for action, price in actions.items():
            yield _price(component, action, price, tree.line((*path, "actions", action)))


def _price(
    component: str, action: str, spec: schema.PriceSpec | schema.ExcludedSpec, line: int
) -> Price:
    if isinstance(spec, schema.ExcludedSpec):
        return Price(
            action,
            component,
            "",
            0,
            0,
            0,
            0,
            0,
            0,
            "",
            "",
            note=spec.note,
            excluded=True,
            line=line,
        )
    low_j, high_j = spec.energy_band or (spec.energy, spec.energy)
    low_s, high_s = spec.time_band or (spec.time, spec.time)
    return Price(
        action,
        component,
        spec.engine,
        spec.energy,
        low_j,
        high_j,
        spec.time,
        low_s,
        high_s,
        spec.source,
        spec.confidence,
        spec.band_source,
        spec.note,
        line=line,
        unknown=tuple(spec.unknown),
    )
