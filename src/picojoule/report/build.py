"""Rows of a report from what the other rooms give: program, counts, prices, accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from picojoule.activity import Activity
from picojoule.cost import Bill, price
from picojoule.passes.utilisation import utilisation
from picojoule.program import Program, Source
from picojoule.report.data import (
    Accuracy,
    BillLine,
    Counts,
    Excluded,
    Layer,
    Population,
    Raster,
    Row,
    Use,
    Wait,
)
from picojoule.report.layers import (
    Rasters,
    elements,
    layers_by_label,
    layers_by_population,
    mean_spikes,
)
from picojoule.target import Target

SPIKES_DRAWN = 6000  # a raster of more is thinned
WAITS_SHOWN = 12
RESOURCES = {  # of a core, as `passes.utilisation` calls them
    "neurons": ("neurons", ""),
    "synapse_bits": ("synapse memory", "B"),
    "in_axons": ("input axons", ""),
    "out_axons": ("output axons", ""),
}


def make_row(
    program: Program, activity: Activity, target: Target, accuracy: Accuracy, *, bits: int,
    mismatched_outputs: int | None = None, network: str = "", bits_note: str = "",
    spikes: Mapping[str, float] | None = None, rasters: Rasters | None = None,
    uses: Sequence[Use] | None = None, raster: Raster | None = None, engine: str = "",
    seed: int | None = None, notes: Sequence[str] = (),
) -> Row:  # fmt: skip
    """One row of a report: the activity priced on the target, beside its accuracies.

    rasters  of a spiking run, from `layers.rasters`: they give spikes, and a line for each layer
             where layers share cores; estimates, if of fewer samples than the activity
    spikes   node -> spikes of its neurons in one inference, where there are no rasters
    uses     how full the machine is; by default, how full the cores of a spiking program are
    Raises what `cost.price` raises.
    """
    bill = price(activity, target)
    spikes = spikes if rasters is None else mean_spikes(rasters)
    return Row(
        network=network or program.name, target=target.name, bits=bits, bits_note=bits_note,
        accuracy=accuracy, mismatched_outputs=mismatched_outputs, **_totals(bill),
        time_basis=_time_basis(bill, program),
        counts=count(program, activity, target, bill, spikes),
        bill=bill_lines(bill), excluded=excluded(bill),
        layers=_layers(program, activity, bill, target, rasters),
        uses=core_uses(program, target) if uses is None else tuple(uses),
        waits=_waits(bill), raster=raster, samples=bill.samples, profile=program.profile,
        engine=engine, seed=seed, notes=tuple(notes), sources=dict(target.sources),
        digests={"program": program.digest, "machine": target.machine_digest,
                 "prices": target.price_digest},
    )  # fmt: skip


def _totals(bill: Bill) -> dict[str, float]:
    """The fields of a row that are totals of its bill."""
    low, high = bill.energy_band_j
    return {
        "energy_j": bill.total_j, "marginal_j": bill.marginal_j, "static_j": bill.static_j,
        "io_j": bill.io_j, "low_j": low, "high_j": high, "assumed_share": bill.assumed_share,
        "time_s": bill.time_s, "time_low_s": bill.time_band_s[0],
        "time_high_s": bill.time_band_s[1],
    }  # fmt: skip


def bill_lines(bill: Bill) -> tuple[BillLine, ...]:
    """The lines of a bill, of one inference."""
    each = 1 / bill.samples
    lines = [
        BillLine(
            component=row.component,
            action=row.action,
            count=row.count * each,
            each_j=row.each_j,
            total_j=row.total_j * each,
            low_j=row.low_j * each,
            high_j=row.high_j * each,
            source=row.source,
            confidence=row.confidence,
            part="io" if row.component == "host" else "marginal",
            note=row.note,
        )
        for row in bill.rows
    ]
    lines += [
        BillLine(
            component=row.name,
            action="static power",
            count=bill.time_s,
            each_j=row.power_w,
            total_j=row.total_j * each,
            low_j=row.low_j * each,
            high_j=row.high_j * each,
            source=row.source,
            confidence=row.confidence,
            part="static",
            note=row.note,
        )
        for row in bill.static_rows
    ]
    return tuple(lines)


def excluded(bill: Bill) -> tuple[Excluded, ...]:
    """What was counted and has no price, of one inference."""
    return tuple(
        Excluded(
            item=f"{each.component} {each.action}", count=each.count / bill.samples, why=each.note
        )
        for each in bill.excluded
    )


def count(
    program: Program,
    activity: Activity,
    target: Target,
    bill: Bill,
    spikes: Mapping[str, float] | None = None,
) -> Counts:
    """What the program occupies, and what one inference did."""
    each = 1 / activity.samples
    weights = [s for s in program.source if s.what == "weight"]
    common = Counts(
        cores=program.cores,
        weights=sum(elements(program, s) for s in weights),
        weight_bytes=_weight_bytes(program, target, weights),
    )
    if program.kind == "tensor":
        cycles = round(bill.time_s * target.clock_hz) if target.clock_hz else None
        return replace(common, macs=activity.total("mac") * each, cycles=cycles)
    return replace(
        common,
        neurons=sum(s.stop - s.start for s in program.source if s.what == "v"),
        spikes=None if spikes is None else sum(spikes.values()),
        packets=activity.total("packet.out") * each,
        events=activity.total("synapse.event") * each,
    )


def core_uses(program: Program, target: Target) -> tuple[Use, ...]:
    """How full each core of a spiking program is; nothing for a tensor program."""
    return tuple(
        Use(
            component=f"core{row['core']}",
            resource=name,
            unit=unit,
            used=row[key] / (8 if unit == "B" else 1),
            limit=row[f"{key}_limit"] / (8 if unit == "B" else 1),
        )
        for row in utilisation(program, target)
        for key, (name, unit) in RESOURCES.items()
    )


def make_raster(
    spikes: Mapping[str, np.ndarray], sample: str = "", limit: int = SPIKES_DRAWN
) -> Raster:
    """The raster of one sample from bool arrays (steps, neurons) by layer, first layer on top.

    Above `limit` spikes, only every second, third ... is kept, evenly over all layers.
    """
    populations, found, start = [], [], 0
    for name, fired in spikes.items():
        populations.append(Population(name=name, start=start, stop=start + fired.shape[1]))
        found += [(int(step), int(start + neuron)) for step, neuron in np.argwhere(fired)]
        start += fired.shape[1]
    steps = max((fired.shape[0] for fired in spikes.values()), default=0)
    kept = found[:: max(-(-len(found) // limit), 1)]
    return Raster(
        steps=steps,
        populations=tuple(populations),
        spikes=tuple(kept),
        sample=sample,
        total=len(found),
    )


def _layers(
    program: Program, activity: Activity, bill: Bill, target: Target, rasters: Rasters | None
) -> tuple[Layer, ...]:
    if program.kind == "tensor" or rasters is None:
        return layers_by_label(program, activity, bill)
    return layers_by_population(program, activity, bill, target, rasters)


def _weight_bytes(program: Program, target: Target, weights: Sequence[Source]) -> int:
    """Spiking: the synapse memory taken, with headers and indices; tensor: packed weights."""
    if program.kind == "tensor":
        return sum(program.regions[s.region].packed_bytes for s in weights)
    return sum(-(-row["synapse_bits"] // 8) for row in utilisation(program, target))


def _waits(bill: Bill) -> tuple[Wait, ...]:
    return tuple(
        Wait(component=each.component, engine=each.engine, busy_s=each.busy_s, bound_s=each.bound_s)
        for each in bill.engines[:WAITS_SHOWN]
    )


def _time_basis(bill: Bill, program: Program) -> str:
    window = "layer" if program.kind == "tensor" else "step"
    basis = f"the slowest engine of each {window}, then a barrier; no overlap of {window}s"
    return (
        f"a lower bound, since counts were added up; {basis}" if bill.time_is_lower_bound else basis
    )
