"""Samples in batches: shuffled, augmented, from memory or streamed, in an order of a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from picojoule.errors import Fault, TrainError, UsageError
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.train.model import samples_of
from picojoule.train.options import Augment

Array = np.ndarray
Batch = tuple[Array, Array]
SHUFFLE, AUGMENT = 1, 2  # streams of random numbers


@dataclass(frozen=True, eq=False)
class Stream:
    """Labelled samples that memory does not hold at once, in chunks.

    read     number of a chunk, 0..chunks - 1 -> (samples, labels)
    samples  of all chunks together
    """

    read: Callable[[int], Batch]
    chunks: int
    samples: int


@dataclass(frozen=True, eq=False)
class Batches:
    """Labelled samples of a graph, batch after batch.

    Order and augmentation depend on seed and epoch alone: an epoch is the same in a training
    that was resumed.  A stream is shuffled by chunks, and within each chunk.
    """

    graph: Graph
    source: Stream
    size: int
    seed: int
    augment: Augment | None = None
    shuffle: bool = True

    def __len__(self) -> int:
        return -(-self.source.samples // self.size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of one pass; only the last may be smaller.

        Raises TrainError PJ702, UsageError PJ802 or PJ803 for a chunk that cannot be learned.
        """
        order = random_of(self.seed, SHUFFLE, number)
        random = random_of(self.seed, AUGMENT, number)
        for x, y in self._cut(order):
            yield (x if self.augment is None else self.augment(x, random)), y

    def _cut(self, order: np.random.Generator) -> Iterator[Batch]:
        one = self.source.chunks == 1
        chunks = order.permutation(self.source.chunks) if self.shuffle and not one else None
        left: list[Batch] = []
        for k in range(self.source.chunks):
            x, y = self.source.read(k if chunks is None else int(chunks[k]))
            if not one:
                check_data(self.graph, x, y)
                x, y = samples_of(self.graph, x), np.asarray(y)
            yield from self._of_chunk(x, y, order, left)
        if left:
            yield _joined(left)

    def _of_chunk(
        self, x: Array, y: Array, order: np.random.Generator, left: list[Batch]
    ) -> Iterator[Batch]:
        """Whole batches; what is over waits in `left` for the next chunk."""
        ranks = order.permutation(len(y)) if self.shuffle else np.arange(len(y))
        at = 0
        while at < len(y):
            room = self.size - sum(len(part[1]) for part in left)
            chosen = ranks[at : at + room]
            at += room
            left.append((x[chosen], y[chosen]))
            if len(chosen) == room:
                yield _joined(left)
                left.clear()


def _joined(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def batches(
    graph: Graph, x: Array | Events | Stream, y: Array | None, *, size: int, seed: int,
    augment: Augment | None = None, shuffle: bool = True,
) -> Batches:  # fmt: skip
    """Check labelled samples, or a stream of them (y is then None), and put them in batches.

    Raises TrainError PJ702, UsageError PJ802 or PJ803 for data that cannot be learned.
    """
    if isinstance(x, Stream):
        if x.chunks < 1 or x.samples < 1:
            raise UsageError(Fault("PJ803", "there are no samples to train on"))
        return Batches(graph, x, size, seed, augment, shuffle)
    labels = np.asarray(y)
    check_data(graph, x, labels)
    samples = samples_of(graph, x)
    source = Stream(lambda _: (samples, labels), 1, len(labels))
    return Batches(graph, source, size, seed, augment, shuffle)


def random_of(seed: int, stream: int, epoch: int) -> np.random.Generator:
    """Random numbers of one use in one epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, (stream << 32) + epoch]))


def check_data(graph: Graph, x: Array | Events, y: Array) -> None:
    """Raises TrainError PJ702, UsageError PJ802 or PJ803 for data that cannot be learned."""
    y = np.asarray(y)
    if len(y) == 0:
        raise UsageError(Fault("PJ803", "there are no samples to train on"))
    count = x.samples if isinstance(x, Events) else len(x)
    if count != len(y):
        raise UsageError(Fault("PJ802", f"{count} samples, but {len(y)} labels"))
    classes = graph.types[graph.output].size
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= classes:
        raise TrainError(Fault(
            "PJ702", f"labels must be integers 0..{classes - 1}, found {y.min()}..{y.max()}",
            where=f"output {graph.output!r} has {classes} values",
        ))  # fmt: skip
