"""Data in memory: one tensor for each key, gathered and transformed a batch at a time."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pyrovae.data.base import Data, Epoch, floating
from pyrovae.data.checks import checked
from pyrovae.data.transforms import check_transform, transformed


class TensorData(Data):
    """One split held in memory as it came, for example as bytes.

    Rows are gathered into fresh memory, moved to the device, transformed there, and integers cast
    to the default dtype; floating x keep their dtype. What a loop does to a batch therefore never
    reaches the data.

    Arguments:
        tensors: "x" of shape `[N, *event_shape]`, and optionally "y" (class codes of shape `[N]`,
            -1 for unknown, or floating numbers `[N, *shape]`, NaN for unknown) and "observed" of
            the shape of x; tensors or NumPy arrays, which are shared and not copied where they
            need no change.
        transform: maps the dict of a batch to a new one, such as `Binarize()`.
        description: what the data are, in words.

    Raises:
        TypeError: a value is no numeric tensor or array, or of the wrong kind of number.
        ValueError: a key, a shape or a value is wrong.

    Example:
        >>> data = TensorData({"x": torch.tensor([[3, 4], [5, 6], [7, 8]], dtype=torch.uint8)})
        >>> data.event_shape, data.keys, len(data), data.steps(2)
        ((2,), ('x', 'index'), 3, 2)
        >>> [(batch["x"].tolist(), batch["index"].tolist()) for batch in data.batches(batch_size=2)]
        [([[3.0, 4.0], [5.0, 6.0]], [0, 1]), ([[7.0, 8.0]], [2])]
    """

    def __init__(
        self,
        tensors: Mapping[str, Any],
        *,
        transform: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
        description: str = "",
    ) -> None:
        check_transform(self, transform)
        self.tensors = checked(tensors)
        self.transform = transform
        self.description = description
        self._event_shape = self._find_event_shape()

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{key}: {str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
            for key, value in self.tensors.items()
        )
        return f"TensorData({{{shown}}}, transform={self.transform!r})"

    def __len__(self) -> int:
        return len(self.tensors["x"])

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self._event_shape

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.tensors, "index")

    def labels(self) -> Tensor | None:
        return self.tensors.get("y")

    def to(self, device: torch.device | str) -> "TensorData":
        """Return the same data held on a device, where they fit into its memory."""
        moved = object.__new__(TensorData)  # already checked: no second look at every number
        moved.tensors = {key: value.to(device) for key, value in self.tensors.items()}
        moved.transform = self.transform
        moved.description = self.description
        moved._event_shape = self._event_shape
        return moved

    def _find_event_shape(self) -> tuple[int, ...]:
        if self.transform is None:
            return tuple(self.tensors["x"].shape[1:])
        x = self.tensors["x"]
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            batch = self._gather(torch.zeros(1, dtype=torch.int64), None)
        return tuple(batch["x"].shape[1:])

    def _gather(self, rows: Tensor, device: torch.device | None) -> dict[str, Tensor]:
        batch = {}
        for key, value in self.tensors.items():
            taken = value.index_select(0, rows if value.is_cpu else rows.to(value.device))
            batch[key] = taken if device is None else taken.to(device, non_blocking=True)
        there = batch["x"].device
        batch["index"] = rows if there == rows.device else rows.to(there, non_blocking=True)
        batch = transformed(batch, self.transform)
        x = floating(batch["x"])
        return batch if x is batch["x"] else {**batch, "x": x}

    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        order = torch.arange(len(self)) if epoch.order is None else epoch.order
        size = epoch.batch_size
        for first in range(epoch.start * size, len(order), size):
            # a copy: the index of a batch is no view of the order of the epoch
            yield self._gather(order[first : first + size].clone(), epoch.device)
