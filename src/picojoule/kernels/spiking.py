"""One kernel that runs a whole spiking program: an interpreter over flat tables.

`sim.plan` writes the tables.  A row of the instruction table starts with its opcode; a neuron
kind is one opcode and one loop in `kernels.neurons`.  Spikes travel as lists of axon indices, one
list an axon region and step, in a ring as long as the largest delay; payloads travel beside them
on lists that a graded synapse reads.  Nothing here checks an index.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.delivery import (
    ACCUMULATE,
    DENSE,
    SHARED,
    SPARSE,
    accumulate,
    arrive,
    deliver_dense,
)
from picojoule.kernels.neurons import CUBA, NOW, ROW, update_cuba, update_kind

Array = np.ndarray[Any, Any]

# opcodes of the table, and the fields of a row (all rows are as long as the longest); the others
# are in `delivery` and `neurons`
INPUT = 0  # op  core  lo  hi  offset  delay   list    carry
ROUTE = 1  # op  core  lo  hi  offset  delay   list    spikes  carry
OUTPUT = 7  # op core  lo  hi  offset  spikes  graded
KIND = 11  # field of a neuron row: 1 where its spikes carry payloads

# columns of the counts, in the order of `sim.layout.ACTIONS`
ACTIVE, IDLE, EVENT, PACKET, HOP_EW, HOP_NS, STEP, RESET, EVENT_IN, EVENT_OUT = range(10)
WORDS, SPIKES = 0, 1  # kinds of a probe

__all__ = ["ACCUMULATE", "CUBA", "DENSE", "INPUT", "OUTPUT", "ROUTE", "ROW", "SHARED", "SPARSE"]


class Machine(NamedTuple):
    """What every sample shares: a program as flat tables.

    table      int64 (instructions, ROW), in the order in which a step runs them
    numbers    int64 (9,): decay_bits, q_mode, q_bits, u_mode, u_bits, v_mode, v_bits, drive_mode,
               payload_bits
    registers  int64: of each neuron row its registers in order, n values each
    w8 w16 w64 effective weights in units of 2**unit, by the smallest type that holds a region
    target     int32: offsets of synapses into q        rows  int64: row starts, rows and bases
    lists      int64: where each list begins in a slot of the ring
    spikes     int64: where each spike region begins among all neurons
    fan        int32 (neurons, 3): packets and hops that one spike of a neuron costs
    heard      bool (channels,): input channels that some core reads
    probes     int64 (probes, 4): kind, first word or neuron, how many, first column
    payloads   bool (): whether spikes carry anything
    """

    table: Array
    numbers: Array
    registers: Array
    w8: Array
    w16: Array
    w64: Array
    target: Array
    rows: Array
    lists: Array
    spikes: Array
    fan: Array
    heard: Array
    probes: Array
    payloads: bool


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
    counts   int64 (samples, steps, cores + 2, actions)   added to
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
    hit = np.zeros(neurons, np.uint8)
    many = np.zeros(machine.spikes.size, np.int64)
    for b in range(batch.state.shape[0]):
        run_sample(machine, batch, b, fired, worth, many, hit)


@jit
def run_sample(machine, batch, b, fired, worth, many, hit):
    """Run one sample; the others are scratch: fired, what it carries and what was sent (worth),
    how many, and who was hit.

    Tuples are taken apart here, once a sample: reading a field counts references, atomically.
    """
    table, numbers, registers, w8, w16, w64, target, rows, lists, spikes, fan, heard, _, _ = machine
    steps = batch.counts.shape[1]
    run_steps(
        table, numbers, registers, w8, w16, w64, target, rows, lists, spikes, fan, heard,
        machine.probes, batch.indptr[b * steps : b * steps + steps + 1], batch.index,
        batch.payload, batch.state[b], batch.ring[b], batch.load[b], batch.fill[b],
        batch.output[b], batch.watched[b], batch.counts[b], batch.clock[b], batch.drawn[b],
        fired, worth, many, hit,
    )  # fmt: skip


@jit
def run_steps(
    table, numbers, registers, w8, w16, w64, target, rows, lists, spikes, fan, heard, probes,
    indptr, index, payload, state, ring, load, fill, output, watched, counts, clock, drawn,
    fired, worth, many, hit,
):  # fmt: skip
    """All steps of one sample, one call: so many arrays take time to hand over."""
    for t in range(counts.shape[0]):
        now = begin_step(t, ring, indptr, index, heard, many, counts)
        for k in range(table.shape[0]):
            row = table[k]
            op = row[0]
            if op == DENSE and row[7] == 8 and row[9] == 0:  # most of the work: no call between
                first = lists[row[6]]
                counts[t, row[1], EVENT] += deliver_dense(
                    row, w8, state, ring, now, first, first + fill[now, row[6]]
                )
            elif DENSE <= op <= SHARED:
                if fill[now, row[6]] > 0:
                    counts[t, row[1], EVENT] += arrive(
                        row, w8, w16, w64, target, rows, lists, state, ring, load, fill, now
                    )
            elif op == CUBA or op > OUTPUT:
                if op == CUBA:
                    active = update_cuba(row, numbers, registers, state, hit)
                else:
                    active = update_kind(
                        row, numbers, registers, state, hit, worth[1], clock, drawn[t]
                    )
                note(row, active, spikes, fan, fired, many, hit, counts[t])
                if worth.size > 0:
                    price(row, spikes, many, hit, worth)
            elif op == ROUTE:
                send(row, lists, spikes, fired, worth, many, ring, load, fill, now)
            elif op == INPUT:
                receive(row, index, payload, indptr[t], indptr[t + 1], ring, load, fill, now, lists)
            elif op == OUTPUT:
                emit(row, spikes, fired, worth, many, output[t], counts[t])
            else:
                accumulate(row, state)
        fill[now, :] = 0
        clock[NOW] += 1
        if probes.shape[0] > 0:
            watch(probes, state, spikes, fired, worth, many, watched[t])


@jit
def begin_step(t, ring, indptr, index, heard, many, counts):
    """Count what comes in; returns the slot of the ring that arrives now."""
    found = 0
    for e in range(indptr[t], indptr[t + 1]):
        found += heard[index[e]]
    counts[t, counts.shape[1] - 1, EVENT_IN] += found
    many[:] = 0
    return t % ring.shape[0]


@jit
def receive(row, index, payload, first, last, ring, load, fill, now, lists):
    """INPUT: host events lo..hi onto the axon list of the step in which they arrive."""
    slot = (now + row[5]) % ring.shape[0]
    low, high, offset, end = row[2], row[3], row[4], fill[slot, row[6]]
    base = lists[row[6]] + end
    events = index[first:last]
    found = 0
    for e in range(events.size):
        if low <= events[e] < high:
            ring[slot, base + found] = events[e] + offset
            found += 1
    fill[slot, row[6]] = end + found
    if row[7] != 0:
        found = 0
        for e in range(first, last):
            if low <= index[e] < high:
                load[slot, base + found] = payload[e] if payload.size > 0 else 1
                found += 1


@jit
def send(row, lists, spikes, fired, worth, many, ring, load, fill, now):
    """ROUTE: spikes lo..hi of a spike region onto an axon list some steps later."""
    slot = (now + row[5]) % ring.shape[0]
    low, high, offset, end = row[2], row[3], row[4], fill[slot, row[6]]
    base, first = lists[row[6]] + end, spikes[row[7]]
    last = first + many[row[7]]
    found = 0
    for e in range(first, last):
        if low <= fired[e] < high:
            ring[slot, base + found] = fired[e] + offset
            found += 1
    fill[slot, row[6]] = end + found
    if row[8] != 0:
        found = 0
        for e in range(first, last):
            if low <= fired[e] < high:
                load[slot, base + found] = worth[0, e]
                found += 1


@jit
def emit(row, spikes, fired, worth, many, output, counts):
    """OUTPUT: spikes lo..hi of a spike region to the host; payloads of one label add up."""
    low, high, offset, first = row[2], row[3], row[4], spikes[row[5]]
    graded, found = row[6] != 0, 0
    for e in range(first, first + many[row[5]]):
        if low <= fired[e] < high:
            if graded:
                output[fired[e] + offset] += worth[0, e]
            else:
                output[fired[e] + offset] = True
            found += 1
    counts[counts.shape[0] - 1, EVENT_OUT] += found


@jit
def note(row, active, spikes, fan, fired, many, hit, counts):
    """List the neurons that fired, with what they send, and count what their spikes cost."""
    n, core, first = row[2], row[1], spikes[row[7]]
    counts[core, ACTIVE] += active
    counts[core, IDLE] += n - active
    end = first + many[row[7]]
    found = 0
    for i in range(n):
        if hit[i]:
            fired[end + found] = row[10] + i
            found += 1
    for e in range(end, end + found):
        counts[core, PACKET] += fan[first + fired[e], 0]
        counts[core, HOP_EW] += fan[first + fired[e], 1]
        counts[core, HOP_NS] += fan[first + fired[e], 2]
    many[row[7]] += found


@jit
def price(row, spikes, many, hit, worth):
    """worth[0]: what each spike noted last carries of worth[1]; 1 where the kind is binary."""
    graded = row[0] != CUBA and row[KIND] != 0
    at = spikes[row[7]] + many[row[7]]
    for i in range(row[2] - 1, -1, -1):
        if hit[i]:
            at -= 1
            worth[0, at] = worth[1, i] if graded else 1


@jit
def watch(probes, state, spikes, fired, worth, many, watched):
    """Record what the probes ask for at the end of a step."""
    for k in range(probes.shape[0]):
        kind, first, length, column = probes[k]
        if kind == WORDS:
            watched[column : column + length] = state[first : first + length]
        else:
            watch_spikes(probes[k], spikes, fired, worth, many, watched)


@jit
def watch_spikes(probe, spikes, fired, worth, many, watched):
    """probe: SPIKES, first neuron among all, how many, first column."""
    for s in range(spikes.size):
        for e in range(spikes[s], spikes[s] + many[s]):
            i = spikes[s] + fired[e] - probe[1]
            if 0 <= i < probe[2]:
                watched[probe[3] + i] = worth[0, e] if worth.size > 0 else 1


@jit
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


@jit
def load_inflight(spikes, ring, load, fill, lists, first, carries):
    """Put spikes under way into an empty ring whose next step is slot 0.

    spikes int64 (n, 4): sample, steps ahead, axon among all axons, payload
    """
    for n in range(spikes.shape[0]):
        b, slot, axon, carried = spikes[n]
        k = np.searchsorted(first, axon, side="right") - 1
        end = lists[k] + fill[b, slot, k]
        ring[b, slot, end] = axon - first[k]
        if carries[k]:
            load[b, slot, end] = carried
        fill[b, slot, k] += 1
