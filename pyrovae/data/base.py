"""Data: one split, read in batches.

A batch is a dict of tensors: `x`, always `index` (which datum each row is), and where present `y`
(labels: class codes with -1 for unknown, or real numbers with NaN for unknown) and `observed`
(which entries of x are known).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

KEYS = ("x", "y", "observed")
UNLABELLED = -1

_LOOKED = 256  # rows read in one go for their labels


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """How one epoch is read.

    Arguments:
        batch_size: the number of rows of a batch.
        order: the data in the order they are read, of shape `[N]`; None for a stream.
        seed: what worker processes are seeded with.
        device: where batches go; None leaves them where the data are.
        start: the number of the first batch.
    """

    batch_size: int
    order: Tensor | None
    seed: int
    device: torch.device | None
    start: int


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one process gets of a batch.

    Arguments:
        batch: its rows; None where there are fewer rows than processes, and none for this one.
        size: the number of rows of the whole batch.
    """

    batch: dict[str, Tensor] | None
    size: int

    @property
    def rows(self) -> int:
        """The number of rows of this share."""
        return 0 if self.batch is None else len(self.batch["x"])


class Data(ABC):
    """One split of a data set.

    Every implementation says in `description`, in words for a report, what the data are.
    """

    description: str = ""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of data; a stream raises `TypeError`."""

    @property
    @abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one x as a batch shows it."""

    @property
    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """The keys of a batch, "index" last."""

    def labels(self) -> Tensor | None:
        """Return y of all rows in order, unknown ones included; None without labels.

        Data that do not hold them are read once for it.
        """
        if "y" not in self.keys:
            return None
        return torch.cat([batch["y"] for batch in self.batches(batch_size=_LOOKED)])

    @property
    def sized(self) -> bool:
        """Whether the number of data is known; a stream has none and is never shuffled."""
        return True

    def steps(self, batch_size: int) -> int:
        """Return the number of batches of one epoch, a smaller last one included."""
        check_count("batch_size", batch_size, least=1)
        return -(-len(self) // batch_size)

    def batches(
        self,
        *,
        batch_size: int,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        start: int = 0,
    ) -> Iterator[dict[str, Tensor]]:
        """Return one epoch of batches; the smaller last batch is kept.

        The order is drawn when this method is called, not when the first batch is read.

        Arguments:
            batch_size: the number of rows.
            generator: a CPU generator to draw a permutation from; None reads in order.
            device: where the batches go; None leaves them where the data are.
            start: how many batches to skip, of the same order: for resuming within an epoch.

        Raises:
            TypeError: a number is not an integer.
            ValueError: `batch_size` is below one, or `start` below zero.
        """
        return self._read(
            self._epoch(batch_size=batch_size, generator=generator, device=device, start=start)
        )

    def _epoch(
        self,
        *,
        batch_size: int,
        generator: torch.Generator | None,
        device: torch.device | str | None,
        start: int,
    ) -> Epoch:
        """Return how an epoch is read, its order drawn from the generator."""
        check_count("batch_size", batch_size, least=1)
        check_count("start", start, least=0)
        order = None
        if self.sized:
            count = len(self)
            order = (
                torch.arange(count)
                if generator is None
                else torch.randperm(count, generator=generator)
            )
        seed = 0 if generator is None else int(torch.randint(2**62, (), generator=generator))
        place = None if device is None else torch.device(device)
        return Epoch(batch_size=batch_size, order=order, seed=seed, device=place, start=start)

    def shares(
        self,
        *,
        batch_size: int,
        part: int = 0,
        parts: int = 1,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        start: int = 0,
    ) -> Iterator[Share]:
        """Return one process's share of one epoch of batches: every `parts`-th row of each.

        Together the shares are the batches that `batches` returns for the same arguments. Of data
        of a known number only the rows of the share are read; a stream is read whole by each
        process and must bring the same items to all of them.

        Arguments:
            batch_size: the number of rows of the whole batch.
            part: which share, from 0.
            parts: how many processes share a batch.
            generator: as for `batches`; of the same seed in all processes.
            device: as for `batches`.
            start: as for `batches`.

        Raises:
            TypeError: a number is not an integer.
            ValueError: a number is out of range.

        Example:
            >>> from pyrovae.data import TensorData
            >>> data = TensorData({"x": torch.zeros(5, 2)})
            >>> shares = data.shares(batch_size=4, part=1, parts=2)
            >>> [(None if s.batch is None else s.batch["index"].tolist(), s.size) for s in shares]
            [([1, 3], 4), (None, 1)]
        """
        check_count("part", part, least=0)
        check_count("parts", parts, least=part + 1)
        epoch = self._epoch(batch_size=batch_size, generator=generator, device=device, start=start)
        if parts == 1:
            return (Share(batch=batch, size=len(batch["x"])) for batch in self._read(epoch))
        return self._shared(epoch, part, parts)

    def _shared(self, epoch: Epoch, part: int, parts: int) -> Iterator[Share]:
        """Yield a share of each batch of an epoch."""
        if epoch.order is None:
            for batch in self._read(epoch):
                size = len(batch["x"])
                own = {key: value[part::parts] for key, value in batch.items()}
                yield Share(batch=own if part < size else None, size=size)
            return
        wholes = torch.split(epoch.order, epoch.batch_size)
        chunks = [whole[part::parts] for whole in wholes]
        rows = len(chunks[0]) if chunks else 0
        batches: Iterator[dict[str, Tensor]] = iter(())
        if rows:
            own_epoch = replace(
                epoch,
                batch_size=rows,
                order=torch.cat(chunks),
                seed=(epoch.seed + part) % 2**62,  # workers of two processes draw differently
            )
            batches = self._read(own_epoch)
        for whole, chunk in list(zip(wholes, chunks, strict=True))[epoch.start :]:
            yield Share(batch=next(batches) if len(chunk) else None, size=len(whole))

    @abstractmethod
    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of an epoch."""


def check_count(name: str, value: int, *, least: int) -> None:
    """Raise where a value is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer; got {value!r} ({type(value).__name__})")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")


def floating(x: Tensor) -> Tensor:
    """Return integers and booleans in the default dtype and floating numbers as they are."""
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())
