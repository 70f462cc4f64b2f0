"""Neuron kinds as data.

A kind is an opcode of a Program; adding one adds an entry to KINDS, a scalar definition in
`fixed.dynamics`, a loop in `kernels.neurons` and an independent twin in `sim.reference_neurons`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NeuronKind:
    """What a population of a kind keeps and takes.

    currents   dendritic accumulators (1 or 2) that synapses add to
    state      state words, one a neuron; zero at the start of a sample, except `start`
    registers  one integer, or one a neuron
    options    integers of a whole population
    graded     spikes carry a payload
    raw        accumulators hold plain sums: weights are not shifted by `weight_shift`
    start      (state word, register) that it starts from, shifted like a threshold
    """

    name: str
    currents: int
    state: tuple[str, ...]
    registers: tuple[str, ...]
    options: tuple[str, ...]
    graded: bool = False
    raw: bool = False
    start: tuple[tuple[str, str], ...] = ()


_CUBA = ("decay_u", "decay_v", "v_th", "bias")
_RESONATOR = (("re", "im"), ("sin", "cos", "v_th"), ("decay_bits", "state_exponent"))

# fmt: off
KINDS: dict[str, NeuronKind] = {kind.name: kind for kind in (
    NeuronKind("cuba", 1, ("u", "v", "wait"), _CUBA, ("bias_exponent", "refractory")),
    NeuronKind("cuba_noise", 1, ("u", "v", "wait"), (*_CUBA, "v_low", "v_high", "noise_on"),
               ("bias_exponent", "refractory", "noise_exponent", "noise_offset", "noise_on_v")),
    NeuronKind("cuba_reset", 1, ("u", "v", "wait"), _CUBA,
               ("bias_exponent", "refractory", "reset_interval", "reset_offset")),
    NeuronKind("ternary", 1, ("u", "v"), ("decay_u", "decay_v", "v_th_high", "v_th_low", "bias"),
               ("bias_exponent",), graded=True),
    NeuronKind("sigma_delta", 1, ("sigma", "act", "residue", "error"), ("v_th", "bias"),
               ("spike_exponent", "state_exponent", "cumulative", "corrected"),
               graded=True, raw=True),
    NeuronKind("delta", 1, ("act", "residue"), ("v_th",), ("spike_exponent", "state_exponent"),
               graded=True, raw=True),
    NeuronKind("resonator", 2, *_RESONATOR, raw=True),
    NeuronKind("resonator_iz", 2, *_RESONATOR, raw=True),
    NeuronKind("atrlif", 1, ("i", "v", "theta", "r"),
               ("decay_i", "decay_v", "decay_theta", "decay_r", "theta_0", "theta_step", "bias"),
               ("bias_exponent",), start=(("theta", "theta_0"),)),
    NeuronKind("product", 2, (), ("v_th",), ("exponent",), graded=True, raw=True),
    NeuronKind("graded", 1, (), ("v_th",), (), graded=True, raw=True),
    NeuronKind("graded_relu", 1, (), ("v_th",), (), graded=True, raw=True),
    NeuronKind("integrator", 1, ("u", "v"), ("decay_u", "decay_v", "bias"), ("bias_exponent",),
               graded=True),
    NeuronKind("threshold", 1, (), ("v_th",), (), raw=True),
)}
# fmt: on
