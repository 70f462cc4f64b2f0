"""The compiled engine of spiking programs: one block of samples at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from picojoule.fixed.contract import Events
from picojoule.kernels import spiking as k
from picojoule.sim.layout import ACTIONS, Block, components, sorted_inflight
from picojoule.sim.plan import Plan

Array = np.ndarray[Any, Any]


def run_block(plan: Plan, events: Events, state: dict[str, Array], inflight: Array) -> Block:
    """Run the samples of `events`; state: region -> (n, size); inflight as in `Block`."""
    batch = empty_batch(plan, events, state)
    loaded = np.repeat(inflight[:, :3], inflight[:, 3], axis=0)
    first = np.array(list(plan.axons.values()), np.int64)
    k.load_inflight(loaded, batch.ring, batch.fill, plan.machine.lists, first)
    k.run_block(plan.machine, batch)
    batch.counts[:, :, -2, k.STEP] = 1
    under_way = np.empty((int(batch.fill.sum()), 3), np.int64)
    now = events.steps % plan.depth
    k.inflight_rows(batch.ring, batch.fill, plan.machine.lists, first, now, under_way)
    final = {
        name: batch.state[:, plan.words[name] :][:, : values.shape[1]].astype(np.int64)
        for name, values in state.items()
    }
    return Block(batch.output, final, sorted_inflight(under_way), batch.watched, batch.counts)


def empty_batch(plan: Plan, events: Events, state: dict[str, Array]) -> k.Batch:
    """A block before its first step, with nothing under way and nothing counted."""
    n, steps = events.samples, events.steps
    # of one array type, so that one compiled kernel serves all
    indptr, index = (np.require(a, requirements=["C", "W"]) for a in (events.indptr, events.index))
    words = np.zeros((n, plan.size), plan.dtype)
    for name, values in state.items():
        words[:, plan.words[name] :][:, : values.shape[1]] = values
    return k.Batch(
        indptr=indptr,
        index=index,
        state=words,
        ring=np.zeros((n, plan.depth, plan.room), np.int32),
        fill=np.zeros((n, plan.depth, plan.machine.lists.size), np.int32),
        output=np.zeros((n, steps, plan.labels), bool),
        watched=np.zeros((n, steps, plan.columns), np.int64),
        counts=np.zeros((n, steps, len(components(plan.program)), len(ACTIONS)), np.int64),
    )
