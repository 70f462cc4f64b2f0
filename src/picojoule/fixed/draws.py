"""Random numbers that depend on where and when they are used, and on nothing else.

Philox4x32-10 (Salmon et al., SC 2011): ten rounds over a counter of four words, keyed by two.
Every product stays below 2**49, so Python, numba and numpy agree without wrapping.
"""

from __future__ import annotations

import zlib

from picojoule.fixed.jit import jit

WORD = 0xFFFFFFFF
NOISE = 1  # stream: noise of neurons


@jit
def multiply(a: int, b: int) -> tuple[int, int]:
    """(high, low) 32 bits of a * b; both are 32-bit words."""
    upper, lower = a * (b >> 16), a * (b & 0xFFFF)
    low = (((upper & 0xFFFF) << 16) + lower) & WORD
    return (upper + (lower >> 16)) >> 16, low


@jit
def philox(key0: int, key1: int, c0: int, c1: int, c2: int, c3: int) -> tuple[int, int, int, int]:
    """N3: four random 32-bit words of one counter."""
    for _ in range(10):
        high0, low0 = multiply(c0, 0xD2511F53)
        high1, low1 = multiply(c2, 0xCD9E8D57)
        c0, c1, c2, c3 = high1 ^ c1 ^ key0, low1, high0 ^ c3 ^ key1, low0
        key0, key1 = (key0 + 0x9E3779B9) & WORD, (key1 + 0xBB67AE85) & WORD
    return c0, c1, c2, c3


def node_number(name: str) -> int:
    """N3: what a node is called in draws, a CRC-32 (ISO 3309) of its name in UTF-8.

    It depends on the name alone, so that nodes added elsewhere do not change the draws.
    """
    return zlib.crc32(name.encode())


@jit
def noise_draw(seed: int, node: int, sample: int, step: int, element: int) -> int:
    """N3: a number of -127..127 for one neuron of one sample in one step.

    node     `node_number` of the graph node that the neuron belongs to
    element  the neuron among all of its node, whatever core holds it
    """
    words = philox(seed, NOISE, node, sample, step, element >> 2)
    which = element & 3
    word = words[0] if which == 0 else words[1] if which == 1 else words[2]
    return ((words[3] if which == 3 else word) * 255 >> 32) - 127
