"""One kernel that runs a whole spiking program: an interpreter over flat tables.

`sim.plan` writes the tables.  A row of the instruction table starts with its opcode; a neuron
kind is one opcode and one function here.  Spikes travel as lists of axon indices, one list an
axon region and step, in a ring as long as the largest delay.  Nothing here checks an index.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from picojoule.fixed.arithmetic import cuba_neuron, effective_weight, limit
from picojoule.fixed.jit import jit
from picojoule.fixed.profile import CLIP, UNLIMITED, WRAP

Array = np.ndarray[Any, Any]

# opcodes of the table, and the fields of a row (all rows are as long as the longest)
#            0   1     2   3   4       5       6     7      8          9           10     11
INPUT = 0  # op  core  lo  hi  offset  delay   list
ROUTE = 1  # op  core  lo  hi  offset  delay   list  spikes
DENSE = 2  # op  core  lo  hi  q       length  list  pool   w
SPARSE = 3  # op core  lo  hi  q       rows    list  pool   w          target
CUBA = 4  # op   core  n   q   u       v       wait  spikes registers  refractory  first  unit
OUTPUT = 5  # op core  lo  hi  offset  spikes
ROW = 12

# columns of the counts, in the order of `sim.layout.ACTIONS`
ACTIVE, IDLE, EVENT, PACKET, HOP_EW, HOP_NS, STEP, RESET, EVENT_IN, EVENT_OUT = range(10)
WORDS, SPIKES = 0, 1  # kinds of a probe


class Machine(NamedTuple):
    """What every sample shares: a program as flat tables.

    table      int64 (instructions, ROW), in the order in which a step runs them
    numbers    int64 (7,): decay_bits, q_mode, q_bits, u_mode, u_bits, v_mode, v_bits
    registers  int64: of each cuba row keep_u, keep_v, v_th and bias, n values each
    w8 w16 w64 effective weights in units of 2**unit, by the smallest type that holds a region
    target     int32: offsets of synapses into q        rows  int64: row starts
    lists      int64: where each list begins in a slot of the ring
    spikes     int64: where each spike region begins among all neurons
    fan        int32 (neurons, 3): packets and hops that one spike of a neuron costs
    heard      bool (channels,): input channels that some core reads
    probes     int64 (probes, 4): kind, first word or neuron, how many, first column
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


class Batch(NamedTuple):
    """What a block of samples reads and writes.

    indptr, index  events of the block, as in `Events`
    state    int32 or int64 (samples, words)       u, v, wait and q, updated
    ring     int32 (samples, depth, room)          axon lists under way, updated
    fill     int32 (samples, depth, lists)         their lengths, updated
    output   bool (samples, steps, labels)         written where a spike leaves
    watched  int64 (samples, steps, columns)       written by the probes
    counts   int64 (samples, steps, cores + 2, actions)   added to
    """

    indptr: Array
    index: Array
    state: Array
    ring: Array
    fill: Array
    output: Array
    watched: Array
    counts: Array


@jit
def run_block(machine, batch):
    """Run every sample of a block through all its steps."""
    neurons = machine.fan.shape[0]
    fired = np.zeros(neurons, np.int32)
    hit = np.zeros(neurons, np.uint8)
    many = np.zeros(machine.spikes.size, np.int64)
    for b in range(batch.state.shape[0]):
        run_sample(machine, batch, b, fired, many, hit)


@jit
def run_sample(machine, batch, b, fired, many, hit):
    """Run one sample; fired, many and hit are scratch.

    Tuples are taken apart here, once a sample: reading a field counts references, atomically.
    """
    table, numbers, registers, w8, w16, w64, target, rows, lists, spikes, fan, heard, _ = machine
    probes = machine.probes
    state, ring, fill, counts = batch.state[b], batch.ring[b], batch.fill[b], batch.counts[b]
    output, watched, indptr, index = batch.output[b], batch.watched[b], batch.indptr, batch.index
    steps, host = counts.shape[0], counts.shape[1] - 1
    for t in range(steps):
        now = t % ring.shape[0]
        events = index[indptr[b * steps + t] : indptr[b * steps + t + 1]]
        counts[t, host, EVENT_IN] += count_heard(events, heard)
        many[:] = 0
        run_step(
            table, numbers, registers, w8, w16, w64, target, rows, lists, spikes, fan,
            events, state, ring, fill, now, fired, many, hit, output[t], counts[t],
        )  # fmt: skip
        fill[now, :] = 0
        if probes.shape[0] > 0:
            watch(probes, state, spikes, fired, many, watched[t])


@jit
def count_heard(events, heard):
    """How many of the events fall on channels that the machine reads."""
    found = 0
    for e in range(events.size):
        found += heard[events[e]]
    return found


@jit
def run_step(
    table, numbers, registers, w8, w16, w64, target, rows, lists, spikes, fan,
    events, state, ring, fill, now, fired, many, hit, output, counts,
):  # fmt: skip
    """Run the instructions of one step of one sample; arguments as in Machine and Batch."""
    for k in range(table.shape[0]):
        row = table[k]
        if row[0] == DENSE or row[0] == SPARSE:
            if fill[now, row[6]] > 0:
                arrive(row, w8, w16, w64, target, rows, lists, state, ring, fill, now, counts)
        elif row[0] == CUBA:
            update(row, numbers, registers, spikes, fan, state, fired, many, hit, counts)
        elif row[0] == ROUTE:
            send(row, lists, spikes, fired, many, ring, fill, now)
        elif row[0] == INPUT:
            receive(row, events, ring, fill, now, lists)
        else:
            emit(row, spikes, fired, many, output, counts)


@jit
def receive(row, events, ring, fill, now, lists):
    """INPUT: host events lo..hi onto the axon list of the step in which they arrive."""
    slot = (now + row[5]) % ring.shape[0]
    end = fill[slot, row[6]]
    base = lists[row[6]] + end
    found = 0
    for e in range(events.size):
        if row[2] <= events[e] < row[3]:
            ring[slot, base + found] = events[e] + row[4]
            found += 1
    fill[slot, row[6]] = end + found


@jit
def send(row, lists, spikes, fired, many, ring, fill, now):
    """ROUTE: spikes lo..hi of a spike region onto an axon list some steps later."""
    slot = (now + row[5]) % ring.shape[0]
    end = fill[slot, row[6]]
    base = lists[row[6]] + end
    first = spikes[row[7]]
    found = 0
    for e in range(first, first + many[row[7]]):
        if row[2] <= fired[e] < row[3]:
            ring[slot, base + found] = fired[e] + row[4]
            found += 1
    fill[slot, row[6]] = end + found


@jit
def emit(row, spikes, fired, many, output, counts):
    """OUTPUT: spikes lo..hi of a spike region to the host."""
    first = spikes[row[5]]
    found = 0
    for e in range(first, first + many[row[5]]):
        if row[2] <= fired[e] < row[3]:
            output[fired[e] + row[4]] = True
            found += 1
    counts[counts.shape[0] - 1, EVENT_OUT] += found


@jit
def arrive(row, w8, w16, w64, target, rows, lists, state, ring, fill, now, counts):
    """DENSE, SPARSE: add the weights of the spikes that arrive now to q."""
    first = lists[row[6]]
    stop = first + fill[now, row[6]]
    if row[0] == DENSE and row[7] == 8:
        read = deliver_dense(row, w8, state, ring, now, first, stop)
    elif row[0] == DENSE and row[7] == 16:
        read = deliver_dense(row, w16, state, ring, now, first, stop)
    elif row[0] == DENSE:
        read = deliver_dense(row, w64, state, ring, now, first, stop)
    elif row[7] == 8:
        read = deliver_sparse(row, w8, target, rows, state, ring, now, first, stop)
    elif row[7] == 16:
        read = deliver_sparse(row, w16, target, rows, state, ring, now, first, stop)
    else:
        read = deliver_sparse(row, w64, target, rows, state, ring, now, first, stop)
    counts[row[1], EVENT] += read


@jit
def deliver_dense(row, weight, state, ring, now, first, stop):
    """Add one row of `weight` to q for every axon in lo..hi; returns the synapses read.

    The axons are ring[now, first:stop].
    """
    low, high, length, base = row[2], row[3], row[5], row[8]
    q = state[row[4] : row[4] + length]
    read = 0
    for e in range(first, stop):
        axon = ring[now, e]
        if low <= axon < high:
            start = base + (axon - low) * length
            add_row(q, weight[start : start + length])
            read += length
    return read


@jit
def add_row(q, weight):
    """q += weight, elementwise; q is wide enough, or wraps where the machine wraps anyway."""
    for j in range(weight.size):
        q[j] += weight[j]


@jit
def deliver_sparse(row, weight, target, rows, state, ring, now, first, stop):
    """The same over compressed rows; returns the synapses read."""
    low, high, place = row[2], row[3], row[5] - row[2]
    read = 0
    for e in range(first, stop):
        axon = ring[now, e]
        if low <= axon < high:
            start, end = rows[place + axon], rows[place + axon + 1]
            w = weight[row[8] + start : row[8] + end]
            add_scattered(state, row[4], target[row[9] + start : row[9] + end], w)
            read += end - start
    return read


@jit
def add_scattered(q, first, target, weight):
    """q[first + target[j]] += weight[j]."""
    for j in range(weight.size):
        q[first + target[j]] += weight[j]


@jit
def update(row, numbers, registers, spikes, fan, state, fired, many, hit, counts):
    """CUBA: one step of n neurons; lists those that fire, and counts what their spikes cost."""
    n, core, first = row[2], row[1], spikes[row[7]]
    active = update_cuba(row, numbers, registers, state, hit)
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
def update_cuba(row, numbers, registers, state, flags):
    """Advance n CUBA-LIF neurons by one step (rules S1..S8); returns how many were active.

    Reads and clears q, updates u, v and wait in `state`; flags uint8 (n,) or longer, written:
    who fired.  Active: u, v, bias or q, as the accumulator holds it, was not 0 before.
    """
    q_mode, u_mode, v_mode = numbers[1], numbers[3], numbers[5]
    # literal modes of the shipped profiles let the compiler vectorize the loop: 5 times faster
    if q_mode == WRAP and u_mode == WRAP and v_mode == CLIP:
        return advance_cuba(row, numbers, registers, state, flags, WRAP, WRAP, CLIP)
    if q_mode == UNLIMITED and u_mode == UNLIMITED and v_mode == UNLIMITED:
        return advance_cuba(row, numbers, registers, state, flags, UNLIMITED, UNLIMITED, UNLIMITED)
    return advance_cuba(row, numbers, registers, state, flags, q_mode, u_mode, v_mode)


@jit
def advance_cuba(row, numbers, registers, state, flags, q_mode, u_mode, v_mode):
    """`update_cuba` for given modes."""
    n, base, refractory, unit = row[2], row[8], row[9], row[11]
    q, u = state[row[3] : row[3] + n], state[row[4] : row[4] + n]
    v, wait = state[row[5] : row[5] + n], state[row[6] : row[6] + n]
    keep_u, keep_v = registers[base : base + n], registers[base + n : base + 2 * n]
    v_th, bias = registers[base + 2 * n : base + 3 * n], registers[base + 3 * n : base + 4 * n]
    decay_bits, q_bits, u_bits, v_bits = numbers[0], numbers[2], numbers[4], numbers[6]
    active = 0
    for i in range(n):
        total = np.int64(q[i]) << unit
        held = limit(total, q_mode, q_bits)
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i]) != 0
        u[i], _, v[i], wait[i], flags[i] = cuba_neuron(
            np.int64(u[i]), np.int64(v[i]), np.int64(wait[i]), total, bias[i],
            keep_u[i], keep_v[i], v_th[i], refractory, decay_bits,
            q_mode, q_bits, u_mode, u_bits, v_mode, v_bits,
        )  # fmt: skip
        q[i] = 0
    return active


@jit
def watch(probes, state, spikes, fired, many, watched):
    """Record what the probes ask for at the end of a step."""
    for k in range(probes.shape[0]):
        kind, first, length, column = probes[k]
        if kind == WORDS:
            watched[column : column + length] = state[first : first + length]
        else:
            watch_spikes(probes[k], spikes, fired, many, watched)


@jit
def watch_spikes(probe, spikes, fired, many, watched):
    """probe: SPIKES, first neuron among all, how many, first column."""
    for s in range(spikes.size):
        for e in range(spikes[s], spikes[s] + many[s]):
            i = spikes[s] + fired[e] - probe[1]
            if 0 <= i < probe[2]:
                watched[probe[3] + i] = 1


@jit
def effective_weights(mantissa, exponent, shift, weight_limit, out):
    """out[i] = effective_weight(mantissa[i], ...): rule S9 on every element; out int64 (n,)."""
    for i in range(mantissa.size):
        out[i] = effective_weight(np.int64(mantissa[i]), exponent, shift, weight_limit)


@jit
def look_up(mantissa, low, table, out):
    """out[i] = table[mantissa[i] - low]; mantissa int16 or int64 (n,), out as `table`."""
    for i in range(mantissa.size):
        out[i] = table[np.int64(mantissa[i]) - low]


@jit
def inflight_rows(ring, fill, lists, first, now, out):
    """List the spikes under way after the last step.

    first  int64 (lists,)  number of axon 0 of each list among all axons
    now    the slot of the next step
    out    int64 (spikes, 3), written: sample, steps ahead, axon; returns how many
    """
    found = 0
    for b in range(ring.shape[0]):
        for ahead in range(ring.shape[1]):
            slot = (now + ahead) % ring.shape[1]
            for k in range(lists.size):
                for e in range(fill[b, slot, k]):
                    out[found, 0], out[found, 1] = b, ahead
                    out[found, 2] = first[k] + ring[b, slot, lists[k] + e]
                    found += 1
    return found


@jit
def load_inflight(spikes, ring, fill, lists, first):
    """Put spikes under way into an empty ring whose next step is slot 0.

    spikes int64 (n, 3): sample, steps ahead, axon among all axons
    """
    for n in range(spikes.shape[0]):
        b, slot, axon = spikes[n]
        k = np.searchsorted(first, axon, side="right") - 1
        ring[b, slot, lists[k] + fill[b, slot, k]] = axon - first[k]
        fill[b, slot, k] += 1
