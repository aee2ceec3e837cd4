"""Metrics: means over an epoch of what each step logs, without reading it on the way."""

from collections.abc import Mapping

import torch
from torch import Tensor

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

    def read(self) -> dict[str, float]:
        """Return the means as numbers; this waits for the device."""
        self._flush()
        if self._count == 0:
            return {}
        return {name: (total / self._count).item() for name, total in self._sums.items()}

    def _flush(self) -> None:
        for name in self._kept[0][0] if self._kept else ():
            values = torch.stack([logged[name].double() for logged, _ in self._kept])
            sizes = values.new_tensor([size for _, size in self._kept])
            total = (values * sizes).sum()
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._kept.clear()
