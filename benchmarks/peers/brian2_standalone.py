"""Brian2 in C++ standalone mode: doubles, one thread, its own program run once a turn."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, device, ms
from common.network import DECAY_V, KICK_EXPONENT, V_TH, Network, voltage_digest
from serve import serve

# the order of the machine: what arrives, the neurons, who fires, and the reset
SCHEDULE = ["start", "synapses", "groups", "thresholds", "resets", "end"]
EQUATIONS = """
v : 1
q : 1
bias : 1 (constant)
"""
# as floats would be written; `exact` adds the integers' rounding towards zero, in 1/64
UPDATES = {
    "float": "v = v * keep + q + bias\nq = 0",
    "exact": "v = int(v * keep * 64) / 64.0 + q + bias\nq = 0",
}
CLOCK = "benchmark_clock"
AFTER = f'std::FILE* found = std::fopen("{CLOCK}", "w"); std::fprintf(found, "%.9f", ' \
        "double(std::clock() - benchmark_start) / CLOCKS_PER_SEC); std::fclose(found);"  # fmt: skip


class Compiled:
    def __init__(self, network: Network, settings: dict[str, Any]) -> None:
        self._folder = tempfile.mkdtemp(prefix="brian2-")
        self._exact = settings["arithmetic"] == "exact"
        device.reinit()
        device.activate()
        brian2.set_device("cpp_standalone", build_on_run=False, directory=self._folder)
        brian2.prefs.codegen.cpp.headers += ["<ctime>", "<cstdio>"]
        brian2.prefs.core.default_float_dtype = np.dtype(settings["dtype"]).type
        brian2.defaultclock.dt = 1 * ms
        self._build(network, settings)

    def _build(self, network: Network, settings: dict[str, Any]) -> None:
        n = network.neurons
        names = {"keep": 1 - DECAY_V / 4096, "v_th": float(V_TH), "scale": 2.0**KICK_EXPONENT}
        self._group = NeuronGroup(n, EQUATIONS, threshold="v > v_th", reset="v = 0",
                                  namespace=names, method="exact")  # fmt: skip
        self._group.bias = network.bias
        self._group.run_regularly(UPDATES[settings["arithmetic"]], dt=1 * ms, when="groups")
        source = SpikeGeneratorGroup(1, [0], [0] * ms)
        weights = Synapses(self._group, self._group, "w : 1 (constant)", on_pre="q_post += w")
        rows = np.repeat(np.arange(n), np.diff(network.indptr))
        weights.connect(i=rows, j=network.target)
        weights.w = network.weight.astype(float)
        kick = Synapses(source, self._group, "w : 1 (constant)", on_pre="q_post += w * scale",
                        namespace=names)  # fmt: skip
        kick.connect(i=np.zeros(n, int), j=np.arange(n))
        kick.w = network.kick
        net = brian2.Network(self._group, source, weights, kick)
        net.schedule = SCHEDULE
        device.insert_code("main", "std::clock_t benchmark_start = std::clock();")
        net.run(settings["steps"] * ms)
        device.insert_code("main", AFTER)
        device.build(directory=self._folder, compile=True, run=False)

    def run(self, steps: int) -> dict[str, Any]:
        """The whole program again; only its last `steps` steps are timed."""
        device.run(self._folder, with_output=False, run_args=[])
        return {"seconds": float((Path(self._folder) / CLOCK).read_text())}

    def facts(self) -> dict[str, Any]:
        if not self._exact:
            return {}
        return {"voltage": voltage_digest(np.rint(np.asarray(self._group.v[:]) * 64))}

    def __del__(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


if __name__ == "__main__":
    os.chdir(tempfile.gettempdir())
    serve({"brian2": brian2.__version__, "numpy": np.__version__}, Compiled)
