"""One kernel that runs a whole spiking program: an interpreter over flat tables.

`sim.plan` writes the tables.  A row of the instruction table starts with its opcode; a neuron
kind is one opcode and one loop in `kernels.neurons`.  Spikes travel as lists of axon indices, one
list an axon region and step, in a ring as long as the largest delay; payloads travel beside them
on lists that a graded synapse reads.  Nothing here checks an index.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from picojoule.fixed.jit import jit, jit_lean
from picojoule.kernels.delivery import (
    ACCUMULATE,
    DENSE,
    PACKED,
    SHARED,
    SPARSE,
    accumulate,
    arrive,
    deliver_dense,
    deliver_packed,
)
from picojoule.kernels.fields import ALIKE, CUBA, CUBA_NOISE, NOW, ROW
from picojoule.kernels.neurons import update_cuba, update_kind, waiting

Array = np.ndarray[Any, Any]

# opcodes of the table, and the fields of a row (all rows are as long as the longest); the others
# are in `delivery` and `neurons`
INPUT = 0  # op  core  lo  hi  offset  delay   list    carry
ROUTE = 1  # op  core  lo  hi  offset  delay   list    spikes  carry
OUTPUT = 7  # op core  lo  hi  offset  spikes  graded
KIND = 11  # field of a neuron row: 1 where its spikes carry payloads

# columns of the counts, in the order of `sim.layout.ACTIONS`
ACTIVE, IDLE, EVENT, PACKET, HOP_EW, HOP_NS, HOP_CHIP = range(7)
STEP, RESET, EVENT_IN, EVENT_OUT = range(7, 11)
WORDS, SPIKES = 0, 1  # kinds of a probe

__all__ = [
    "ACCUMULATE", "CUBA", "DENSE", "INPUT", "OUTPUT", "PACKED", "ROUTE", "ROW", "SHARED", "SPARSE",
]  # fmt: skip


class Machine(NamedTuple):
    """What every sample shares: a program as flat tables.

    table      int64 (instructions, ROW), in the order in which a step runs them
    numbers    int64 (9,): decay_bits, q_mode, q_bits, u_mode, u_bits, v_mode, v_bits, drive_mode,
               payload_bits
    registers  int32 or int64: of each neuron row its registers in order, n values each
    w8 w16 w64 effective weights in units of 2**unit, by the smallest type that holds a region
    packed     int32: synapses of 8 bits with their targets, where there are not too many
    target     uint16 or uint32: offsets of synapses into q
    rows       int32: row starts, rows and bases
    lists      int64: where each list begins in a slot of the ring
    spikes     int64: where each spike region begins among all neurons
    fan        int32 (neurons, 4): packets and hops that one spike of a neuron costs
    heard      bool (channels,): input channels that some core reads
    probes     int64 (probes, 4): kind, first word or neuron, how many, first column
    payloads   bool (): whether spikes carry anything
    rare       0, or None where all rows are common ones (`sim.plan`): what serves the others is
               then not compiled, which more than halves the time of a first run
    """

    table: Array
    numbers: Array
    registers: Array
    w8: Array
    w16: Array
    w64: Array
    packed: Array
    target: Array
    rows: Array
    lists: Array
    spikes: Array
    fan: Array
    heard: Array
    probes: Array
    payloads: bool
    rare: int | None


class Batch(NamedTuple):
    """What a block of samples reads and writes.

    indptr, index  events of the block, as in `Events`
    payload  int32 (events,): what events carry; empty: 1 each
    state    int32 or int64 (samples, words)       u, v, wait and q, updated
    ring     int32 (samples, depth, room)          axon lists under way, updated
    load     int64 (samples, depth, room)          payloads of them; room 0 where none carry any
    fill     int32 (samples, depth, lists)         their lengths, updated
    output   bool or int32 (samples, steps, labels)   written where a spike leaves
    watched  int64 (samples, steps, columns)       written by the probes
    counts   int64 (samples, windows, cores + 2, actions)   added to; a window a step, or one
    clock    int64 (samples, 3): first step, number of the sample, seed of the run
    drawn    int8 (samples, steps, noisy neurons): recorded draws; 0 neurons: draw them
    """

    indptr: Array
    index: Array
    payload: Array
    state: Array
    ring: Array
    load: Array
    fill: Array
    output: Array
    watched: Array
    counts: Array
    clock: Array
    drawn: Array


@jit
def run_block(machine, batch):
    """Run every sample of a block through all its steps."""
    neurons = machine.fan.shape[0]
    fired = np.zeros(neurons, np.int32)
    worth = np.zeros((2, neurons if machine.payloads else 0), np.int64)
    hit = np.zeros(neurons + 8, np.uint8)
    many = np.zeros(machine.spikes.size, np.int64)
    waits = np.zeros(machine.table.shape[0], np.uint8)
    for b in range(batch.state.shape[0]):
        waiting(machine.table, batch.state[b], waits)
        run_sample(machine, batch, b, fired, worth, many, hit, waits)


@jit_lean
def run_sample(machine, batch, b, fired, worth, many, hit, waits):
    """Run one sample; the others are scratch: fired, what it carries and what was sent (worth),
    how many, who was hit, and which neuron rows can rest.
    """
    table, numbers, registers, w8, w16, w64, packed, target, rows, lists, spikes, fan = machine[:12]
    steps = (batch.indptr.size - 1) // batch.state.shape[0]
    run_steps(
        table, numbers, registers, w8, w16, w64, packed, target, rows, lists, spikes, fan,
        machine.heard, machine.probes, batch.indptr[b * steps : b * steps + steps + 1], batch.index,
        batch.payload, batch.state[b], batch.ring[b], batch.load[b], batch.fill[b],
        batch.output[b], batch.watched[b], batch.counts[b], batch.clock[b], batch.drawn[b],
        fired, worth, many, hit, waits, machine.rare,
    )  # fmt: skip


@jit_lean
def run_steps(
    table, numbers, registers, w8, w16, w64, packed, target, rows, lists, spikes, fan, heard,
    probes, indptr, index, payload, state, ring, load, fill, output, watched, counts, clock, drawn,
    fired, worth, many, hit, waits, rare,
):  # fmt: skip
    """All steps of one sample, one call: so many arrays take time to hand over."""
    each = counts.shape[0] > 1
    for t in range(indptr.size - 1):
        counted = counts[t if each else 0]
        now = begin_step(t, ring, indptr, index, heard, many, counted)
        for k in range(table.shape[0]):
            row = table[k]
            op = row[0]
            if op == DENSE and row[7] == 8 and row[9] == 0:  # most of the work: no call between
                first = lists[row[6]]
                counted[row[1], EVENT] += deliver_dense(
                    row, w8, state, ring, now, first, first + fill[now, row[6]]
                )
            elif op == PACKED:
                first = lists[row[6]]
                counted[row[1], EVENT] += deliver_packed(
                    row, packed, rows, state, ring, now, first, first + fill[now, row[6]]
                )
            elif DENSE <= op <= SHARED:
                if rare is None:  # a test of its own, so the compiler drops what follows
                    first = lists[row[6]]
                    counted[row[1], EVENT] += deliver_dense(
                        row, w16, state, ring, now, first, first + fill[now, row[6]]
                    )
                elif fill[now, row[6]] > 0:
                    counted[row[1], EVENT] += arrive(
                        row, w8, w16, w64, target, rows, lists, state, ring, load, fill, now
                    )
            elif op == CUBA or op >= CUBA_NOISE:
                active = 0
                if op == CUBA:
                    active = update_cuba(row, numbers, registers, state, hit, waits[k])
                elif rare is not None:
                    active = update_kind(
                        row, numbers, registers, state, hit, worth[1], clock, drawn[t]
                    )
                note(row, active, spikes, fan, fired, many, hit, counted)
                if worth.size > 0:
                    price(row, spikes, many, hit, worth)
            elif op == ROUTE:
                send(row, lists, spikes, fired, worth, many, ring, load, fill, now)
            elif op == INPUT:
                receive(row, index, payload, indptr[t], indptr[t + 1], ring, load, fill, now, lists)
            elif op == OUTPUT:
                emit(row, spikes, fired, worth, many, output[t], counted)
            else:
                accumulate(row, state)
        for k in range(fill.shape[1]):
            fill[now, k] = 0
        clock[NOW] += 1
        if probes.shape[0] > 0:
            watch(probes, state, spikes, fired, worth, many, watched[t])


@jit_lean
def begin_step(t, ring, indptr, index, heard, many, counts):
    """Count what comes in; returns the slot of the ring that arrives now."""
    found = 0
    for e in range(indptr[t], indptr[t + 1]):
        found += heard[index[e]]
    counts[counts.shape[0] - 1, EVENT_IN] += found
    for k in range(many.size):
        many[k] = 0
    return t % ring.shape[0]


@jit_lean
def lower_bound(values, first, last, least):
    """The first place in first..last whose value is not below `least`; values rise."""
    while first < last:
        middle = (first + last) >> 1
        if values[middle] < least:
            first = middle + 1
        else:
            last = middle
    return first


@jit_lean
def receive(row, index, payload, first, last, ring, load, fill, now, lists):
    """INPUT: host events lo..hi onto the axon list of the step in which they arrive."""
    slot = (now + row[5]) % ring.shape[0]
    offset, end = row[4], fill[slot, row[6]]
    base = lists[row[6]] + end
    first = lower_bound(index, first, last, row[2])
    found = lower_bound(index, first, last, row[3]) - first
    for e in range(found):
        ring[slot, base + e] = index[first + e] + offset
    fill[slot, row[6]] = end + found
    if row[7] != 0:
        for e in range(found):
            load[slot, base + e] = payload[first + e] if payload.size > 0 else 1


@jit_lean
def send(row, lists, spikes, fired, worth, many, ring, load, fill, now):
    """ROUTE: spikes lo..hi of a spike region onto an axon list some steps later."""
    slot = (now + row[5]) % ring.shape[0]
    offset, end = row[4], fill[slot, row[6]]
    base, first = lists[row[6]] + end, spikes[row[7]]
    last = first + many[row[7]]
    first = lower_bound(fired, first, last, row[2])
    found = lower_bound(fired, first, last, row[3]) - first
    for e in range(found):
        ring[slot, base + e] = fired[first + e] + offset
    fill[slot, row[6]] = end + found
    if row[8] != 0:
        for e in range(found):
            load[slot, base + e] = worth[0, first + e]


@jit_lean
def emit(row, spikes, fired, worth, many, output, counts):
    """OUTPUT: spikes lo..hi of a spike region to the host; payloads of one label add up."""
    offset, first = row[4], spikes[row[5]]
    last = first + many[row[5]]
    first = lower_bound(fired, first, last, row[2])
    last = lower_bound(fired, first, last, row[3])
    if row[6] != 0:
        for e in range(first, last):
            output[fired[e] + offset] += worth[0, e]
    else:
        for e in range(first, last):
            output[fired[e] + offset] = True
    counts[counts.shape[0] - 1, EVENT_OUT] += last - first


@jit_lean
def note(row, active, spikes, fan, fired, many, hit, counts):
    """List the neurons that fired, with what they send, and count what their spikes cost."""
    n, core, first = row[2], row[1], spikes[row[7]]
    counts[core, ACTIVE] += active
    counts[core, IDLE] += n - active
    end = first + many[row[7]]
    found = listed(hit, n, row[10], fired, end)
    many[row[7]] += found
    if row[ALIKE] != 0:  # the spikes of all these neurons cost the same
        for k in range(fan.shape[1]):
            counts[core, PACKET + k] += found * fan[first + row[10], k]
        return
    for e in range(end, end + found):
        for k in range(fan.shape[1]):
            counts[core, PACKET + k] += fan[first + fired[e], k]


@jit_lean
def listed(hit, n, number, fired, end):
    """List number + i for each i < n that was hit, from fired[end] on; returns how many.

    Eight flags are looked at together, and those of a word with a spike without a branch.
    """
    found, whole = 0, n - n % 8
    words = hit[:whole].view(np.uint64)
    for k in range(words.size):
        if words[k] != 0:
            for i in range(8 * k, 8 * k + 8):
                fired[np.uint64(end + found)] = number + i
                found += hit[i]
    for i in range(whole, n):
        if hit[i]:
            fired[end + found] = number + i
            found += 1
    return found


@jit_lean
def price(row, spikes, many, hit, worth):
    """worth[0]: what each spike noted last carries of worth[1]; 1 where the kind is binary."""
    graded = row[0] != CUBA and row[KIND] != 0
    at = spikes[row[7]] + many[row[7]]
    for i in range(row[2] - 1, -1, -1):
        if hit[i]:
            at -= 1
            worth[0, at] = worth[1, i] if graded else 1


@jit_lean
def watch(probes, state, spikes, fired, worth, many, watched):
    """Record what the probes ask for at the end of a step."""
    for k in range(probes.shape[0]):
        kind, first, length, column = probes[k, 0], probes[k, 1], probes[k, 2], probes[k, 3]
        if kind == WORDS:
            for i in range(length):
                watched[column + i] = state[first + i]
        else:
            watch_spikes(probes[k], spikes, fired, worth, many, watched)


@jit_lean
def watch_spikes(probe, spikes, fired, worth, many, watched):
    """probe: SPIKES, first neuron among all, how many, first column."""
    for s in range(spikes.size):
        for e in range(spikes[s], spikes[s] + many[s]):
            i = spikes[s] + fired[e] - probe[1]
            if 0 <= i < probe[2]:
                watched[probe[3] + i] = worth[0, e] if worth.size > 0 else 1


@jit_lean
def inflight_rows(ring, load, fill, lists, first, carries, now, out):
    """List the spikes under way after the last step.

    first    int64 (lists,)  number of axon 0 of each list among all axons
    carries  bool (lists,)   lists with payloads
    now      the slot of the next step
    out      int64 (spikes, 4), written: sample, steps ahead, axon, payload; returns how many
    """
    found = 0
    for b in range(ring.shape[0]):
        for ahead in range(ring.shape[1]):
            slot = (now + ahead) % ring.shape[1]
            for k in range(lists.size):
                for e in range(fill[b, slot, k]):
                    out[found, 0], out[found, 1] = b, ahead
                    out[found, 2] = first[k] + ring[b, slot, lists[k] + e]
                    out[found, 3] = load[b, slot, lists[k] + e] if carries[k] else 1
                    found += 1
    return found


@jit_lean
def load_inflight(spikes, ring, load, fill, lists, first, carries):
    """Put spikes under way into an empty ring whose next step is slot 0.

    spikes int64 (n, 4): sample, steps ahead, axon among all axons, payload
    """
    for n in range(spikes.shape[0]):
        b, slot, axon, carried = spikes[n]
        k = lower_bound(first, 0, first.size, axon + 1) - 1
        end = lists[k] + fill[b, slot, k]
        ring[b, slot, end] = axon - first[k]
        if carries[k]:
            load[b, slot, end] = carried
        fill[b, slot, k] += 1
