"""The benchmark's network as a Program of one core, with and without a bias register."""

from __future__ import annotations

import numpy as np

from common.network import DECAY_V, DRIVE, KICK, KICK_EXPONENT, V_TH, Network
from picojoule.fixed.contract import Encoder, Events, Readout
from picojoule.fixed.format import Format
from picojoule.program import Instruction, Program, Region, Source, Span

BIT, INT24 = Format(1, signed=False), Format(24)
ALL_OF_U = {"loihi1": 4095, "brian2loihi": 4096}  # the decay that leaves nothing


def program_of(network: Network, profile: str = "loihi1") -> Program:
    """The network on one core.  Profile brian2loihi has no bias: input DRIVE stands for it."""
    n, core = network.neurons, 0
    state = INT24 if profile == "loihi1" else Format(64)
    regions = {
        "events": Region("host", -1, BIT, (2,), "input"),
        "label": Region("host", -1, BIT, (n,), "output"),
        "in": Region("axon", core, BIT, (2,), "buffer"),
        "rec": Region("axon", core, BIT, (n,), "buffer"),
        "q": Region("state", core, state, (n,), "buffer"),
        "spike": Region("state", core, BIT, (n,), "buffer"),
    }
    regions |= {w: Region("state", core, state, (n,), "state") for w in ("u", "v", "wait")}
    arrays = _arrays(network, profile)
    for name, array in arrays.items():
        form = Format(8 * array.itemsize)
        regions[name] = Region("const", core, form, array.shape, "const")
    return Program(
        name="bench", target="none", machine="00", kind="spiking", profile=profile,
        regions=regions, arrays=arrays, steps=1, instructions=_instructions(network, regions),
        encoder=Encoder(kind="events", shape=(2,)), readout=Readout(kind="none"),
        source=(Source("v", 0, n, "lif", "v"),),
    )  # fmt: skip


def _arrays(network: Network, profile: str) -> dict[str, np.ndarray]:
    native = profile == "loihi1"
    mantissa = network.bias >> network.exponent
    registers = {"decay_u": [ALL_OF_U[profile]], "decay_v": [DECAY_V], "v_th": [V_TH],
                 "bias": network.bias if native else [0]}  # fmt: skip
    arrays = {name: np.asarray(value, np.int32) for name, value in registers.items()}
    drive = np.zeros_like(mantissa) if native else mantissa
    arrays |= {"w_drive": drive[None].astype(np.int16), "w_kick": network.kick[None]}
    arrays["w_kick"] = arrays["w_kick"].astype(np.int16)
    rows = {"indptr": network.indptr.astype(np.int32), "target": network.target}
    return arrays | rows | {"weight": network.weight}


def _instructions(network: Network, regions: dict[str, Region]) -> tuple[Instruction, ...]:
    at = {name: Span(name, 0, region.shape[0]) for name, region in regions.items()}
    at |= {"drive": Span("in", DRIVE, DRIVE + 1), "kick": Span("in", KICK, KICK + 1)}

    def instruction(op: str, reads: str, writes: str, *args: int) -> Instruction:
        spans = (tuple(at[name] for name in names.split()) for names in (reads, writes))
        return Instruction(op=op, core=0, reads=next(spans), writes=next(spans), args=args)

    late = 1 if "bias" in regions and regions["bias"].shape[0] > 1 else 0
    bias = 6 if late else 0  # the register counts 1/64 of a weight's unit
    return (
        instruction("input", "events", "in", late),
        instruction("deliver_dense", "drive w_drive", "q", network.exponent),
        instruction("deliver_dense", "kick w_kick", "q", KICK_EXPONENT),
        instruction("deliver_sparse", "rec indptr target weight", "q", 0),
        instruction("cuba", "decay_u decay_v v_th bias", "q u v wait spike", bias, 1),
        instruction("route", "spike", "rec", 1, 0, 0),
        instruction("output", "spike", "label"),
    )


def events_of(profile: str, steps: int, first: bool) -> Events:
    """The kick, in the first step of the first turn; in each step the drive, if it needs one."""
    raster = np.zeros((1, steps, 2), bool)
    raster[:, :, DRIVE] = profile != "loihi1"
    raster[0, 0, KICK] = first
    indptr = np.concatenate([[0], np.cumsum(raster.sum(axis=(0, 2)))])
    return Events(indptr, np.nonzero(raster[0])[1].astype(np.int32), 1, steps, 2)
