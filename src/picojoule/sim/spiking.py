"""The compiled engine of spiking programs: one block of samples at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from picojoule.fixed.contract import Events
from picojoule.kernels import spiking as k
from picojoule.sim.layout import ACTIONS, Block, sorted_inflight
from picojoule.sim.plan import Plan

Array = np.ndarray[Any, Any]


def run_block(
    plan: Plan, events: Events, state: dict[str, Array], inflight: Array, clock: Array,
    drawn: Array, output: Array, windows: int,
) -> Block:  # fmt: skip
    """Run the samples of `events`.

    state     region -> (n, size)        inflight  as in `Block`
    clock     int64 (n, 3): first step, number of the sample, seed of the run
    drawn     int8 (n, steps, noisy neurons): recorded draws; none: draw them
    output    (n, steps, labels), zeros of the type of what leaves; written
    windows   of the counts: all steps, or 1 for their sum
    """
    batch = empty_batch(plan, events, state, clock, drawn, output, windows)
    lists = plan.machine.lists
    if len(inflight):
        k.load_inflight(
            _one_by_one(inflight), batch.ring, batch.load, batch.fill, lists, plan.first,
            plan.carries,
        )  # fmt: skip
    k.run_block(plan.machine, batch)
    batch.counts[:, :, -2, k.STEP] = events.steps // windows
    under_way = np.empty((int(batch.fill.sum()), 4), np.int64)
    now = events.steps % plan.depth
    k.inflight_rows(
        batch.ring, batch.load, batch.fill, lists, plan.first, plan.carries, now, under_way
    )
    final = {
        name: batch.state[:, plan.words[name] :][:, : values.shape[1]].astype(np.int64)
        for name, values in state.items()
    }
    under_way = sorted_inflight(under_way, plan.depth, plan.axons)
    return Block(batch.output, final, under_way, batch.watched, batch.counts)


def _one_by_one(inflight: Array) -> Array:
    """A row a spike: sample, steps ahead, axon, payload; the first of a kind carries the sum."""
    rows = np.repeat(inflight[:, [0, 1, 2, 4]], inflight[:, 3], axis=0)
    follows = np.ones(len(rows), bool)
    follows[np.cumsum(inflight[:, 3]) - inflight[:, 3]] = False
    rows[follows, 3] = 0
    return rows


def empty_batch(
    plan: Plan, events: Events, state: dict[str, Array], clock: Array, drawn: Array,
    output: Array | None = None, windows: int | None = None,
) -> k.Batch:  # fmt: skip
    """A block before its first step, with nothing under way and nothing counted."""
    n, steps = events.samples, events.steps
    payload = np.zeros(0, np.int32) if events.payload is None else events.payload
    # of one array type, so that one compiled kernel serves all
    indptr, index, payload, clock, drawn = (
        np.require(a, requirements=["C", "W"])
        for a in (events.indptr, events.index, payload, clock, drawn)
    )
    load_room = plan.room if plan.carries.any() else 0
    words = np.zeros((n, plan.size), plan.dtype)
    for name, values in state.items():
        words[:, plan.words[name] :][:, : values.shape[1]] = values
    if output is None:
        output = np.zeros((n, steps, plan.labels), np.int32 if plan.graded else bool)
    return k.Batch(
        indptr=indptr,
        index=index,
        payload=payload,
        state=words,
        ring=np.zeros((n, plan.depth, plan.room), np.int32),
        load=np.zeros((n, plan.depth, load_room), np.int64),
        fill=np.zeros((n, plan.depth, plan.machine.lists.size), np.int32),
        output=output,
        watched=np.zeros((n, steps, plan.columns), np.int64),
        counts=np.zeros((n, windows or steps, plan.components, len(ACTIONS)), np.int64),
        clock=clock.copy(),
        drawn=drawn,
    )
