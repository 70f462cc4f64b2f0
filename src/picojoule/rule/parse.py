"""Text to Rule: `dw = x1*y0/4 - 2^-2*y1*x0`."""

from __future__ import annotations

import ast

from picojoule.errors import Fault, UsageError
from picojoule.rule.rule import SYNAPSE, VARIABLES, Factor, Rule, Term

LONGEST = 2000


def parse(text: str) -> Rule:
    """Read a rule: a sum of products of variables, whole numbers and powers of two.

    Factors are x0 x1 x2 y0 y1 y2 y3 r1 w d t u0..u9, sgn(w), (variable + number), or a power
    such as w^2.  Raises UsageError PJ806 with every fault.
    """
    head, equals, body = text.partition("=")
    name = head.strip()
    try:
        if not equals or len(text) > LONGEST or len(name) != 2 or name[0] != "d":
            raise ValueError(f"write it as 'dw = ...', at most {LONGEST} characters")
        rule = Rule(name[1], _sum(_tree(body), 1))
    except ValueError as fault:
        raise _error(text, [str(fault)]) from None
    if found := rule.complaints():
        raise _error(text, found)
    return rule


def _error(text: str, found: list[str]) -> UsageError:
    shown = text if len(text) < 80 else text[:77] + "..."
    return UsageError([Fault("PJ806", f"learning rule {shown!r}: {what}") for what in found])


def _tree(body: str) -> ast.expr:
    try:
        return ast.parse(body.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as fault:
        raise ValueError(f"cannot be read: {fault.__class__.__name__}") from None


def _sum(node: ast.expr, sign: int) -> tuple[Term, ...]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        right = sign if isinstance(node.op, ast.Add) else -sign
        return _sum(node.left, sign) + _sum(node.right, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _sum(node.operand, -sign)
    number, exponent, factors = _product(node)
    return (_term(sign * number, exponent, factors),)


def _term(number: int, exponent: int, factors: tuple[Factor, ...]) -> Term:
    while number and number % 2 == 0 and not -8 <= number <= 7:
        number, exponent = number // 2, exponent + 1
    return Term(number, exponent, factors)


def _product(node: ast.expr) -> tuple[int, int, tuple[Factor, ...]]:
    """(whole number, power of two, factors)."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        n1, e1, f1 = _product(node.left)
        n2, e2, f2 = _product(node.right)
        return n1 * n2, e1 + e2, f1 + f2
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        number, exponent, factors = _product(node.left)
        return number, exponent - _log2(_whole(node.right)), factors
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _power(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number, exponent, factors = _product(node.operand)
        return -number, exponent, factors
    if isinstance(node, ast.Constant):
        return _whole(node), 0, ()
    return 1, 0, (_factor(node),)


def _power(node: ast.BinOp) -> tuple[int, int, tuple[Factor, ...]]:
    exponent = _whole(node.right)
    if isinstance(node.left, ast.Constant) and _whole(node.left) == 2:
        return 1, exponent, ()
    if not 1 <= exponent <= 4:
        raise ValueError(f"a variable's power must lie in 1..4, got {exponent}")
    return 1, 0, (_factor(node.left),) * exponent


def _factor(node: ast.expr) -> Factor:
    if isinstance(node, ast.Name) and node.id in VARIABLES:
        return Factor(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        plus = _whole(node.right)
        return Factor(_factor(node.left).variable, plus if isinstance(node.op, ast.Add) else -plus)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sgn":
        inner = _factor(node.args[0]) if len(node.args) == 1 else None
        if inner and inner.variable in SYNAPSE and not inner.plus:
            return Factor(inner.variable, sign=True)
    raise ValueError(f"{ast.unparse(node)!r} is no factor; known: {', '.join(VARIABLES)}")


def _whole(node: ast.expr) -> int:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_whole(node.operand)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    raise ValueError(f"{ast.unparse(node)!r} is no whole number")


def _log2(number: int) -> int:
    if number < 1 or number & (number - 1):
        raise ValueError(f"only powers of two may divide, got {number}")
    return number.bit_length() - 1
