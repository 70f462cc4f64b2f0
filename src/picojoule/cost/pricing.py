"""Counts times prices.  One pure function prices every Activity on every Target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.activity import Activity
from picojoule.cost.bill import Bill, EngineTime, Excluded, Row, StaticRow
from picojoule.cost.timing import Timing, time_windows
from picojoule.errors import CostError, Fault, UsageError
from picojoule.target import ENGINE_SERIAL, Price, Target, component_kind


@dataclass(frozen=True)
class _Sheet:
    """Prices laid out as the counts are: `prices[component][action]`, arrays (components, actions).

    total  int64: counts over the whole run
    """

    prices: tuple[tuple[Price | None, ...], ...]
    total: np.ndarray
    engine: np.ndarray
    engines: tuple[str, ...]

    def column(self, field: str) -> np.ndarray:
        """One number of every price, 0 where there is no price."""
        return np.array(
            [[getattr(price, field) if price else 0.0 for price in row] for row in self.prices]
        ).reshape(self.total.shape)


def price(activity: Activity, target: Target) -> Bill:
    """The bill of what happened: counts times prices, and the time of the slowest engine.

    Energy is exact given the prices.  Time assumes a barrier after each window and no overlap
    of windows; docs/costs.md holds the model and its limits.

    Raises CostError PJ301 for every counted action without a price, PJ302 when the activity
    comes from another machine; UsageError PJ803 when it covers no sample.
    """
    _check(activity, target)
    sheet = _lay_out(activity, target)
    timing, low, high = (
        time_windows(activity.counts, sheet.column(field), sheet.engine, sheet.engines)
        for field in ("time_s", "time_low_s", "time_high_s")
    )
    samples = activity.samples
    window_s = timing.window_s / samples
    energies = sheet.total * sheet.column("energy_j") / samples
    rows, excluded = _rows(sheet)
    band = (float(low.window_s.sum()), float(high.window_s.sum()))
    return Bill(
        target=target.name,
        samples=samples,
        rows=rows,
        excluded=excluded,
        static_rows=_static_rows(target, float(timing.window_s.sum()), band),
        time_s=float(window_s.sum()),
        time_band_s=(band[0] / samples, band[1] / samples),
        time_is_lower_bound=_is_summed(activity),
        window_s=tuple(window_s.tolist()),
        windows=_phases(activity),
        by_component=dict(zip(activity.components, energies.sum(axis=1).tolist())),
        by_node=_by_node(activity, sheet, energies),
        engines=_engine_times(activity, sheet, timing),
        serial_s=timing.serial_s / samples,
    )


def _check(activity: Activity, target: Target) -> None:
    if activity.samples < 1:
        raise UsageError(Fault("PJ803", "there is no sample to price"))
    digest = target.machine_digest
    if activity.machine and activity.machine != digest:
        what = (
            f"the run was made for machine {activity.machine[:8]}, "
            f"but '{target.name}' is machine {digest[:8]}"
        )
        fix = f"compile the network for '{target.name}', or price with the target it ran on"
        raise CostError(Fault("PJ302", what, target.path, fix))


def _lay_out(activity: Activity, target: Target) -> _Sheet:
    """The price of every (component, action).  Raises CostError PJ301 for what lacks one."""
    kinds = {component_kind(name) for name in activity.components}
    by_kind = {
        kind: tuple(target.price(kind, action) for action in activity.actions) for kind in kinds
    }
    prices = tuple(by_kind[component_kind(name)] for name in activity.components)
    total = activity.counts.sum(axis=(0, 1))
    _check_priced(activity, target, prices, total)
    engines = tuple(sorted({p.engine for row in prices for p in row if p and not p.excluded}))
    engine = np.array(
        [[engines.index(p.engine) if p and not p.excluded else -1 for p in row] for row in prices],
        dtype=np.int64,
    ).reshape(total.shape)
    return _Sheet(prices, total, engine, engines)


def _check_priced(
    activity: Activity,
    target: Target,
    prices: tuple[tuple[Price | None, ...], ...],
    total: np.ndarray,
) -> None:
    missing: dict[tuple[str, str], int] = {}
    for component, action in np.argwhere(total):
        if prices[component][action] is None:
            key = component_kind(activity.components[component]), activity.actions[action]
            missing[key] = missing.get(key, 0) + int(total[component, action])
    if missing:
        raise CostError(
            [
                Fault(
                    "PJ301",
                    f"the run counted {count} x {action} on {kind}, "
                    f"which '{target.name}' does not price",
                    target.path,
                    f"add {action} to the actions of '{kind}', with 'excluded: true' if unknown",
                )
                for (kind, action), count in missing.items()
            ]
        )


def _rows(sheet: _Sheet) -> tuple[tuple[Row, ...], tuple[Excluded, ...]]:
    """One row for each price, counts added over all components that it applies to."""
    counts: dict[Price, int] = {}
    for row, totals in zip(sheet.prices, sheet.total.tolist()):
        for entry, count in zip(row, totals):
            if entry is not None and count:
                counts[entry] = counts.get(entry, 0) + count
    rows = tuple(
        Row(
            p.component,
            p.action,
            n,
            p.energy_j,
            n * p.energy_j,
            n * p.energy_low_j,
            n * p.energy_high_j,
            p.source,
            p.confidence,
            p.note,
        )
        for p, n in counts.items()
        if not p.excluded and "energy" not in p.unknown
    )
    excluded = [Excluded(p.component, p.action, n, p.note) for p, n in counts.items() if p.excluded]
    excluded += [
        Excluded(p.component, f"{p.action} {what}", n, p.note)
        for p, n in counts.items()
        for what in p.unknown
    ]
    return rows, tuple(excluded)


def _static_rows(
    target: Target, time_s: float, band_s: tuple[float, float]
) -> tuple[StaticRow, ...]:
    """Static terms of all chips over the time of the run, in seconds."""
    chips = target.chips
    return tuple(
        StaticRow(
            term.name,
            chips * term.power_w,
            chips * term.power_w * time_s,
            chips * term.low_w * band_s[0],
            chips * term.high_w * band_s[1],
            term.source,
            term.confidence,
            term.note,
        )
        for term in target.static_terms
    )


def _is_summed(activity: Activity) -> bool:
    """Whether counts of several samples or windows were added up before pricing."""
    rows, columns = activity.counts.shape[:2]
    return bool(rows < activity.samples or columns < activity.steps)


def _phases(activity: Activity) -> tuple[str, ...]:
    """Names of the windows, empty where they are steps or were summed."""
    named = len(activity.windows) == activity.counts.shape[1]
    return activity.windows if named else ()


def _by_node(activity: Activity, sheet: _Sheet, energies: np.ndarray) -> dict[str, float]:
    """Joules per inference by phase, or by the nodes that a component holds.

    A component that holds several nodes is one entry, `a + b`; one that holds none is in
    brackets with its kind.
    """
    phases = _phases(activity)
    if phases:
        by_window = activity.counts.sum(axis=0) * sheet.column("energy_j") / activity.samples
        return _add_up(phases, by_window.sum(axis=(1, 2)))
    labels = [
        " + ".join(activity.nodes.get(name, ())) or f"({component_kind(name)})"
        for name in activity.components
    ]
    return _add_up(labels, energies.sum(axis=1))


def _add_up(labels: list[str] | tuple[str, ...], energies: np.ndarray) -> dict[str, float]:
    total: dict[str, float] = {}
    for label, energy in zip(labels, energies.tolist()):
        total[label] = total.get(label, 0.0) + energy
    return total


def _engine_times(activity: Activity, sheet: _Sheet, timing: Timing) -> tuple[EngineTime, ...]:
    """Engines that did something, busiest first; the serial engine is the Bill's `serial_s`."""
    busy, bound = timing.busy_s / activity.samples, timing.bound_s / activity.samples
    times = [
        EngineTime(activity.components[c], sheet.engines[e], float(busy[e, c]), float(bound[e, c]))
        for e, c in np.argwhere(busy)
        if sheet.engines[e] != ENGINE_SERIAL
    ]
    return tuple(sorted(times, key=lambda time: (-time.bound_s, -time.busy_s, time.component)))
