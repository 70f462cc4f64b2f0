"""Give pools, tables and concatenations of a tensor network their integers."""

from __future__ import annotations

from picojoule.graph import Derivation, Graph, Node
from picojoule.graph.derive import ELEMENT_FUNCTIONS
from picojoule.graph.ops import (
    AveragePool,
    IntAdd,
    IntAveragePool,
    IntConcat,
    IntLookup,
    IntMaxPool,
    MaxPool,
)
from picojoule.passes.canonicalise import fresh
from picojoule.passes.edges import NOTHING, Choice, Edge


def max_pool(graph: Graph, name: str) -> Graph:
    """The largest integer stands for the largest number: the edge keeps its meaning."""
    op = graph[name].op
    assert isinstance(op, MaxPool)
    made = IntMaxPool(kernel=op.kernel, stride=op.stride, padding=op.padding)
    return graph.swap(name, made)


def average_pool(graph: Graph, name: str, choice: Choice, source: Edge) -> Graph:
    """The division by the number of elements is part of the requantization."""
    op = graph[name].op
    assert isinstance(op, AveragePool)
    steps, options = (source.step, f"{name}.step_out"), (("elements", op.kernel[0] * op.kernel[1]),)
    graph = graph.with_derived({
        f"{name}.multiplier": Derivation("mean_multiplier", steps, options),
        f"{name}.exponent": Derivation("mean_exponent", steps, options),
    })  # fmt: skip
    made = IntAveragePool(
        multiplier=f"{name}.multiplier", exponent=f"{name}.exponent", step_in=steps[0],
        step_out=steps[1], kernel=op.kernel, stride=op.stride, padding=op.padding,
        zero_in=source.zero, profile=choice.profile, **choice.clamp,
    )  # fmt: skip
    return graph.swap(name, made)


def lookup(graph: Graph, name: str, choice: Choice, source: Edge) -> Graph:
    """A table with an entry for each integer that can arrive."""
    op, function = graph[name].op, type(graph[name].op).__name__
    argument = float(getattr(op, "slope", getattr(op, "alpha", 0.0)))
    entries = source.high - source.low + 1
    options = {
        "function": list(ELEMENT_FUNCTIONS).index(function), "argument": argument,
        "first": source.low, "entries": entries, "zero_in": source.zero, "zero": 0, **choice.clamp,
    }  # fmt: skip
    steps = (source.step, f"{name}.step_out")
    made = Derivation("lookup_table", steps, tuple(options.items()))
    graph = graph.with_derived({f"{name}.table": made})
    return graph.swap(name, IntLookup(
        table=f"{name}.table", step_in=steps[0], step_out=steps[1], function=function,
        argument=argument, first=source.low, entries=entries, zero_in=source.zero, **choice.clamp,
    ))  # fmt: skip


def concat(graph: Graph, name: str, choice: Choice, edges: dict[str, Edge]) -> Graph:
    """Every input is brought to the step of the result first."""
    inputs = []
    for number, source in enumerate(graph[name].inputs):
        part = fresh(graph, f"{name}_in{number + 1}")
        graph = rescale(graph.add(Node(part, IntConcat(), ())), part, source, choice,
                        edges[source], f"{name}.step_out")  # fmt: skip
        inputs.append(part)
    return graph.swap(name, IntConcat(), tuple(inputs))


def rescale(
    graph: Graph, name: str, source: str, choice: Choice, edge: Edge, step_out: str
) -> Graph:
    """Node `name` gives the integers of `source` in another step: a sum with nothing."""
    nothing = f"{name}.step_none"
    graph = graph.with_derived({
        nothing: Derivation("times", (edge.step,), (("factor", NOTHING),))})  # fmt: skip
    return int_add(graph, name, (source, source), choice,
                   (edge, Edge(nothing, edge.zero)), step_out)  # fmt: skip


def int_add(
    graph: Graph, name: str, inputs: tuple[str, str], choice: Choice, edges: tuple[Edge, Edge],
    step_out: str,
) -> Graph:  # fmt: skip
    """Node `name` becomes the sum of two edges."""
    a, b = edges
    op = IntAdd(
        scaling=f"{name}.scaling", step_a=a.step, step_b=b.step, step_out=step_out,
        zero_a=a.zero, zero_b=b.zero, profile=choice.profile, **choice.clamp,
    )  # fmt: skip
    options = (("left_shift", op.left_shift),)
    made = Derivation("add_scaling", (op.step_a, op.step_b, op.step_out), options)
    return graph.with_derived({op.scaling: made}).swap(name, op, inputs)
