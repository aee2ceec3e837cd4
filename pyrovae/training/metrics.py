"""Metrics: means over an epoch of what each step logs, without reading it on the way."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyrovae.training.processes import Processes

_KEPT = 256  # scalars are kept as they come and added up now and then: a step adds no operation


class Mean:
    """The mean over batches, weighted by their sizes, of named 0-dimensional tensors.

    Example:
        >>> mean = Mean()
        >>> mean.add({"loss": torch.tensor(1.0)}, 3)
        >>> mean.add({"loss": torch.tensor(5.0)}, 1)
        >>> mean.read()
        {'loss': 2.0}
    """

    def __init__(self) -> None:
        self._kept: list[tuple[Mapping[str, Tensor], int]] = []
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, logged: Mapping[str, Tensor], size: int) -> None:
        """Add the quantities of a batch of a size."""
        self._kept.append((logged, size))
        self._count += size
        if len(self._kept) >= _KEPT:
            self._flush()

    def read(self, processes: Processes | None = None) -> dict[str, float]:
        """Return the means as numbers; this waits for the device.

        Arguments:
            processes: those over which the mean is taken as well, alike in all of them.
        """
        self._flush()
        own = {name: total.item() for name, total in self._sums.items()}
        gathered = (
            [(own, self._count)] if processes is None else processes.gather((own, self._count))
        )
        filled = [(sums, count) for sums, count in gathered if count > 0]
        if not filled:
            return {}
        count = sum(count for _, count in filled)
        return {name: sum(sums[name] for sums, _ in filled) / count for name in filled[0][0]}

    def state(self) -> dict[str, Any]:
        """Return what has been added, so that `restore` goes on to the same means."""
        names = list(self._kept[0][0]) if self._kept else []
        values = {
            name: torch.stack([logged[name].double() for logged, _ in self._kept]) for name in names
        }
        sizes = [size for _, size in self._kept]
        return {"values": values, "sizes": sizes, "sums": self._sums, "count": self._count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        values = state["values"]
        self._kept = [
            ({name: column[at] for name, column in values.items()}, size)
            for at, size in enumerate(state["sizes"])
        ]
        self._sums = dict(state["sums"])
        self._count = state["count"]

    def _flush(self) -> None:
        for name in self._kept[0][0] if self._kept else ():
            values = torch.stack([logged[name].double() for logged, _ in self._kept])
            sizes = values.new_tensor([size for _, size in self._kept])
            total = (values * sizes).sum()
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._kept.clear()
