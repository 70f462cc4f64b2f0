"""Random networks for hypothesis: every supported layer, weights of every kind of scale.

tensor()      a Case for a tensor target
floats()      others with weights in floating-point and block formats
spiking()     a Case for a spiking target
integers()    a Case for a tensor target whose integers are pinned, at the ends of their words
registers()   the same for a spiking target
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import FLOATS, Format
from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.graph import Graph, Node, Pinned
from picojoule.graph.ops import (
    Add,
    BatchNorm,
    CubaLif,
    Delay,
    Dense,
    Flatten,
    Input,
    IntAdd,
    IntCuba,
    IntDense,
    IntSynapse,
    Relu,
)

Array = np.ndarray
Draw = Callable[..., object]
STYLES = (*["normal"] * 5, "zeros", "positive", "negative", "tiny", "huge", "wide", "sparse")


@dataclass(frozen=True, eq=False)
class Case:
    """A network, samples for it, and the bits to quantize it to (None: it has integers).

    weights, activations  their formats, where they are no plain integers
    """

    graph: Graph
    x: Array
    bits: int | None = None
    activation_bits: int | None = None
    weights: str | None = None
    activations: str | None = None

    def __repr__(self) -> str:
        asked = self.weights or self.bits, self.activations or self.activation_bits
        return f"Case(weights, activations={asked})\n{self.graph}"


@dataclass
class Draft:
    """Nodes and constants, as they grow; `draw` decides what shrinks, `rng` the numbers."""

    draw: Callable
    rng: np.random.Generator
    dtype: type
    nodes: list[Node]
    params: dict[str, Array]

    def node(self, op: object, *inputs: str, name: str = "") -> str:
        name = name or f"{type(op).__name__.lower()}{len(self.nodes)}"
        self.nodes.append(Node(name, op, inputs))
        return name

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def param(self, name: str, values) -> str:
        self.params[name] = np.asarray(values, self.dtype)
        return name

    def numbers(self, shape, scale: float = 1.0) -> Array:
        return scaled(self.rng, self.pick(*STYLES), shape) * scale

    def dense(self, x: str, n_in: int, n_out: int, gain: float = 1.5, bias=None) -> str:
        name = f"dense{len(self.nodes)}"
        weight = self.param(f"{name}.weight", self.numbers((n_out, n_in), gain / np.sqrt(n_in)))
        named = None
        if self.pick(False, True) if bias is None else bias:
            named = self.param(f"{name}.bias", self.numbers(n_out, 0.3))
        return self.node(Dense(weight=weight, bias=named, features=n_out), x, name=name)


def scaled(rng: np.random.Generator, style: str, shape) -> Array:
    """Numbers of about 1, or all on one side, or of scales far from 1."""
    x = rng.normal(size=shape)
    changed = {
        "normal": x, "zeros": 0 * x, "positive": np.abs(x), "negative": -np.abs(x),
        "tiny": 1e-9 * x, "huge": 1e6 * x, "wide": x * 10.0 ** rng.integers(-6, 4, shape),
        "sparse": x * (rng.random(shape) < 0.25),
    }  # fmt: skip
    return changed[style]


def draft(draw: Callable) -> Draft:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Draft(draw, rng, draw(st.sampled_from([np.float64, np.float32])), [], {})


# -------------------------------------------------------------------------------- tensor


def floats(networks):
    """The same networks with weights, activations or both in floating-point formats."""

    def changed(case: Case, kind: str | None, edges: str | None) -> Case:
        return replace(case, bits=8 if kind is None else FLOATS[kind].bits, activation_bits=8,
                       weights=kind, activations=edges)  # fmt: skip

    kinds = st.sampled_from([*FLOATS, *FLOATS, None])
    return st.builds(changed, networks, kinds, st.sampled_from([None, "e4m3"]))


@st.composite
def tensor(draw) -> Case:
    """Dense with and without batch norm, ReLU anywhere, sums of any two equal widths."""
    net = draft(draw)
    shape = net.pick((4,), (1,), (2, 3), (1, 2, 2))
    x = net.node(Input(shape=shape), name="input")
    if len(shape) > 1:
        x = net.node(Flatten(), x)
    known = [(x, int(np.prod(shape)))]
    for kind in draw(st.lists(st.sampled_from(list(LAYERS)), min_size=1, max_size=7)):
        known.append(LAYERS[kind](net, known, *known[-1]))
    if all(isinstance(node.op, Input | Flatten) for node in net.nodes):
        known.append(_dense(net, known, *known[-1]))
    bits = draw(st.sampled_from([8, 4, 2])), draw(st.sampled_from([8, 4, 2, None]))
    samples = scaled(net.rng, net.pick(*STYLES), (draw(st.integers(1, 5)), *shape))
    graph = Graph(
        "tensor", _shuffled(net), known[-1][0], Encoder(kind="affine", shape=shape, step=1 / 32),
        params=net.params,
    )  # fmt: skip
    return Case(graph, samples, *bits)


def _shuffled(net: Draft) -> tuple[Node, ...]:
    """The order of nodes means nothing."""
    mixed = [net.nodes[i] for i in net.rng.permutation(len(net.nodes))]
    # until canonicalise joins delays in any order (test_known.py): delays keep theirs
    delays = iter([node for node in net.nodes if isinstance(node.op, Delay)])
    return tuple(next(delays) if isinstance(node.op, Delay) else node for node in mixed)


def _dense(net: Draft, known, x: str, n: int):
    width = net.pick(3, 1, 5)
    return net.dense(x, n, width), width


def _normed(net: Draft, known, x: str, n: int):
    x, n = _dense(net, known, x, n)
    constants = {
        "gain": net.numbers(n), "shift": net.numbers(n, 0.3), "mean": net.numbers(n, 0.3),
        "variance": np.abs(net.numbers(n)),
    }  # fmt: skip
    named = {field: net.param(f"{x}.{field}", values) for field, values in constants.items()}
    return net.node(BatchNorm(**named), x), n


def _sum(net: Draft, known, x: str, n: int):
    other = net.pick(*(name for name, size in known if size == n))
    return net.node(Add(), *((x, other) if net.pick(True, False) else (other, x))), n


LAYERS = {
    "dense": _dense,
    "norm": _normed,
    "relu": lambda net, known, x, n: (net.node(Relu(), x), n),
    "add": _sum,
    "flatten": lambda net, known, x, n: (net.node(Flatten(), x), n),
}


# ------------------------------------------------------------------------------- spiking


@st.composite
def spiking(draw) -> Case:
    """Populations that any population may feed, several times, with delays and biases."""
    net = draft(draw)
    shape = net.pick((4,), (1,), (2, 2))
    source = net.node(Input(shape=shape, kind="spike"), name="input")
    if len(shape) > 1:
        source = net.node(Flatten(), source)
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    known = [(source, int(np.prod(shape))), *((f"lif{k}", n) for k, n in enumerate(sizes))]
    for k, n in enumerate(sizes):
        before = draw(st.lists(st.integers(0, k), min_size=1, max_size=2))
        back = draw(st.lists(st.integers(k + 1, len(sizes)), max_size=2))
        groups = [_synapses(net, *known[i], n, net.pick(0, 0, 1, 3)) for i in before]
        groups += [_synapses(net, *known[i], n, net.pick(1, 1, 2, 5)) for i in back]
        if net.pick(False, False, True):
            groups.append(groups[0])
        _population(net, f"lif{k}", n, groups)
    kind, steps, shown = net.pick("rate", "events"), net.pick(9, 1, 20), net.pick(0, 0, 4)
    encoder = Encoder(kind=kind, shape=shape, steps=steps + shown, high=net.pick(1.0, 0.25))
    graph = Graph(
        "spiking", _shuffled(net), f"lif{len(sizes) - 1}", encoder,
        Readout(kind="count", start=net.pick(0, 0, steps - 1)), params=net.params, steps=steps,
    )  # fmt: skip
    count, at = draw(st.integers(1, 10)), (steps,) if kind == "events" else ()
    samples = net.rng.random((count, *at, *shape))
    if kind == "events":
        samples = samples < net.pick(0.3, 0.9)
    bits = draw(st.sampled_from([8, 2, 3, 4, 5, 6, 7]))
    return Case(graph, samples, bits)


def _synapses(net: Draft, source: str, n_in: int, n_out: int, steps: int) -> str:
    """Delay before the synapses, in two parts, or behind them."""
    behind = steps > 0 and net.pick(False, True)
    if steps > 1 and net.pick(False, True):
        source = net.node(Delay(steps=1), source)
        steps -= 1
    if steps and not behind:
        source = net.node(Delay(steps=steps), source)
    group = net.dense(source, n_in, n_out, gain=2.0, bias=False if behind else None)
    return net.node(Delay(steps=steps), group) if behind else group


def _population(net: Draft, name: str, n: int, groups: list[str]) -> None:
    shape, rng = net.pick((), (n,)), net.rng
    decays = {
        field: rng.choice([0.0, 1.0, 1 / 4096, rng.random(), rng.random()], shape)
        for field in ("decay_u", "decay_v")
    }
    v_th = np.abs(scaled(rng, net.pick("normal", "normal", "tiny", "wide"), shape))
    constants = {**decays, "v_th": v_th}
    if net.pick(False, True):
        constants["bias"] = net.numbers(net.pick((), (n,)), 0.2)
    named = {field: net.param(f"{name}.{field}", x) for field, x in constants.items()}
    net.node(CubaLif(refractory=net.pick(1, 1, 2, 3, 63), **named), *groups, name=name)


# ------------------------------------------------------------------------------ integers


@st.composite
def integers(draw) -> Case:
    """IntDense and IntAdd with any multiplier, exponent, zero points and limits."""
    net = draft(draw)
    n, pinned = draw(st.integers(1, 4)), {}
    form = net.pick(Format(8), Format(8, signed=False), Format(2))
    encoder = Encoder(kind="affine", shape=(n,), zero=int(corners(net, form.low, form.high, ())),
                      format=form)  # fmt: skip
    known = [(net.node(Input(shape=(n,)), name="input"), n, encoder.zero)]
    for kind in draw(st.lists(st.sampled_from("ddda"), min_size=1, max_size=5)):
        known.append((_int_add if kind == "a" else _int_dense)(net, pinned, known))
    graph = Graph("integers", _shuffled(net), known[-1][0], encoder,
                  params={"one": np.ones(())}, pinned=pinned)  # fmt: skip
    return Case(graph, net.rng.normal(0, 100, (net.pick(4, 1, 40), n)))


Known = list[tuple[str, int, int]]  # node, size, zero point


def _limits(net: Draft) -> dict[str, int]:
    low, high = net.pick((-128, 127), (0, 255), (0, 3), (-2, 1), (-1, 7))
    return {"low": low, "high": high, "zero": int(net.rng.integers(low, high + 1))}


def _scalings(net: Draft, n: int, lowest: int, highest: int) -> tuple[Array, Array]:
    """Multipliers and exponents of rule T4, 0 and 0 among them."""
    multiplier = corners(net, 2**30, 2**31 - 1, n)
    exponent = net.rng.integers(lowest, highest + 1, n)
    nothing = net.rng.random(n) < 0.1
    return np.where(nothing, 0, multiplier), np.where(nothing, 0, exponent)


def _int_dense(net: Draft, pinned: dict[str, Pinned], known: Known) -> tuple[str, int, int]:
    name, n = f"dense{len(net.nodes)}", net.pick(3, 1, 4)
    source, n_in, zero_in = net.pick(*known)
    bias = net.pick(10, 2**20, 2**31 - 1 - 2**19)
    top, *exponents = net.pick((2, -5, 0), (127, -12, 2), (127, -31, 31))
    multiplier, exponent = _scalings(net, n, *exponents)
    constants = {
        "weight": (corners(net, -top, top, (n, n_in)), Format(8)),
        "bias": (corners(net, -bias, bias, n), Format(32)),
        "multiplier": (multiplier, Format(32)), "exponent": (exponent, Format(8)),
    }  # fmt: skip
    named = {field: _pin(pinned, f"{name}.{field}", *c) for field, c in constants.items()}
    op = IntDense(**named, step_in="one", step_w="one", step_out="one", zero_in=zero_in,
                  features=n, **_limits(net))  # fmt: skip
    return net.node(op, source, name=name), n, op.zero


def _int_add(net: Draft, pinned: dict[str, Pinned], known: Known) -> tuple[str, int, int]:
    name, (a, n, zero_a) = f"add{len(net.nodes)}", net.pick(*known)
    b, _, zero_b = net.pick(*(k for k in known if k[1] == n))
    multiplier, exponent = _scalings(net, 3, -8, 0)
    if net.pick(False, True):
        multiplier, exponent = _scalings(net, 3, -31, 31)
    scaling = _pin(pinned, f"{name}.scaling", np.stack([multiplier, exponent], 1).ravel(),
                   Format(32))  # fmt: skip
    op = IntAdd(scaling=scaling, step_a="one", step_b="one", step_out="one", zero_a=zero_a,
                zero_b=zero_b, left_shift=net.pick(20, 20, 8), **_limits(net))  # fmt: skip
    return net.node(op, a, b, name=name), n, op.zero


# ----------------------------------------------------------------------------- registers


@st.composite
def registers(draw, profile: str) -> Case:
    """Populations of pinned integers: any delay, any exponent, words that wrap and clip."""
    net, rules = draft(draw), SPIKING[profile]
    channels = draw(st.integers(1, 4))
    source = net.node(Input(shape=(channels,), kind="spike"), name="input")
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    known = [(source, channels), *((f"lif{k}", n) for k, n in enumerate(sizes))]
    pinned: dict[str, Pinned] = {}
    for k, n in enumerate(sizes):
        chosen = draw(st.lists(st.integers(1, len(sizes)), max_size=3))
        groups = [_pinned_synapses(net, pinned, rules, *known[i], n) for i in [0, *chosen]]
        _pinned_population(net, pinned, rules, f"lif{k}", n, groups)
    steps = draw(st.sampled_from([12, 1, 70, 130]))
    graph = Graph(
        "registers", _shuffled(net), f"lif{len(sizes) - 1}",
        Encoder(kind="events", shape=(channels,), steps=steps), Readout(kind="none"),
        params={"unit": np.ones(())}, pinned=pinned, steps=steps, machine=profile,
    )  # fmt: skip
    shape = (draw(st.integers(1, 3)), steps, channels)
    return Case(graph, net.rng.random(shape) < net.pick(0.5, 0.05, 1.0))


def corners(net: Draft, low: int, high: int, shape) -> Array:
    """Integers of low..high, among them its ends; or all the same one."""
    ends = np.array([low, low + 1, high - 1, high, min(max(0, low), high)])
    low_part = min(high, low + 4096)
    near = net.rng.integers(low, low_part + 1, shape)
    any_of = net.rng.integers(low, high + 1, shape)
    kind = net.rng.integers(0, 3, shape) if net.pick(True, False) else net.rng.integers(0, 3)
    return np.choose(kind, [net.rng.choice(ends, shape), near, any_of])


def _pinned_synapses(
    net: Draft, pinned: dict[str, Pinned], rules: SpikingProfile, source: str, n_in: int, n: int
) -> str:  # fmt: skip
    name, dropped = f"synapse{len(net.nodes)}", net.pick(1, 1, 4, 7)
    levels = corners(net, -(256 >> dropped), 255 >> dropped, (n, n_in))
    if net.pick(False, True):
        levels = levels * (net.rng.random(levels.shape) < net.pick(0.0, 0.3, 0.6))
    weight = _pin(pinned, f"{name}.weight", levels << dropped, Format(9))
    delay = net.pick(0, 0, 1, 5, rules.delay_max)
    least = rules.input_delay if source == "input" else rules.spike_delay
    if least + delay:
        source = net.node(Delay(steps=least + delay), source)
    low, high = rules.weight_exponent_min, rules.weight_exponent_max
    exponent = net.pick(high, high, 0, net.rng.integers(low, high + 1), -1, low)
    op = IntSynapse(
        weight=weight, step_w="unit", exponent=int(exponent), delay=delay,
        bits=9 - dropped, dropped=dropped, features=n, sparse=net.pick(False, True),
    )  # fmt: skip
    return net.node(op, source, name=name)


def _pinned_population(
    net: Draft, pinned: dict[str, Pinned], rules: SpikingProfile, name: str, n: int,
    groups: list[str],
) -> None:  # fmt: skip
    shape = net.pick((), (n,))
    decay, top = Format(rules.decay_max.bit_length(), signed=False), rules.bias_mantissa_max
    fields = {
        "decay_u": (0, rules.decay_max, decay), "decay_v": (0, rules.decay_max, decay),
        "v_th": (0, rules.v_th_max, Format(17, signed=False)), "bias": (-top, top, Format(13)),
    }  # fmt: skip
    if not rules.has_bias or net.pick(False, True):
        del fields["bias"]
    named = {
        field: _pin(pinned, f"{name}.{field}", corners(net, low, high, shape), form)
        for field, (low, high, form) in fields.items()
    }
    op = IntCuba(
        step="unit", refractory=net.pick(1, 1, 2, 7, rules.refractory_max), profile=rules.name,
        bias_exponent=net.pick(0, 3, rules.bias_exponent_max) if "bias" in named else 0, **named,
    )  # fmt: skip
    net.node(op, *groups, name=name)


def _pin(pinned: dict[str, Pinned], name: str, values: Array, form: Format) -> str:
    pinned[name] = Pinned(np.asarray(values, np.int64), form)
    return name
