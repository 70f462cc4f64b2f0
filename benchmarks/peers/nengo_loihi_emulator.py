"""NengoLoihi's emulator: one block, registers set as its builder would leave them."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import nengo
import nengo_loihi
import numpy as np
from common.network import DECAY_V, KICK_EXPONENT, V_TH, Network, voltage_digest
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder import Model
from nengo_loihi.emulator import EmulatorInterface
from nengo_loihi.inputs import SpikeInput
from serve import serve


class Emulated:
    def __init__(self, network: Network, settings: dict[str, Any]) -> None:
        warnings.simplefilter("ignore")  # each overflow warns; there is none here
        block = _block(network)
        bounds = network.indptr
        rows = [slice(a, b) for a, b in pairwise(bounds)]
        weight = network.weight.astype(np.int32) << 6
        _connect(block, block, [weight[r] for r in rows], [network.target[r] for r in rows])
        source = SpikeInput(1)
        kick = network.kick.astype(np.int32) << KICK_EXPONENT + 6
        _connect(source, block, [kick], [np.arange(network.neurons)])
        source.add_spikes(1, np.array([0]))
        model = Model()
        model.add_input(source)
        model.add_block(block)
        self._emulator = EmulatorInterface(model, seed=1)

    def run(self, steps: int) -> None:
        self._emulator.run_steps(steps)

    def facts(self) -> dict[str, Any]:
        return {"voltage": voltage_digest(self._emulator.compartment.voltage)}


def _block(network: Network) -> LoihiBlock:
    n = network.neurons
    block = LoihiBlock(n)
    c = block.compartment
    c.decay_u, c.decay_v = np.full(n, 4095, np.int32), np.full(n, DECAY_V, np.int32)
    c.vth, c.bias = np.full(n, V_TH << 6, np.int32), (network.bias << 6).astype(np.int32)
    c.refract_delay = np.ones(n, np.int32)
    c.scale_u = c.scale_v = False
    c.vmin, c.vmax = -(2**23) + 1, 2**23 - 1
    return block


def _connect(source: Any, block: LoihiBlock, weights: list, indices: list) -> None:
    synapse = Synapse(len(weights))
    synapse.set_population_weights(
        [np.asarray(w, np.float32)[None] for w in weights],
        [np.asarray(i, np.int32)[None] for i in indices],
        axon_to_weight_map={i: i for i in range(len(weights))},
        compartment_bases=[0] * len(weights), pop_type=32,
    )  # fmt: skip
    synapse.axon_to_weight_map, synapse.axon_compartment_bases, synapse.pop_type = None, None, 0
    synapse.weights = [np.asarray(w, np.int32)[None] for w in weights]
    block.add_synapse(synapse)
    axon = Axon(len(weights))
    axon.target = synapse
    axon.set_compartment_axon_map(np.arange(len(weights)))
    source.add_axon(axon)


if __name__ == "__main__":
    serve({"nengo-loihi": nengo_loihi.__version__, "nengo": nengo.__version__,
           "numpy": np.__version__}, Emulated)  # fmt: skip
