"""lava-dl's recordings: whole `.net` networks layer by layer, and single blocks.

A folder holds `arrays.npz`, without a sidecar.  Arrays are laid out (width, height, channel,
step); steps run last.  `docs/conform.md` says for each known set of arrays what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from picojoule.conform import lava_dl_blocks, lava_dl_nets
from picojoule.conform.trial import Trial
from picojoule.conform.vector import Vector

# arrays that a kind cannot do without -> its reader; the first that fits
KINDS: tuple[tuple[frozenset[str], Callable[[Vector], Iterator[Trial]]], ...] = (
    (frozenset({"image", "input", "conv-0"}), lava_dl_nets.lif_trials),
    (frozenset({"act0", "input", "sigma1"}), lava_dl_nets.sdnn_trials),
    (frozenset({"input_bias", "layer1_kernel", "layer2_weight"}), lava_dl_blocks.sdnn_trials),
    (frozenset({"input_bias", "layer1_kernel", "current", "output"}), lava_dl_nets.tiny_trials),
    (frozenset({"weight_r", "weight_img", "in", "out"}), lava_dl_blocks.complex_trials),
    (frozenset({"weight", "in", "out", "current"}), lava_dl_blocks.dense_trials),
)


def known(vector: Vector) -> bool:
    """Whether the arrays are one of the known sets, and no sidecar claims another kind."""
    return "kind" not in vector.head and any(names <= _names(vector) for names, _ in KINDS)


def trials(vector: Vector) -> Iterator[Trial]:
    """The networks of a folder."""
    reader = next(reader for names, reader in KINDS if names <= _names(vector))
    return reader(vector)


def _names(vector: Vector) -> frozenset[str]:
    return frozenset(vector.arrays) | frozenset(vector.broken)
