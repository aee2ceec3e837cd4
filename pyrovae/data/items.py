"""Items: what a torch `Dataset` returns, as dicts of tensors and stacked into batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.base import KEYS, UNLABELLED
from pyrovae.data.checks import as_tensor, check_finite, check_observed, checked_labels
from pyrovae.spelling import nearest


def as_item(item: object) -> dict[str, Tensor]:
    """Return one item of a data set as a dict of tensors without a batch dimension.

    Example:
        >>> as_item((np.zeros((8, 8), dtype="uint8"), None))["y"]
        tensor(-1)
    """
    if isinstance(item, Mapping):
        given = dict(item)
    elif isinstance(item, tuple):
        if len(item) not in (1, 2):
            raise TypeError(
                f"an item of a data set must be x, (x, y) or a dict; got a tuple of {len(item)}: "
                f"return a dict with the keys {', '.join(KEYS)}"
            )
        given = dict(zip(KEYS, item, strict=False))
    else:
        given = {"x": item}
    for key in given:
        if key not in KEYS:
            raise ValueError(
                f"an item of a data set has the keys {', '.join(KEYS)}; got {key!r}"
                + nearest(key, KEYS)
            )
    if "x" not in given:
        raise ValueError(f"an item of a data set needs a key 'x'; got the keys {list(given)}")
    return {key: _value(key, given[key]) for key in KEYS if key in given}


def _value(key: str, value: Any) -> Tensor:
    if value is None and key == "y":
        return torch.tensor(UNLABELLED)
    if hasattr(value, "getbands"):  # a PIL image, told without importing PIL
        pixels = np.array(value.convert("RGB") if value.mode == "P" else value)
        value = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    if isinstance(value, bool | int | float):
        value = torch.tensor(value)
    return as_tensor(key, value)


def collated(items: list[object]) -> dict[str, Tensor]:
    """Stack the items of a batch, with the checks that data in memory undergo once.

    Example:
        >>> collated([(torch.zeros(2), 1), (torch.ones(2), 0)])["y"]
        tensor([1, 0])
    """
    batch = _stacked_at_once(items) or _stacked(items)
    if "y" in batch:
        batch["y"] = checked_labels(batch["y"])
    if "observed" in batch:
        x = batch["x"]
        check_observed(batch["observed"], x)
        batch["x"] = torch.where(batch["observed"], x, torch.zeros((), dtype=x.dtype))
    check_finite(batch["x"])
    return batch


def _stacked(items: Sequence[object]) -> dict[str, Tensor]:
    """Stack items of any kind, each looked at by itself."""
    read = [as_item(item) for item in items]
    batch = {}
    for key in read[0]:
        if any(one.keys() != read[0].keys() for one in read):
            raise ValueError(
                f"all items of a data set must have the same keys, with y = {UNLABELLED} or None "
                f"where there is no label; got {sorted({tuple(one) for one in read})}"
            )
        if key == "y" and len({one[key].is_floating_point() for one in read}) > 1:
            raise ValueError(
                f"all items of a data set must have labels of one kind, class codes with "
                f"{UNLABELLED} or None for unknown, or floating numbers with NaN for unknown; got "
                f"both in one batch"
            )
        shapes = {tuple(one[key].shape) for one in read}
        if len(shapes) > 1:
            raise ValueError(
                f"all items of a data set must have one shape; got {key} of shapes "
                f"{sorted(shapes)}: crop, resize or pad them in the data set"
            )
        batch[key] = torch.stack([one[key] for one in read])
    return batch


def _stacked_at_once(items: Sequence[Any]) -> dict[str, Tensor] | None:
    """Stack items x or (x, y) of one kind, with one look for all; None where they are not alike.

    What is wrong is left to the way above, which says it better.
    """
    if {type(item) for item in items} != {tuple}:
        x = _column("x", items)
        return None if x is None else {"x": x}
    if {len(item) for item in items} != {2}:
        return None
    columns = zip(*items, strict=True)
    x, y = (_column(key, column) for key, column in zip("xy", columns, strict=True))
    return None if x is None or y is None else {"x": x, "y": y}


def _column(key: str, values: Sequence[Any]) -> Tensor | None:
    kind, *others = {type(value) for value in values}
    if others:
        return None
    if kind is int or kind is float:
        return torch.tensor(values)
    if kind is not Tensor and kind is not np.ndarray:
        return None
    if len({(value.shape, value.dtype) for value in values}) > 1:
        return None
    if kind is np.ndarray:
        return as_tensor(key, np.stack(values))
    if values[0].layout != torch.strided:
        return None
    return as_tensor(key, torch.stack(tuple(values)))
