"""Named numeric profiles: the rules in which machines and their emulators differ, as data.

`docs/numerics.md` explains each field with a worked example and its source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

# what happens where a value leaves its width (docs/numerics.md, rule S4)
UNLIMITED, WRAP, CLIP, ODD = 0, 1, 2, 3

LAVA_KINDS = (
    "cuba", "cuba_reset", "ternary", "sigma_delta", "delta", "resonator", "resonator_iz", "atrlif",
    "product", "graded", "graded_relu", "integrator", "threshold",
)  # fmt: skip


@dataclass(frozen=True)
class SpikingProfile:
    """Arithmetic of spiking cores.  Widths are bits beside the sign.

    kinds         neuron kinds (`fixed.neurons.KINDS`) that the cores run
    exponent_on   what a negative weight exponent floors: each weight, or the sum of one group
    payload_bits  0: spikes are binary; else what a graded spike carries, sign included
    """

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
    bias_wraps: bool = True  # current plus bias has the width of the current
    weight_shift: int = 6  # one unit of effective weight is 2**6 units of u and v
    weight_floor: str = "mantissa"  # what S9 floors: the shifted mantissa, or "effective" weights
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
    exponent_on: Literal["synapse", "sum"] = "synapse"
    payload_bits: int = 0
    kinds: tuple[str, ...] = ("cuba",)

    @property
    def drive_mode(self) -> int:
        """How current plus bias is limited (S5)."""
        return self.u_mode if self.bias_wraps else UNLIMITED

    def shifts(self, exponent: int, shift: int) -> tuple[int, int]:
        """Exponent and shift of rule S9; where effective weights are floored they are one."""
        return (exponent + shift, 0) if self.weight_floor == "effective" else (exponent, shift)

    @property
    def state_bits(self) -> int:
        """Bits of a state word: 32, or 64 where nothing limits it."""
        return 32 if max(self.q_bits, self.u_bits, self.v_bits) < 31 else 64


# nengo-loihi 1.1.0 widths, offsets and bias; brian2-loihi 0.5.2 delays and refractory
# (DESIGN.md section 4); external events one step late as in the Loihi trace of the
# NIR paper (Pedersen et al. 2024, 01_lif/lif_lava_loihi_fixed.csv)
_LOIHI1 = SpikingProfile(
    name="loihi1",
    u_decay_offset=1,
    q_mode=WRAP,
    q_bits=21,
    u_mode=WRAP,
    u_bits=23,
    v_mode=CLIP,
    v_bits=23,
    input_delay=1,
)
# brian2-loihi 0.5.2, loihi_neuron_group.py and loihi_synapses.py
_BRIAN2LOIHI = SpikingProfile(
    name="brian2loihi",
    has_bias=False,
    weight_limit=2**21 - 64,
    refractory_max=64,
    decay_max=4096,
)
# nengo-loihi 1.1.0, emulator/interface.py: also noise and voltage limits, but no synaptic delays
_NENGO_LOIHI = replace(
    _LOIHI1,
    name="nengo_loihi",
    delay_max=0,
    weight_exponent_min=-7,
    weight_floor="effective",
    kinds=("cuba", "cuba_noise"),
)
# Lava b6822fbc, fixed-point process models; external events and offset as above
_LAVA = replace(
    _LOIHI1,
    name="lava",
    q_mode=UNLIMITED,
    q_bits=63,
    u_mode=ODD,
    bias_wraps=False,
    delay_max=63,
    refractory_max=1,
    exponent_on="sum",
    payload_bits=24,
    kinds=LAVA_KINDS,
)
# Lava's arithmetic on a machine whose spikes carry 32 bits and whose neurons can rest
_LOIHI2 = replace(_LAVA, name="loihi2", delay_max=62, refractory_max=63, payload_bits=32)

SPIKING: dict[str, SpikingProfile] = {
    profile.name: profile for profile in (_LOIHI1, _BRIAN2LOIHI, _NENGO_LOIHI, _LAVA, _LOIHI2)
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
