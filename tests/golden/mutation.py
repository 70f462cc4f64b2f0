"""What a mutation is, and the files that mutations change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """In file `path` of the package, each text is replaced by the other, once."""

    rule: str
    what: str
    path: str
    replacements: tuple[tuple[str, str], ...]


def one(rule: str, what: str, path: str, before: str, after: str) -> Mutation:
    """A mutation of one replacement."""
    return Mutation(rule, what, path, ((before, after),))


ARITHMETIC, PROFILE, CONTRACT = "fixed/arithmetic.py", "fixed/profile.py", "fixed/contract.py"
DERIVE, RUN, PLAN, TENSOR = "graph/derive.py", "sim/run.py", "sim/plan.py", "kernels/tensor.py"
IMAGES, METHODS = "kernels/tensor_image.py", "graph/derive_methods.py"
KERNEL, REFERENCE, GROUPS = "kernels/spiking.py", "sim/reference.py", "passes/populations.py"
NEURONS, REGISTERS = "kernels/neurons.py", "sim/registers.py"
DYNAMICS, DRAWS, TWIN = "fixed/dynamics.py", "fixed/draws.py", "sim/reference_neurons.py"
