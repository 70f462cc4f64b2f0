"""Networks of pinned integers, one line a node, and machines of other profiles."""

from dataclasses import replace

import numpy as np

from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.graph import Graph, Node, Pinned
from picojoule.graph.ops import (
    Flatten,
    Input,
    IntConv,
    IntNeuron,
    IntPool,
    IntShared,
    IntSynapse,
)
from picojoule.target import Grid, load


def machine_of(profile, cores=128, **limits):
    """loihi1 with the arithmetic of another profile, other limits (None: without) and cores."""
    target = load("loihi1")
    kept = [e for e in target.core.limits.entries if limits.get(e.name, 0) is not None]
    entries = tuple(replace(e, value=limits.get(e.name, e.value)) for e in kept)
    core = replace(
        target.core, profile=profile, limits=replace(target.core.limits, entries=entries),
        count=cores, grid=Grid(-(-cores // 4), 1, 4),
    )  # fmt: skip
    return replace(target, core=core)


class Ints:
    """A graph of pinned integers under construction."""

    def __init__(self, seed=0, profile="loihi2", steps=10):
        self.rng = np.random.default_rng(seed)
        self.profile, self.steps = profile, steps
        self.nodes, self.pins = [], {}

    def node(self, name, op, *inputs):
        self.nodes.append(Node(name, op, inputs))
        return name

    def pin(self, name, values, bits=32, signed=True):
        self.pins[name] = Pinned(np.asarray(values), Format(bits, signed))
        return name

    def weights(self, name, shape, low=-60, high=80):
        return self.pin(name, 2 * self.rng.integers(low // 2, high // 2, shape), 9)

    def input(self, *shape):
        return self.node("input", Input(shape=shape, kind="spike"))

    def flat(self, source):
        return self.node(f"{source}_flat", Flatten(), source)

    def synapse(self, name, source, inputs, features, delays=None, weight=None, **fields):
        self.pin(f"{name}.step_w", 1)
        pinned = self.weights(f"{name}.w", (features, inputs))
        if weight is not None:
            pinned = self.pin(f"{name}.w", weight, 9)
        late = None if delays is None else self.pin(f"{name}.d", delays, 6, signed=False)
        op = IntSynapse(
            weight=pinned, step_w=f"{name}.step_w", features=features, delays=late, **fields
        )
        return self.node(name, op, source)

    def conv(self, name, source, in_shape, channels, kernel, groups=1, **fields):
        weight = self.weights(f"{name}.w", (channels, in_shape[2] // groups, *kernel))
        op = IntConv(
            weight=weight, in_shape=in_shape, channels=channels, kernel=kernel, groups=groups,
            **fields,
        )  # fmt: skip
        return self.node(name, op, source)

    def pool(self, name, source, in_shape, kernel, stride, weight=20, **fields):
        op = IntPool(
            weight=self.pin(f"{name}.w", weight, 9), in_shape=in_shape, kernel=kernel,
            stride=stride, **fields,
        )  # fmt: skip
        return self.node(name, op, source)

    def shared(self, name, source, features, row, base, indptr, target, weight, **fields):
        given = {"row": row, "base": base, "indptr": indptr, "target": target, "weight": weight}
        names = {field: self.pin(f"{name}.{field}", values) for field, values in given.items()}
        return self.node(name, IntShared(features=features, **names, **fields), source)

    def cuba(self, name, *sources, decay_u=1500, decay_v=500, v_th=150, bias=None, **options):
        registers = {"decay_u": decay_u, "decay_v": decay_v, "v_th": v_th}
        registers |= {} if bias is None else {"bias": bias}
        return self.neurons(name, "cuba", *sources, registers=registers,
                            **({"refractory": 1} | options))  # fmt: skip

    def neurons(self, name, kind, *sources, registers, second=0, **options):
        named = tuple((r, self.pin(f"{name}.{r}", v)) for r, v in registers.items())
        op = IntNeuron(
            kind=kind, registers=named, options=tuple(options.items()), second=second,
            profile=self.profile,
        )  # fmt: skip
        return self.node(name, op, *sources)

    def graph(self, output, kind="count"):
        (entry,) = (n.op for n in self.nodes if isinstance(n.op, Input))
        return Graph(
            "ints", tuple(self.nodes), output, Encoder(kind="events", shape=entry.shape,
            steps=self.steps), Readout(kind=kind), pinned=self.pins, steps=self.steps,
        )  # fmt: skip


def raster(graph, count=3, seed=7, rate=0.3, graded=False):
    """Spikes for an encoder of kind 'events', with payloads -20..20 where asked for."""
    rng = np.random.default_rng(seed)
    spikes = rng.random((count, graph.steps, *graph.encoder.shape)) < rate
    return spikes * rng.integers(-20, 21, spikes.shape) if graded else spikes


PILOT = (  # channels, kernel, stride, padding; shared/models/lava_dl/pilotnet_lif
    (24, (3, 3), (2, 2), (0, 0)), (36, (3, 3), (2, 2), (0, 0)), (48, (3, 3), (2, 2), (1, 0)),
    (64, (3, 3), (1, 1), (0, 0)), (64, (3, 3), (1, 1), (0, 0)),
)  # fmt: skip


def pilot_net(profile="loihi2"):
    """A network of PilotNet's size: five convolutions of 200 x 66 x 3, then four dense layers."""
    net = Ints(0, profile, steps=8)
    source, shape = net.input(200, 66, 3), (200, 66, 3)
    for k, (channels, kernel, stride, padding) in enumerate(PILOT):
        conv = net.conv(f"c{k}", source, shape, channels, kernel, stride=stride, padding=padding)
        shape = net.nodes[-1].op.out_shape
        source = net.cuba(f"conv{k}", conv)
    source, size = net.flat(source), int(np.prod(shape))
    for k, features in enumerate((100, 50, 10, 1)):
        source = net.cuba(f"fc{k}", net.synapse(f"d{k}", source, size, features))
        size = features
    return net.graph(source)
