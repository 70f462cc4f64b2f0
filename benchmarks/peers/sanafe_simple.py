"""SANA-FE with its own model of Loihi and timing model `simple`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import sanafe
from common.network import DECAY_V, KICK_EXPONENT, V_TH, Network
from serve import serve


class Simulated:
    def __init__(self, network: Network, settings: dict[str, Any]) -> None:
        n, each = network.neurons, settings["neurons_per_core"]
        arch = sanafe.load_loihi()
        cores = arch.cores()
        net = sanafe.Network()
        group = net.create_neuron_group(
            "lif", n, soma_hw_name="loihi_lif",
            model_attributes={"threshold": float(V_TH), "reset": 0.0, "input_decay": 0.0,
                              "leak_decay": 1 - DECAY_V / 4096},
        )  # fmt: skip
        for i, bias in enumerate(network.bias.tolist()):
            group[i].set_attributes(model_attributes={"bias": float(bias)})
            group[i].map_to_core(cores[i // each])
        source = net.create_neuron_group("kick", 1, soma_hw_name="loihi_inputs[0]",
                                         model_attributes={"spikes": [1]})  # fmt: skip
        source[0].map_to_core(cores[0])
        rows = np.repeat(np.arange(n), np.diff(network.indptr)).tolist()
        pairs = list(zip(rows, network.target.tolist()))
        weight = network.weight.astype(float).tolist()
        group.connect_neurons_sparse(group, {"weight": weight}, pairs)
        kick = (network.kick.astype(float) * 2**KICK_EXPONENT).tolist()
        source.connect_neurons_sparse(group, {"weight": kick}, [(0, i) for i in range(n)])
        self._chip = sanafe.SpikingChip(arch)
        self._chip.load(net)
        self._fired = 0

    def run(self, steps: int) -> None:
        found = self._chip.sim(steps, timing_model="simple", processing_threads=1,
                               scheduler_threads=0)  # fmt: skip
        self._fired += found["neurons_fired"]

    def facts(self) -> dict[str, Any]:
        return {"fired": self._fired - 1}  # without the neuron that kicks


if __name__ == "__main__":
    serve({"sanafe": version("sanafe"), "numpy": np.__version__}, Simulated)
