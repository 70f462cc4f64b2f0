"""Attention in tiles, with a running softmax: memory grows with the length, not its square.

Source: Dao et al., "FlashAttention", NeurIPS 2022 (algorithms 1 and 4).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor, apply
from picojoule.kernels.pool import over_blocks

Array = np.ndarray
Grads = tuple[Array | None, ...]
TILE = 128


def _reach(i: int, n: int, causal: bool) -> int:
    """Keys, in whole tiles, that the tile of queries from i on may see."""
    return min(i + TILE, n) if causal else n


def _scores(q: Array, k: Array, diagonal: bool) -> Array:
    """q k^T of one tile; later keys are shut out of a tile on the diagonal."""
    scores = q @ k.T
    if diagonal:
        scores[np.triu_indices(len(q), 1, len(k))] = -np.inf
    return scores


def _head(q: Array, k: Array, v: Array, causal: bool, out: Array, norms: Array) -> None:
    """One head: q scaled, (n, d); k, v (m, d), (m, e); out (n, e), norms (2, n, 1), written.

    norms  largest score of each query, and the sum of exp(score - largest): kept apart, since
           their joint logarithm would round away what large sums have to say
    """
    for i in range(0, len(q), TILE):
        rows = slice(i, i + TILE)
        here = q[rows]
        most = np.full((len(here), 1), -np.inf, q.dtype)
        weight, total = np.zeros_like(most), np.zeros((len(here), v.shape[1]), q.dtype)
        for j in range(0, _reach(i, len(k), causal), TILE):
            p = _scores(here, k[j : j + TILE], causal and j == i)
            known, most = most, np.maximum(most, p.max(1, keepdims=True))
            np.exp(np.subtract(p, most, out=p), out=p)
            shrink = np.exp(known - most)
            weight = weight * shrink + p.sum(1, keepdims=True)
            total = total * shrink + p @ v[j : j + TILE]
        out[rows] = total / weight
        norms[0, rows], norms[1, rows] = most, weight


def _forward(causal: bool, q: Array, k: Array, v: Array) -> tuple[Array, Any]:
    scaled = q * q.dtype.type(q.shape[-1] ** -0.5)
    out = np.empty((*q.shape[:2], v.shape[2]), q.dtype)
    norms = np.empty((len(q), 2, q.shape[1], 1), q.dtype)

    def work(h: int, _: int) -> None:
        _head(scaled[h], k[h], v[h], causal, out[h], norms[h])

    over_blocks(len(q), None, work, 1)
    return out, (causal, scaled, k, v, out, norms)


def _head_gradient(
    g: Array, q: Array, k: Array, v: Array, out: Array, norms: Array, causal: bool
) -> tuple[Array, Array, Array]:
    """Gradients of scaled q, of k and of v of one head; weights come again from `norms`."""
    of_q, of_k, of_v = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    inner = (g * out).sum(1, keepdims=True)
    for i in range(0, len(q), TILE):
        rows = slice(i, i + TILE)
        for j in range(0, _reach(i, len(k), causal), TILE):
            columns = slice(j, j + TILE)
            p = _scores(q[rows], k[columns], causal and j == i)
            np.exp(np.subtract(p, norms[0, rows], out=p), out=p)
            p /= norms[1, rows]
            of_v[columns] += p.T @ g[rows]
            of_p = g[rows] @ v[columns].T
            # with all weights at hand their own mean is closer than that through `out`
            alone = _reach(i, len(k), causal) <= TILE
            of_p -= (of_p * p).sum(1, keepdims=True) if alone else inner[rows]
            of_p *= p
            of_q[rows] += of_p @ k[columns]
            of_k[columns] += of_p.T @ q[rows]
    return of_q, of_k, of_v


def _vjp(saved: Any, g: Array) -> Grads:
    causal, q, k, v, out, norms = saved

    def work(h: int, _: int) -> tuple[Array, Array, Array]:
        return _head_gradient(g[h], q[h], k[h], v[h], out[h], norms[h], causal)

    heads = over_blocks(len(q), None, work, 1)
    of_q, of_k, of_v = (np.stack([head[part] for head in heads]) for part in range(3))
    of_q *= q.dtype.type(q.shape[-1] ** -0.5)
    return of_q, of_k, of_v


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for each head.

    q (heads, n, d), k (heads, m, d), v (heads, m, e), of one dtype, to (heads, n, e)
    causal  query i sees keys 0..i only; then n = m
    Raises ValueError where shapes do not fit.
    """
    fits = q.shape[::2] == k.shape[::2] and k.shape[:2] == v.shape[:2]
    if not fits or (causal and q.shape[1] != k.shape[1]):
        raise ValueError(f"attention of q {q.shape}, k {k.shape}, v {v.shape} does not fit")
    return apply(partial(_forward, causal), _vjp, q, k, v)
