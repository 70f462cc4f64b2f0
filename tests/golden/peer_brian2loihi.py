"""Run our networks in Brian2Loihi and record what it computes."""

from __future__ import annotations

import brian2
import brian2_loihi
import numpy as np
from design import SpikingNet, save, spiking_arrays, spiking_head
from nets_brian2loihi import BRIAN2LOIHI

SIGN = {"mixed": 1, "excitatory": 2, "inhibitory": 3}
RECORDED = {
    "u": "after the input of the step, before it decays",
    "v": "end of the step, after reset",
    "spike": "packed bits",
}


def _groups(net: SpikingNet) -> dict:
    groups = {}
    for p in net.populations:
        one = [int(x[0]) for x in (p.v_th, p.decay_v, p.decay_u)]
        assert not p.bias.any()
        groups[p.name] = brian2_loihi.LoihiNeuronGroup(
            p.neurons, refractory=p.refractory, threshold_v_mant=one[0],
            decay_v=one[1], decay_I=one[2])  # fmt: skip
    return groups


def _synapses(net: SpikingNet, groups: dict) -> list:
    made = []
    for s in net.projections:
        part = brian2_loihi.LoihiSynapses(
            groups[s.source], groups[s.target], delay=s.delay, w_exp=s.exponent,
            sign_mode=SIGN[s.sign], num_weight_bits=s.bits)  # fmt: skip
        target, source = np.nonzero(s.weight)
        part.connect(i=source, j=target)
        part.w = s.weight[target, source]
        made.append(part)
    return made


def _record(net: SpikingNet) -> dict[str, np.ndarray]:
    groups = _groups(net)
    when, which = np.nonzero(net.raster)
    groups["input"] = brian2_loihi.LoihiSpikeGeneratorGroup(net.raster.shape[1], which, when)
    synapses = _synapses(net, groups)
    probes = {}
    for p in net.populations:
        probes[p.name, "u"] = brian2_loihi.LoihiStateMonitor(groups[p.name], "I")
        probes[p.name, "v"] = brian2_loihi.LoihiStateMonitor(groups[p.name], "v")
        probes[p.name, "spike"] = brian2_loihi.LoihiSpikeMonitor(groups[p.name])
    brian2_loihi.LoihiNetwork(*groups.values(), *synapses, *probes.values()).run(net.steps)
    found = {}
    for (name, what), probe in probes.items():
        if what != "spike":
            values = np.asarray(getattr(probe, "I" if what == "u" else "v")).T
            assert np.array_equal(values, np.rint(values))
            found[f"{name}.{what}"] = values.astype(np.int64)
            continue
        spikes = np.zeros((net.steps, groups[name].N), bool)
        steps = np.rint(np.asarray(probe.t_) * 1000).astype(int)  # its own `t` truncates
        spikes[steps, np.asarray(probe.i)] = True
        found[f"{name}.spike"] = spikes
    return found


def main() -> None:
    """Record every network."""
    brian2.prefs.codegen.target = "numpy"
    versions = {"brian2-loihi": "0.5.2", "brian2": brian2.__version__, "numpy": np.__version__}
    for build in BRIAN2LOIHI:
        net = build()
        head = {"peer": "brian2-loihi", "versions": versions, "profile": "brian2loihi",
                **spiking_head(net), "recorded": RECORDED}  # fmt: skip
        save(net.name, head, {**spiking_arrays(net), **_record(net)})
        print(net.name)
