"""Run our networks in the NengoLoihi emulator, with registers set block by block."""

from __future__ import annotations

import warnings

import nengo
import numpy as np
from design import SpikingNet, save, spiking_arrays, spiking_head
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder import Model
from nengo_loihi.emulator import EmulatorInterface
from nengo_loihi.inputs import SpikeInput
from nets_nengo_loihi import NENGO_LOIHI

RECORDED = {
    "u": "end of the step",
    "v": "end of the step, after reset",
    "spike": "packed bits",
    "time": "row r of a recording is the emulator's step r + 1, and an event of row r was given "
    "to it with add_spikes(r + 1), so the emulator delivers it in row r + 1",
}


def _block(p) -> LoihiBlock:
    block = LoihiBlock(p.neurons, label=p.name)
    c = block.compartment
    c.decay_u, c.decay_v = p.decay_u.astype(np.int32), p.decay_v.astype(np.int32)
    c.vth, c.bias = (p.v_th << 6).astype(np.int32), (p.bias << p.bias_exponent).astype(np.int32)
    c.refract_delay = np.full(p.neurons, p.refractory, np.int32)
    c.scale_u = c.scale_v = False
    c.vmin, c.vmax = -(2**23) + 1, 2**23 - 1
    return block


def _connect(blocks: dict, inputs: SpikeInput, s) -> None:
    assert s.exponent >= 0 and s.delay == 0
    synapse = Synapse(s.weight.shape[1])
    synapse.set_weights(s.weight.T.astype(np.float32))
    effective = (s.weight.T << s.exponent + 6).astype(np.int32)
    synapse.weights = [row[None] for row in effective]
    blocks[s.target].add_synapse(synapse)
    axon = Axon(s.weight.shape[1])
    axon.target = synapse
    axon.set_compartment_axon_map(np.arange(s.weight.shape[1]))
    (inputs if s.source == "input" else blocks[s.source]).add_axon(axon)


def _record(net: SpikingNet) -> dict[str, np.ndarray]:
    blocks = {p.name: _block(p) for p in net.populations}
    inputs = SpikeInput(net.raster.shape[1])
    for s in net.projections:
        _connect(blocks, inputs, s)
    for row in np.flatnonzero(net.raster.any(1)):
        inputs.add_spikes(row + 1, np.flatnonzero(net.raster[row]))
    model = Model()
    model.add_input(inputs)
    for block in blocks.values():
        model.add_block(block)
    emulator = EmulatorInterface(model, seed=1)
    state, rows = emulator.compartment, []
    for _ in range(net.steps):
        emulator.step()
        rows.append((state.current.copy(), state.voltage.copy(), state.spiked.copy()))
    found = {}
    for name, block in blocks.items():
        where = emulator.block_info.slices[block]
        for k, what in enumerate(("u", "v", "spike")):
            found[f"{name}.{what}"] = np.array([row[k][where] for row in rows])
    return found


def main() -> None:
    """Record every network."""
    warnings.simplefilter("ignore")  # the emulator warns of each overflow
    versions = {"nengo-loihi": "1.1.0", "nengo": nengo.__version__, "numpy": np.__version__}
    for build in NENGO_LOIHI:
        net = build()
        head = {"peer": "nengo-loihi", "versions": versions, "profile": "loihi1",
                **spiking_head(net), "recorded": RECORDED}  # fmt: skip
        save(net.name, head, {**spiking_arrays(net), **_record(net)})
        print(net.name)
