"""Fixtures: NIR files made on the spot, and a float64 reading of Graphs, written apart."""

from itertools import pairwise

import nir
import numpy as np
import pytest

from picojoule.graph.ops import CubaLif, Delay, Dense, Flatten, Input


@pytest.fixture
def saved(tmp_path):
    """saved(nodes, edges) -> path of a NIR file; edges as 'a->b' texts or pairs."""

    def save(nodes, edges, name="net.nir"):
        pairs = [tuple(e.split("->")) if isinstance(e, str) else e for e in edges]
        path = tmp_path / name
        nir.write(path, nir.NIRGraph(nodes, pairs, {}, False))
        return path

    return save


@pytest.fixture
def chain(saved):
    """chain(*nodes, inputs=1) -> path: Input, the nodes named a, b, ..., Output."""

    def make(*nodes, shape=(1,)):
        names = ["in", *"abcdefgh"[: len(nodes)], "out"]
        ends = nir.Input({"input": np.array(shape)}), nir.Output({"output": np.array(shape)})
        table = dict(zip(names, [ends[0], *nodes, ends[1]]))
        return saved(table, list(pairwise(names)))

    return make


@pytest.fixture
def follow():
    """follow(graph, raster (steps, *shape)) -> {name: (steps, ...)}, and 'name.v' of neurons."""
    return _follow


def _follow(graph, raster):
    order, state, out = _order(graph), {}, {}
    for t in range(len(raster)):
        now = {}
        for name in order:
            node = graph[name]
            if isinstance(node.op, Delay):
                past = out.get(node.inputs[0], [])
                at = t - node.op.steps
                now[name] = past[at] if at >= 0 else 0.0
            elif isinstance(node.op, Input):
                now[name] = np.asarray(raster[t], float)
            else:
                values = [now[i] for i in node.inputs]
                now[name] = _node(graph, node, values, state, now)
        for name, value in now.items():
            out.setdefault(name, []).append(value)
    return {name: np.array([np.broadcast_to(v, np.shape(vs[-1])) for v in vs])
            for name, vs in out.items()}  # fmt: skip


def _node(graph, node, values, state, now):
    op = node.op
    if isinstance(op, Flatten):
        return np.reshape(values[0], -1)
    if isinstance(op, Dense):
        weight = graph.params[op.weight]
        bias = 0.0 if op.bias is None else graph.params[op.bias]
        return weight @ np.broadcast_to(values[0], weight.shape[1]) + bias
    assert isinstance(op, CubaLif) and op.refractory == 1
    u, v = state.get(node.name, (0.0, 0.0))
    bias = 0.0 if op.bias is None else graph.params[op.bias]
    u = (1 - graph.params[op.decay_u]) * u + sum(values)
    v = (1 - graph.params[op.decay_v]) * v + u + bias
    now[node.name + ".v"] = v
    spikes = v > graph.params[op.v_th]
    state[node.name] = (u, np.where(spikes, 0.0, v))
    return spikes.astype(float)


def _order(graph):
    """Delays first: what they give was made in earlier steps."""
    done = [n.name for n in graph.nodes if isinstance(n.op, Delay)]
    while len(done) < len(graph.nodes):
        done += [n.name for n in graph.nodes
                 if n.name not in done and all(i in done for i in n.inputs)]  # fmt: skip
    return done
