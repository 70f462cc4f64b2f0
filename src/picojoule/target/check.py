"""Does a hardware model price everything that the simulators will count?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from picojoule.errors import Fault
from picojoule.target.machine import Price, Target

# (component, action) as in `picojoule.activity`
SPIKING_ACTIONS: tuple[tuple[str, str], ...] = (
    ("core", "neuron.active"),
    ("core", "neuron.idle"),
    ("core", "synapse.event"),
    ("core", "packet.out"),
    ("core", "hop.ew"),
    ("core", "hop.ns"),
    ("chip", "step"),
    ("chip", "reset"),
    ("host", "event.in"),
    ("host", "event.out"),
)
BOARD_ACTIONS = (("core", "hop.chip"),)  # of machines of several chips
TENSOR_ACTIONS: tuple[tuple[str, str], ...] = (
    ("array", "mac"),
    ("array", "cycle"),
    ("vector", "requantize"),
    ("vector", "add"),
    ("vector", "cycle"),
    ("sram", "read"),
    ("sram", "write"),
    ("dram", "read"),
    ("dram", "write"),
    ("chip", "inference"),
)


def check_target(target: Target, actions: Iterable[tuple[str, str]] | None = None) -> list[Fault]:
    """Faults of a hardware model: actions without a price (PJ107), prices without a source (PJ106).

    actions  (component, action) pairs that must be priced; by default all of its kind of machine
    """
    if actions is None:
        actions = SPIKING_ACTIONS if target.kind == "spiking" else TENSOR_ACTIONS
        actions += BOARD_ACTIONS if target.kind == "spiking" and target.chips > 1 else ()
    faults = [fault for pair in actions for fault in _unpriced(target, *pair)]
    for price in target.prices.values():
        faults.extend(_unsourced(target, price))
        faults.extend(_clock_faults(target, price))
    return faults


def _unpriced(target: Target, component: str, action: str) -> Iterator[Fault]:
    if target.price(component, action) is None:
        what = f"{target.name} has no price for {action} of a {component}"
        fix = "give it one under 'actions', or 'excluded: true' with a note"
        yield Fault("PJ107", what, target.path, fix)


def _unsourced(target: Target, price: Price) -> Iterator[Fault]:
    if not price.excluded and price.source not in target.sources:
        what = f"the price of {price.component} {price.action} has no source"
        yield Fault("PJ106", what, f"{target.path}:{price.line}", "name a key of 'sources'")


def _clock_faults(target: Target, price: Price) -> Iterator[Fault]:
    """A `cycle` lasts one period of the clock."""
    if price.action != "cycle" or not target.clock_hz:
        return
    period_s = 1 / target.clock_hz
    if not math.isclose(price.time_s, period_s, rel_tol=1e-9):
        what = (
            f"{price.component} cycle takes {price.time_s:g} s, "
            f"but the clock has a period of {period_s:g} s"
        )
        yield Fault("PJ102", what, f"{target.path}:{price.line}")
