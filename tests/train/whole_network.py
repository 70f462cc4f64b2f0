"""Gradients of a whole network in floating point against central differences."""

from dataclasses import replace

import numpy as np

from picojoule.grad.tape import Tensor, check_grads
from picojoule.train.model import forward_pass, prepare, trainable


def check_gradients(graph, x):
    """All parameters that training changes, along one random direction, in float64."""
    graph = replace(graph, params={n: a.astype(np.float64) for n, a in graph.params.items()})
    model, names = prepare(graph), trainable(graph)
    held = {n: Tensor(a) for n, a in graph.params.items() if n not in names}

    def scores(*leaves):
        params = {**held, **dict(zip(names, leaves))}
        return forward_pass(model, params, x.astype(np.float64), training=True).scores

    check_grads(scores, *(graph.params[name] for name in names), size=1e-6)
