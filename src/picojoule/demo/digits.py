"""The embedded real data set: 1,797 handwritten digits of 8x8 pixels, values 0..16."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TEST_SHARE = 0.2
SPLIT_SEED = 20261124


@dataclass(frozen=True)
class Split:
    """x float32 (n, 64) with values 0..16; y int64 (n,) with values 0..9."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


def digits() -> tuple[Split, Split]:
    """(training, test): a fixed split, stratified by class, 20 % for the test.

    Source: scikit-learn's load_digits, the test part of the UCI optical recognition of
    handwritten digits data set (Alpaydin and Kaynak, 1998).
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    rng = np.random.Generator(np.random.Philox(SPLIT_SEED))
    test = np.zeros(len(y), bool)
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(y == digit))
        test[members[: round(TEST_SHARE * len(members))]] = True
    x = x.astype(np.float32)
    y = y.astype(np.int64)
    order = rng.permutation(np.flatnonzero(~test))
    return Split(x[order], y[order]), Split(x[test], y[test])
