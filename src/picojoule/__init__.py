"""Picojoule: compile, simulate bit for bit, price and fine-tune networks for small hardware.

    chip    = pj.target("loihi1")
    net     = pj.load("gesture.nir")
    print(pj.check(net, chip))
    program = pj.compile(net, chip, calibrate=samples)
    run     = pj.run(program, samples)
    print(pj.cost(run, chip))

Nothing heavy is imported until a verb is used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from picojoule.errors import (
    CheckError,
    CostError,
    Fault,
    FrontendError,
    GraphError,
    PicojouleError,
    ProgramError,
    TargetError,
    TrainError,
    UsageError,
)

if TYPE_CHECKING:
    from picojoule.activity import Activity
    from picojoule.api import (
        check,
        compile,
        cost,
        diff,
        evaluate,
        finetune,
        load,
        run,
        target,
    )
    from picojoule.cost import Bill
    from picojoule.fixed.contract import Encoder, Events, Readout
    from picojoule.fixed.format import Format
    from picojoule.graph import Graph
    from picojoule.program import Program
    from picojoule.report import Report
    from picojoule.rule import Rule
    from picojoule.sim import Recording, Run
    from picojoule.target import Target

__version__ = "0.1.0"

VERBS = ("target", "load", "check", "compile", "run", "cost", "finetune", "evaluate", "diff")
_HOMES = {
    **dict.fromkeys(VERBS, "picojoule.api"),
    "Activity": "picojoule.activity",
    "Bill": "picojoule.cost",
    "Encoder": "picojoule.fixed.contract",
    "Events": "picojoule.fixed.contract",
    "Readout": "picojoule.fixed.contract",
    "Format": "picojoule.fixed.format",
    "Graph": "picojoule.graph",
    "Program": "picojoule.program",
    "Report": "picojoule.report",
    "Rule": "picojoule.rule",
    "Run": "picojoule.sim",
    "Recording": "picojoule.sim",
    "Target": "picojoule.target",
}

__all__ = [
    "Activity", "Bill", "CheckError", "CostError", "Encoder", "Events", "Fault", "Format",
    "FrontendError", "Graph", "GraphError", "PicojouleError", "Program", "ProgramError",
    "Readout", "Recording", "Report", "Rule", "Run", "Target", "TargetError", "TrainError",
    "UsageError",
    "check", "compile", "cost", "diff", "evaluate", "finetune", "load", "run", "target",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'picojoule' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Facade(ModuleType):
    """Two verbs share their names with packages; on this module the verb wins.

    Importing `picojoule.target` makes Python bind that module as an attribute here, which
    would hide `pj.target(...)`.  `from picojoule.target import ...` is not affected.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in VERBS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade
