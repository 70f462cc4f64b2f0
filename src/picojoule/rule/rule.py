"""Learning rules: dz = sum of mantissa * 2**exponent * product of (variable + constant).

The form and its limits are those of Loihi's learning engine (Davies et al., IEEE Micro 38(1),
2018; limits as in Lava's `magma/core/learning`): mantissa -8..7, exponent -7..8, each product
gated by x0, y0 or u<k>.
"""

from __future__ import annotations

from dataclasses import dataclass

TRACES = ("x0", "x1", "x2", "y0", "y1", "y2", "y3", "r1")
SYNAPSE = ("w", "d", "t")
EPOCHS = tuple(f"u{k}" for k in range(10))
VARIABLES = TRACES + SYNAPSE + EPOCHS
GATES = ("x0", "y0", *EPOCHS)
MANTISSA = (-8, 7)
EXPONENT = (-7, 8)


@dataclass(frozen=True)
class Factor:
    """variable + plus, or sgn(variable)."""

    variable: str
    plus: int = 0
    sign: bool = False

    def __str__(self) -> str:
        if self.sign:
            return f"sgn({self.variable})"
        if self.plus:
            return f"({self.variable} {'+' if self.plus > 0 else '-'} {abs(self.plus)})"
        return self.variable


@dataclass(frozen=True)
class Term:
    """mantissa * 2**exponent * product of factors."""

    mantissa: int
    exponent: int
    factors: tuple[Factor, ...]

    @property
    def gates(self) -> tuple[str, ...]:
        """The variables that decide in which steps this term acts."""
        return tuple(f.variable for f in self.factors if f.variable in GATES and not f.plus)

    def __str__(self) -> str:
        head = [f"2^{self.exponent}"] if self.exponent else []
        if abs(self.mantissa) != 1 or not (head or self.factors):
            head.insert(0, str(abs(self.mantissa)))
        return "*".join(head + [str(f) for f in self.factors])


@dataclass(frozen=True)
class Rule:
    """d<target> = sum of terms; prints as text that `parse` reads back to an equal Rule."""

    target: str
    terms: tuple[Term, ...]

    def __str__(self) -> str:
        text = ""
        for n, term in enumerate(self.terms):
            sign = "-" if term.mantissa < 0 else "+"
            text += (f" {sign} " if n else "-" if sign == "-" else "") + str(term)
        return f"d{self.target} = {text}"

    def complaints(self) -> list[str]:
        """Sentences about what the learning engine cannot do."""
        found = [] if self.target in SYNAPSE else [f"only dw, dd and dt exist, got d{self.target}"]
        for term in self.terms:
            found += _term_complaints(term)
        return found


def _term_complaints(term: Term) -> list[str]:
    found = []
    if not MANTISSA[0] <= term.mantissa <= MANTISSA[1]:
        found.append(f"'{term}': mantissa {term.mantissa} is outside {MANTISSA[0]}..{MANTISSA[1]}")
    if not EXPONENT[0] <= term.exponent <= EXPONENT[1]:
        found.append(f"'{term}': exponent {term.exponent} is outside {EXPONENT[0]}..{EXPONENT[1]}")
    if not term.gates:
        found.append(f"'{term}': no gate; multiply by x0, y0 or u<k>, such as u0 for every epoch")
    return found
