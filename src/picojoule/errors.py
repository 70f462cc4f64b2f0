"""Every error a user can meet.

PicojouleError          what users catch
├── TargetError         PJ1xx  a hardware model is wrong, or unknown
├── CheckError          PJ2xx  a network does not fit its target
├── CostError           PJ3xx  something cannot be priced
├── GraphError          PJ4xx  a network is malformed
├── FrontendError       PJ5xx  a file cannot be read as a network
├── ProgramError        PJ6xx  a program file is damaged or invalid
├── TrainError          PJ7xx  training or fine-tuning cannot go on
└── UsageError          PJ8xx  an argument, a path or data is wrong

A `Fault` is one thing that is wrong; an error carries all faults found in one input.
`CODES` lists each code with its meaning; `tests/errors` meets each one, and writes
`docs/errors.md` from what it met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: what (with both numbers), where, and how to mend it."""

    code: str
    what: str
    where: str = ""
    fix: str = ""

    def __str__(self) -> str:
        place = f"  [{self.where}]" if self.where else ""
        fix = f"\n       try: {self.fix}" if self.fix else ""
        return f"{self.code}  {self.what}{place}{fix}"


class PicojouleError(Exception):
    """What users catch.  `faults` holds every fault of the input, not just the first."""

    def __init__(self, faults: Fault | Sequence[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class TargetError(PicojouleError):
    """A hardware model is malformed, incomplete or unknown (PJ1xx)."""


class CheckError(PicojouleError):
    """A network does not fit its target (PJ2xx)."""


class CostError(PicojouleError):
    """A count has no price (PJ3xx)."""


class GraphError(PicojouleError):
    """A network is malformed (PJ4xx)."""


class FrontendError(PicojouleError):
    """A file cannot be read as a network (PJ5xx)."""


class ProgramError(PicojouleError):
    """A program is damaged or invalid (PJ6xx)."""


class TrainError(PicojouleError):
    """Training or fine-tuning cannot go on (PJ7xx)."""


class UsageError(PicojouleError):
    """An argument, a path or the data is wrong (PJ8xx)."""


CODES: dict[str, str] = {
    # -- hardware models
    "PJ101": "a hardware model is not valid YAML",
    "PJ102": "a hardware model has a field of the wrong kind, or an unknown or missing field",
    "PJ103": "a quantity in a hardware model cannot be read",
    "PJ104": "a hardware model is too large, too deep, or uses aliases or tags",
    "PJ105": "no such target",
    "PJ106": "a number in a hardware model has no source",
    "PJ107": "a hardware model does not price an action that its kind of machine counts",
    # -- fit
    "PJ201": "the network needs more cores than the machine has",
    "PJ202": "a core cannot hold a single neuron of a node",
    "PJ203": "a core would need more synapse memory than it has",
    "PJ204": "a core would need more input axons than it has",
    "PJ205": "a core would need more output axons than it has",
    "PJ206": "the machine has no instruction for this kind of node",
    "PJ207": "a parameter does not fit the machine's field",
    "PJ208": "the weights do not fit the on-chip memory",
    "PJ209": "the machine does not offer this number of bits",
    "PJ210": "an accumulator could overflow",
    "PJ211": "quantization left a layer silent or saturated (a warning)",
    "PJ212": "a bias acts otherwise on the machine than in the network (a warning)",
    "PJ213": "a loop takes longer on the machine than in the network (a warning)",
    "PJ214": "a core would need more profiles or formats than it has",
    "PJ215": "the machine does not offer this format of numbers",
    # -- cost
    "PJ301": "the run counted an action that the target does not price",
    "PJ302": "the activity comes from another machine than the one that prices it",
    # -- networks
    "PJ401": "an input of a node does not exist",
    "PJ402": "shapes do not match",
    "PJ403": "a cycle has no delay",
    "PJ404": "a parameter is missing, or not finite",
    "PJ405": "a parameter of a node is out of range",
    "PJ406": "a graph is not frozen",
    "PJ407": "a name is used twice, or is not a valid name",
    "PJ408": "the text of a graph cannot be parsed",
    # -- files
    "PJ501": "a file cannot be read as a network",
    "PJ502": "a node type is not supported",
    "PJ503": "a network file gives no time step, or an impossible one",
    # -- programs
    "PJ601": "a program file is damaged",
    "PJ602": "a program file was written by another version",
    "PJ603": "an instruction is invalid",
    "PJ604": "a listing cannot be parsed",
    "PJ605": "the content of a program does not match its digest",
    # -- training
    "PJ701": "the loss is not finite",
    "PJ702": "labels are out of range",
    "PJ703": "the trainer and the compiled program differ",
    "PJ704": "the network cannot be trained for this target",
    "PJ705": "a checkpoint is damaged",
    "PJ706": "a checkpoint was written by another version",
    "PJ707": "a checkpoint belongs to another network, or to another training",
    # -- usage
    "PJ801": "a file cannot be read or written, or is damaged",
    "PJ802": "the data have the wrong shape or kind",
    "PJ803": "the data set is empty",
    "PJ804": "there is not enough memory",
    "PJ805": "interrupted",
    "PJ806": "an option has an impossible value",
    "PJ807": "the data contain a value that is not finite",
}
