"""Brian2Loihi: the network with an input that stands for the bias, which it does not have."""

from __future__ import annotations

import time
from typing import Any

import brian2
import brian2_loihi
import numpy as np
from common.network import DECAY_V, KICK_EXPONENT, V_TH, Network, voltage_digest
from serve import serve

MIXED, EXCITATORY = 1, 2


class Emulated:
    def __init__(self, network: Network, settings: dict[str, Any]) -> None:
        brian2.prefs.codegen.target = settings["codegen"]
        n, last = network.neurons, settings["steps"]
        when = np.concatenate([np.arange(last), [0]])
        which = np.concatenate([np.zeros(last, int), [1]])
        source = brian2_loihi.LoihiSpikeGeneratorGroup(2, which, when)
        self._group = brian2_loihi.LoihiNeuronGroup(
            n, refractory=1, threshold_v_mant=V_TH, decay_v=DECAY_V, decay_I=4096
        )
        rows = np.repeat(np.arange(n), np.diff(network.indptr))
        parts = [self._synapses(self._group, MIXED, 0, rows, network.target, network.weight)]
        drive = network.bias >> network.exponent
        for channel, weight, exponent in (
            (0, drive, network.exponent), (1, network.kick, KICK_EXPONENT)):  # fmt: skip
            at = np.full(n, channel)
            parts.append(self._synapses(source, EXCITATORY, exponent, at, np.arange(n), weight))
        self._network = brian2_loihi.LoihiNetwork(source, self._group, *parts)
        self._network.store()

    def _synapses(self, source: Any, sign: int, exponent: int, rows, targets, weight) -> Any:
        part = brian2_loihi.LoihiSynapses(
            source, self._group, delay=0, w_exp=exponent, sign_mode=sign, num_weight_bits=8
        )
        part.connect(i=rows, j=targets)
        part.w = weight.astype(np.int64)
        return part

    def run(self, steps: int) -> dict[str, Any]:
        """From the start each time: a second `run` would drop the spikes under way."""
        self._network.restore()
        start = time.process_time()
        self._network.run(steps)
        return {"seconds": time.process_time() - start}

    def facts(self) -> dict[str, Any]:
        return {"voltage": voltage_digest(np.asarray(self._group.v))}


if __name__ == "__main__":
    serve({"brian2-loihi": "0.5.2", "brian2": brian2.__version__, "numpy": np.__version__},
          Emulated)  # fmt: skip
