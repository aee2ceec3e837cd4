"""Data behind a torch `Dataset`, read item by item through a `DataLoader`."""

import itertools
import random
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from pyrovae.data.base import Data, Epoch, check_count, floating
from pyrovae.data.items import collated


class DatasetData(Data):
    """One split behind a torch `Dataset`.

    An item is x alone (a tensor, an array, a number or a PIL image), a tuple `(x, y)`, or a dict
    with the keys x, y and observed. Images become `[channels, height, width]` with their grey
    levels as they are. Integers become floating in the default dtype.

    A map-style `Dataset` is read in our order. An `IterableDataset` is a stream: it has no length
    (`len` and `steps` raise `TypeError`), is never shuffled, `index` counts arrivals, and skipping
    batches reads them all the same.

    Arguments:
        dataset: the torch data set.
        workers: how many processes read items; 0 reads them in this one. Random augmentation in
            workers is seeded from the generator of the epoch, but starts afresh on resuming; a
            stream must share itself out among its workers.
        description: what the data are, in words.

    Raises:
        TypeError: not a torch `Dataset`, one without length, or an item of an unknown kind.
        ValueError: the data set is empty, or an item has a wrong key, shape or value.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> data = DatasetData(TensorDataset(torch.ones(3, 2), torch.tensor([0, 1, 2])))
        >>> data.event_shape, data.keys
        ((2,), ('x', 'y', 'index'))
        >>> next(data.batches(batch_size=2))["y"]
        tensor([0, 1])
    """

    def __init__(self, dataset: Dataset[Any], *, workers: int = 0, description: str = "") -> None:
        if not isinstance(dataset, Dataset):
            raise TypeError(f"DatasetData expects a torch Dataset; got {type(dataset).__name__}")
        check_count("workers", workers, least=0)
        self.dataset = dataset
        self.workers = workers
        self.description = description
        self._stream = isinstance(dataset, IterableDataset)
        if not self._stream and not isinstance(dataset, Sized):
            raise TypeError(
                f"{type(dataset).__name__} has no length: define __len__, or make it an "
                f"IterableDataset to read it as a stream"
            )
        self._first = self._look()

    def __repr__(self) -> str:
        return f"DatasetData({type(self.dataset).__name__}, workers={self.workers})"

    def __len__(self) -> int:
        if isinstance(self.dataset, Sized) and not self._stream:
            return len(self.dataset)
        raise TypeError(
            f"{type(self.dataset).__name__} is a stream without length: give the number of steps, "
            f"or use a map-style Dataset"
        )

    @property
    def sized(self) -> bool:
        return not self._stream

    @property
    def event_shape(self) -> tuple[int, ...]:
        return tuple(self._first["x"].shape)

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self._first, "index")

    def _look(self) -> dict[str, Tensor]:
        """Return the first item; an augmentation may draw, so random states are put back."""
        states = random.getstate(), np.random.get_state()
        with torch.random.fork_rng(devices=[]):
            if isinstance(self.dataset, IterableDataset):
                if iter(self.dataset) is iter(self.dataset):
                    raise ValueError(self._used_up())
                items = list(itertools.islice(self.dataset, 1))
            else:
                items = [self.dataset[0]] if len(self) else []
        random.setstate(states[0])
        np.random.set_state(states[1])
        if not items:
            raise ValueError(f"data must not be empty; {type(self.dataset).__name__} has no items")
        return {key: value[0] for key, value in collated(items).items()}

    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        common: dict[str, Any] = {
            "num_workers": self.workers,
            "collate_fn": collated,
            # of its own: a loader without one draws its seed from the caller's random state
            "generator": torch.Generator().manual_seed(epoch.seed),
        }
        if epoch.order is None:
            loader: DataLoader[Any] = DataLoader(
                self.dataset, batch_size=epoch.batch_size, **common
            )
            skipped = epoch.start
        else:
            chunks = torch.split(epoch.order, epoch.batch_size)[epoch.start :]
            sampler = [chunk.tolist() for chunk in chunks]
            loader = DataLoader(self.dataset, batch_sampler=sampler, **common)
            skipped = 0
        first = epoch.start * epoch.batch_size
        with plain_errors():
            for read in itertools.islice(loader, skipped, None):
                index = torch.arange(first, first + len(read["x"]))
                first += len(index)
                self._check_kind(read)
                batch = {**read, "index": index if epoch.order is None else epoch.order[index]}
                if epoch.device is not None:
                    batch = {key: value.to(epoch.device) for key, value in batch.items()}
                yield {**batch, "x": floating(batch["x"])}
        if epoch.order is None and first == 0:
            raise ValueError(self._used_up())

    def _check_kind(self, batch: dict[str, Tensor]) -> None:
        """Raise ValueError where labels are real numbers here and codes in the first item."""
        here, first = batch.get("y"), self._first.get("y")
        if here is None or first is None:
            return
        if here.is_floating_point() != first.is_floating_point():
            raise ValueError(
                f"all items of {type(self.dataset).__name__} must have labels of one kind; got y "
                f"of {first.dtype} in the first item and of {here.dtype} later: an unknown class "
                f"is -1 or None, and an unknown real number NaN"
            )

    def _used_up(self) -> str:
        return (
            f"{type(self.dataset).__name__} is read more than once, so its __iter__ must begin "
            f"anew each time, and not return one iterator that is used up"
        )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let an error in a worker process say its own words, and not the traceback of the worker."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        first, *rest = str(error).splitlines() or [""]
        if not rest or "in DataLoader worker process" not in first:
            raise
        raise type(error)(rest[-1].partition(": ")[2]) from error
