"""Heads: the raw numbers a family asks of a network, and how they become parameters.

A likelihood or a posterior states its head; the model sizes the network from it; the part unpacks
the network's output and maps it to constrained parameters. So networks never know the family.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pyrovae.numeric import is_count

Shape = tuple[int, ...]
Size = int | Callable[[Shape], Shape]

FLOOR = 1e-4
_UNIT = math.log(math.expm1(1.0))  # softplus(_UNIT) = 1: a raw zero is a scale of one


def positive(raw: Tensor, *, floor: float = FLOOR) -> Tensor:
    """Map raw numbers to positive ones: `floor + softplus(raw + log(e - 1))`.

    It is exponential for small results and linear for large ones, so it neither reaches zero nor
    overflows in float32 for raw numbers within +-1e4, and a raw zero gives (almost exactly) one.

    Arguments:
        raw: any real numbers, of any shape.
        floor: the smallest result.

    Example:
        >>> positive(torch.tensor([-1e4, 0.0, 1e4])).tolist()
        [9.999999747378752e-05, 1.000100016593933, 10000.541015625]
    """
    return floor + nn.functional.softplus(raw + _UNIT)


def raw_of(scale: Tensor, *, floor: float = FLOOR) -> Tensor:
    """Return the raw numbers that `positive` maps to the given ones.

    Example:
        >>> round(positive(raw_of(torch.tensor(2.5))).item(), 5)
        2.5
    """
    above = (scale - floor).clamp(min=floor)
    return above + torch.log(-torch.expm1(-above)) - _UNIT  # the inverse of softplus, no overflow


class Head:
    """Names and sizes of the raw numbers that a family needs for one event.

    A size is a count of numbers per element of the event, or a function from the event shape to
    the shape of a tensor that belongs to the event as a whole.

    Arguments:
        **sizes: for each raw parameter its size.

    Raises:
        ValueError: a count is not a positive integer.

    Example:
        >>> head = Head(loc=1, scale=1)
        >>> head.out_shape((3, 28, 28))
        (6, 28, 28)
        >>> {name: tuple(t.shape) for name, t in head.unpack(torch.zeros(5, 8), (4,)).items()}
        {'loc': (5, 4), 'scale': (5, 4)}
        >>> Head(loc=1, below=lambda event: (event[0] * (event[0] - 1) // 2,)).out_shape((4,))
        (10,)
    """

    def __init__(self, **sizes: Size) -> None:
        for name, size in sizes.items():
            if not callable(size) and not is_count(size):
                raise ValueError(
                    f"Head expects a positive count or a function of the event shape for "
                    f"'{name}'; got {size!r}"
                )
        self.sizes = sizes

    def __repr__(self) -> str:
        return f"Head({', '.join(f'{name}={size!r}' for name, size in self.sizes.items())})"

    def out_shape(self, event_shape: Shape) -> Shape:
        """Return the shape of the raw numbers for one event.

        Counts per element are stacked along the event's first dimension, so that images stay
        images; a head with a parameter of the event as a whole is one flat vector; one without any
        needs nothing.
        """
        if not self.sizes:
            return (0,)
        counts = [size for size in self.sizes.values() if isinstance(size, int)]
        if len(counts) == len(self.sizes):
            first, *rest = event_shape or (1,)
            return (sum(counts) * first, *rest)
        return (sum(math.prod(shape) for shape in self._shapes(event_shape)),)

    def unpack(self, raw: Tensor, event_shape: Shape) -> dict[str, Tensor]:
        """Split raw numbers `[*batch, *out_shape]` into one tensor for each parameter.

        A count of one gives `[*batch, *event_shape]`, a larger count `[*batch, *event_shape, n]`,
        and a function its own shape behind the batch.
        """
        out_shape = self.out_shape(event_shape)
        batch = raw.shape[: raw.dim() - len(out_shape)]
        if raw.shape[len(batch) :] != out_shape:
            raise ValueError(
                f"{self!r} expects raw numbers of shape [..., {', '.join(map(str, out_shape))}] "
                f"for event shape {event_shape}; got {tuple(raw.shape)}"
            )
        if event_shape and list(self.sizes.values()) == [1]:  # all of it: split would copy backward
            return dict.fromkeys(self.sizes, raw)
        if event_shape and all(size == 1 for size in self.sizes.values()):  # slices, no copies
            parts = raw.split(event_shape[0], dim=len(batch))
            return dict(zip(self.sizes, parts, strict=True))
        shapes = self._shapes(event_shape)
        whole = len(out_shape) == 1
        flat = raw if whole else raw.flatten(len(batch))
        chunks = flat.split([math.prod(shape) for shape in shapes], dim=-1)
        unpacked: dict[str, Tensor] = {}
        for (name, size), shape, chunk in zip(self.sizes.items(), shapes, chunks, strict=True):
            value = chunk.reshape(batch + shape)
            if isinstance(size, int):  # shape is (n, *event_shape)
                # in one block, for a recorded step must know how its gradient lies in memory
                behind = value.movedim(len(batch), -1)
                value = value.squeeze(len(batch)) if size == 1 else behind.contiguous()
            unpacked[name] = value
        return unpacked

    def _shapes(self, event_shape: Shape) -> list[Shape]:
        return [
            tuple(size(event_shape)) if callable(size) else (size, *event_shape)
            for size in self.sizes.values()
        ]
