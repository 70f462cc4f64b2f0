"""Hardware models: what a machine can hold, what its numbers look like, what its actions cost.

`load` reads a shipped model by name or a file of your own; `check_target` says whether a model
prices all that a simulator will count; `describe` prints a machine for people.
"""

from picojoule.target.check import SPIKING_ACTIONS, TENSOR_ACTIONS, check_target
from picojoule.target.machine import (
    ENGINE_SERIAL,
    Array,
    Component,
    CoreType,
    Grid,
    Limit,
    Limits,
    Price,
    StaticTerm,
    Target,
    axon_list_bits,
    component_kind,
)
from picojoule.target.reader import load, names, parse, shipped
from picojoule.target.show import describe, show

__all__ = [
    "ENGINE_SERIAL",
    "SPIKING_ACTIONS",
    "TENSOR_ACTIONS",
    "Array",
    "Component",
    "CoreType",
    "Grid",
    "Limit",
    "Limits",
    "Price",
    "StaticTerm",
    "Target",
    "axon_list_bits",
    "check_target",
    "component_kind",
    "describe",
    "load",
    "names",
    "parse",
    "shipped",
    "show",
]
