"""Passes: from a network to a Program, one step a file; each says what it leaves true."""

from picojoule.passes.bits import stored_bits_faults
from picojoule.passes.canonicalise import canonicalise
from picojoule.passes.check import check
from picojoule.passes.compile import compile_graph
from picojoule.passes.fold_batch_norm import fold_batch_norm
from picojoule.passes.freeze import freeze
from picojoule.passes.lower import lower
from picojoule.passes.quantize import quantize
from picojoule.passes.schedule_delays import schedule_delays, stretched_loops
from picojoule.passes.utilisation import utilisation
from picojoule.passes.warning import PicojouleWarning

__all__ = [
    "PicojouleWarning",
    "canonicalise",
    "check",
    "compile_graph",
    "fold_batch_norm",
    "freeze",
    "lower",
    "quantize",
    "schedule_delays",
    "stored_bits_faults",
    "stretched_loops",
    "utilisation",
]
