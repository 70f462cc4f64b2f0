"""torch, and what is built on it, in the training benchmark; run by benchmarks/training.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from common.training_cases import CHANNELS, CLASSES, HIDDEN, KEEP, SHARPNESS, TAPE_LENGTH, arrays_of
from steps import Step, serve

warnings.filterwarnings("ignore")
Arrays = dict[str, np.ndarray]
F = torch.nn.functional


def leaves(arrays: Arrays, *names: str) -> dict[str, torch.Tensor]:
    """Parameters that want a gradient."""
    return {name: torch.from_numpy(arrays[name].copy()).requires_grad_() for name in names}


def step_of(
    parameters: dict[str, torch.Tensor], loss: Callable[[], Any], after: Any = None
) -> Step:
    """Forward and backward, then `after`; gradients afresh each time."""

    def step() -> tuple[float, dict[str, Any]]:
        for p in parameters.values():
            p.grad = None
        out = loss()
        out.backward()
        if after is not None:
            after()
        return out.item(), {name: p.grad.numpy() for name, p in parameters.items()}

    return step


def mlp(arrays: Arrays, variant: str) -> Step:
    p = leaves(arrays, *(f"{kind}{k}" for k in range(3) for kind in "wb"))
    x, labels = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["labels"])

    def loss() -> torch.Tensor:
        h = F.relu(F.linear(x, p["w0"], p["b0"]))
        h = F.relu(F.linear(h, p["w1"], p["b1"]))
        return F.cross_entropy(F.linear(h, p["w2"], p["b2"]), labels)

    adam = torch.optim.Adam(p.values(), lr=1e-3, fused=True)
    return step_of(p, torch.compile(loss) if variant == "torch.compile" else loss, adam.step)


def cnn(arrays: Arrays, variant: str) -> Step:
    p = leaves(arrays, *(f"{kind}{k}" for k in range(4) for kind in "wb"))
    x = torch.from_numpy(arrays["x"]).permute(0, 3, 1, 2).contiguous()
    if variant != "torch NCHW":
        x = x.to(memory_format=torch.channels_last)
        for k in range(3):
            w = p[f"w{k}"].detach().to(memory_format=torch.channels_last)
            p[f"w{k}"] = w.requires_grad_()
    labels = torch.from_numpy(arrays["labels"])

    def loss() -> torch.Tensor:
        h = x
        for k in range(3):
            h = F.relu(F.conv2d(h, p[f"w{k}"], p[f"b{k}"], padding=1))
            h = F.max_pool2d(h, 2) if k < 2 else h
        return F.cross_entropy(F.linear(h.mean((2, 3)), p["w3"], p["b3"]), labels)

    return step_of(p, torch.compile(loss) if variant == "torch.compile" else loss)


def qat(arrays: Arrays, variant: str) -> Step:
    """Brevitas with weights and activations of 4 bits, input of 8; or the float network."""
    if variant != "brevitas":
        return cnn(arrays, variant)
    from brevitas import nn as quantized

    layers: list[torch.nn.Module] = [quantized.QuantIdentity(bit_width=8)]
    for k, (n, m) in enumerate(pairwise(CHANNELS)):
        layers.append(quantized.QuantConv2d(n, m, 3, padding=1, weight_bit_width=4))
        layers.append(quantized.QuantReLU(bit_width=4))
        layers += [torch.nn.MaxPool2d(2)] if k < 2 else []
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    layers.append(quantized.QuantLinear(CHANNELS[-1], 10, True, weight_bit_width=4))
    net = torch.nn.Sequential(*layers).to(memory_format=torch.channels_last).train()
    x = torch.from_numpy(arrays["x"]).permute(0, 3, 1, 2)
    labels = torch.from_numpy(arrays["labels"])
    for _ in range(310):  # the statistics phase; scales are learned parameters from there
        net(x)
    return step_of(dict(net.named_parameters()), lambda: F.cross_entropy(net(x), labels))


def lsq(arrays: Arrays, variant: str) -> Step:
    x = torch.from_numpy(arrays["x"]).requires_grad_()
    g, step = torch.from_numpy(arrays["g"]), leaves(arrays, "step")["step"]
    low, high = -8, 7
    scale = (x.numel() * high) ** -0.5
    if variant == "brevitas":
        return _brevitas(x, g)

    def composed() -> torch.Tensor:
        s = step * scale + (step - step * scale).detach()
        v = torch.clamp(x / s, low, high)
        return ((v.round() - v).detach() + v) * s

    def built_in() -> torch.Tensor:
        zero = torch.zeros(1)
        return torch._fake_quantize_learnable_per_tensor_affine(x, step, zero, low, high, scale)

    forward = composed if variant == "torch composed" else built_in

    def run() -> tuple[float, dict[str, Any]]:
        x.grad = step.grad = None
        out = forward()
        out.backward(g)
        return 0.0, {"x": x.grad.numpy(), "step": step.grad.numpy()}

    return run


def _brevitas(x: torch.Tensor, g: torch.Tensor) -> Step:
    from brevitas.nn import QuantIdentity
    from brevitas.quant import Int8ActPerTensorFloat

    layer = QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=4).train()
    for _ in range(310):  # its statistics phase; the scale is a learned parameter from there
        layer(x.detach())

    def run() -> tuple[float, dict[str, Any]]:
        x.grad = None
        for p in layer.parameters():
            p.grad = None
        layer(x).backward(g)
        return 0.0, {}

    return run


def tape(arrays: Arrays, variant: str) -> Step:
    p = leaves(arrays, "x", "a")

    def loss() -> torch.Tensor:
        r = p["x"]
        for _ in range(TAPE_LENGTH // 2):
            r = r * p["a"] + p["x"]
        return r.sum()

    return step_of(p, loss)


class Spike(torch.autograd.Function):
    """A step, with the slope of a fast sigmoid."""

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(u)
        return (u > 0).float()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (u,) = ctx.saved_tensors
        return g / (1 + SHARPNESS * u.abs()) ** 2


def snn(arrays: Arrays, variant: str) -> Step:
    p = leaves(arrays, "w_in", "v_rec", "w_out")
    x, labels = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["labels"])
    loss = SPIKING[variant]
    return step_of(p, lambda: F.cross_entropy(loss(p, x), labels))


def _spikes_torch(p: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Mean voltage of the readout; the input's product for all steps at once."""
    steps, batch, _ = x.shape
    current = (x.reshape(steps * batch, -1) @ p["w_in"]).reshape(steps, batch, HIDDEN)
    v = s = torch.zeros(batch, HIDDEN)
    many = []
    for t in range(steps):
        v = torch.addmm(torch.addcmul(current[t], v, 1 - s.detach(), value=KEEP), s, p["v_rec"])
        s = Spike.apply(v - 1.0)
        many.append(s)
    r = torch.stack(many) @ p["w_out"]
    o, total = torch.zeros_like(r[0]), 0
    for t in range(steps):
        o = KEEP * o + r[t]
        total = total + o
    return total / steps


def _spikes_by_step(p: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The same, one step after the other."""
    v = s = torch.zeros(x.shape[1], HIDDEN)
    o, total = torch.zeros(x.shape[1], CLASSES), 0
    for t in range(len(x)):
        v = KEEP * v * (1 - s.detach()) + x[t] @ p["w_in"] + s @ p["v_rec"]
        s = Spike.apply(v - 1.0)
        o = KEEP * o + s @ p["w_out"]
        total = total + o
    return total / len(x)


def _in_steps(p: dict[str, torch.Tensor], x: torch.Tensor, cell: Any, out: Any) -> torch.Tensor:
    """The same through cells of a library: cell(input, spikes) and out(input)."""
    s, total = torch.zeros(x.shape[1], HIDDEN), 0
    for t in range(len(x)):
        s = cell(x[t] @ p["w_in"] + s @ p["v_rec"], s)
        total = total + out(s @ p["w_out"])
    return total / len(x)


def _spikes_snntorch(p: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    import snntorch

    slope = snntorch.surrogate.fast_sigmoid(slope=SHARPNESS)
    lif = snntorch.Leaky(beta=KEEP, spike_grad=slope, reset_mechanism="none")
    readout = snntorch.Leaky(beta=KEEP, spike_grad=slope, reset_mechanism="none")
    held = {"v": torch.zeros(x.shape[1], HIDDEN), "o": torch.zeros(x.shape[1], CLASSES)}

    def cell(current: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        s, held["v"] = lif(current, held["v"] * (1 - s.detach()))  # reset to zero
        return s

    def out(current: torch.Tensor) -> torch.Tensor:
        held["o"] = readout(current, held["o"])[1]
        return held["o"]

    return _in_steps(p, x, cell, out)


def _spikes_norse(p: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    import norse.torch as norse

    lif = norse.LIFCell(p=norse.LIFParameters(alpha=torch.tensor(SHARPNESS)))
    readout, held = norse.LICell(), {"v": None, "o": None}

    def cell(current: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        s, held["v"] = lif(current, held["v"])
        return s

    def out(current: torch.Tensor) -> torch.Tensor:
        o, held["o"] = readout(current, held["o"])
        return o

    return _in_steps(p, x, cell, out)


def _spikes_spikingjelly(p: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    from spikingjelly.activation_based import neuron, surrogate

    lif = neuron.LIFNode(
        tau=1 / (1 - KEEP), decay_input=False, v_reset=0.0, detach_reset=True,
        surrogate_function=surrogate.Sigmoid(), step_mode="s",
    )  # fmt: skip
    return _in_steps(p, x, lambda current, _: lif(current), lambda current: current)


SPIKING = {
    "torch": _spikes_torch, "torch per step": _spikes_by_step, "snntorch": _spikes_snntorch,
    "norse": _spikes_norse, "spikingjelly": _spikes_spikingjelly,
}  # fmt: skip
BUILDERS = {"mlp": mlp, "cnn": cnn, "qat": qat, "lsq": lsq, "tape": tape, "snn64": snn, "snn8": snn}
PACKAGES = {"brevitas": "brevitas", "snntorch": "snntorch", "norse": "norse",
            "spikingjelly": "spikingjelly"}  # fmt: skip


def build(case: str, variant: str, threads: int) -> tuple[Step, dict[str, str]]:
    """A step of a case, and the versions of what runs it."""
    torch.set_num_threads(threads)
    names = ["torch", *([PACKAGES[variant]] if variant in PACKAGES else [])]
    return BUILDERS[case](arrays_of(case), variant), {name: version(name) for name in names}


if __name__ == "__main__":
    serve(build)
