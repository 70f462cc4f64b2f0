"""Named numeric profiles: the rules in which machines and their emulators differ, as data.

`docs/numerics.md` explains each field with a worked example and its source.
"""

from __future__ import annotations

from dataclasses import dataclass

# what happens where a value leaves its width (docs/numerics.md, rule S4)
UNLIMITED, WRAP, CLIP = 0, 1, 2


@dataclass(frozen=True)
class SpikingProfile:
    """Arithmetic of CUBA-LIF cores.  Widths are bits beside the sign."""

    name: str
    decay_bits: int = 12  # decays are in units of 2**-decay_bits
    u_decay_offset: int = 0  # the machine subtracts this much more from the current
    q_mode: int = UNLIMITED  # summed synaptic input of one step
    q_bits: int = 63
    u_mode: int = UNLIMITED  # current, and current plus bias
    u_bits: int = 63
    v_mode: int = UNLIMITED  # voltage
    v_bits: int = 63
    has_bias: bool = True
    weight_shift: int = 6  # one unit of effective weight is 2**6 units of u and v
    weight_limit: int = 0  # effective weights are clipped to +-limit; 0: never
    input_delay: int = 0  # an external event of step t acts in step t + this
    spike_delay: int = 1  # a spike of step t acts in step t + this + synaptic delay
    delay_max: int = 62
    refractory_max: int = 63
    decay_max: int = 4095
    v_th_max: int = 131071  # mantissa, times 2**weight_shift
    bias_mantissa_max: int = 4095
    bias_exponent_max: int = 7
    weight_exponent_min: int = -8
    weight_exponent_max: int = 7

    @property
    def state_bits(self) -> int:
        """Bits of a state word: 32, or 64 where nothing limits it."""
        return 32 if max(self.q_bits, self.u_bits, self.v_bits) < 31 else 64


SPIKING: dict[str, SpikingProfile] = {
    profile.name: profile
    for profile in (
        # nengo-loihi 1.1.0 widths, offsets and bias; brian2-loihi 0.5.2 delays and refractory
        # (DESIGN.md section 4); external events one step late as in the Loihi trace of the
        # NIR paper (Pedersen et al. 2024, 01_lif/lif_lava_loihi_fixed.csv)
        SpikingProfile(
            name="loihi1",
            u_decay_offset=1,
            q_mode=WRAP,
            q_bits=21,
            u_mode=WRAP,
            u_bits=23,
            v_mode=CLIP,
            v_bits=23,
            input_delay=1,
        ),
        # brian2-loihi 0.5.2, loihi_neuron_group.py and loihi_synapses.py
        SpikingProfile(
            name="brian2loihi",
            has_bias=False,
            weight_limit=2**21 - 64,
            refractory_max=64,
            decay_max=4096,
        ),
    )
}


@dataclass(frozen=True)
class TensorProfile:
    """Arithmetic of integer tensor machines: how accumulators return to few bits."""

    name: str
    multiplier_bits: int = 31
    accumulator_bits: int = 32
    weight_axis: int = 0


TENSOR: dict[str, TensorProfile] = {
    # TFLite reference kernels, TFLite-Micro, CMSIS-NN, Ethos-U (facts: accelerators 1.2, A)
    "double_round": TensorProfile(name="double_round"),
}
