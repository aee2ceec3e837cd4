"""Checks: what a dict of tensors must be before it is data.

Whatever is wrong is said at once, with what was expected, what came, and what to do about it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.base import KEYS, UNLABELLED
from pyrovae.spelling import nearest

_ROWS = 4096  # rows looked at in one go: looking at everything at once would double the memory
_WIDER = {torch.uint16: torch.int32, torch.uint32: torch.int64}  # torch can hardly index these


def checked(given: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return tensors ready to be read in batches, from tensors or arrays by key.

    What needs no change is not copied. Class codes become int64, and entries of x that `observed`
    declares missing become zero, so that nothing can leak from them.

    Arguments:
        given: "x" of shape `[N, *event_shape]`, and optionally "y", class codes of shape `[N]` or
            real numbers of shape `[N, *shape]`, and "observed" of the shape of x.

    Raises:
        TypeError: a value is no numeric tensor or array, or of the wrong kind of number.
        ValueError: a key, a shape or a value is wrong.

    Example:
        >>> x = torch.tensor([[1.0, float("nan")]])
        >>> checked({"x": x, "observed": torch.tensor([[True, False]])})["x"]
        tensor([[1., 0.]])
    """
    for key in given:
        if key not in KEYS:
            raise ValueError(
                f"data have the keys {', '.join(KEYS)}; got {key!r}" + nearest(key, KEYS)
            )
    if "x" not in given:
        raise ValueError(f"data need a key 'x'; got the keys {list(given)}")
    found = {"x": as_tensor("x", given["x"])}
    x = found["x"]
    if x.dim() == 0:
        raise ValueError("x must have a first dimension that counts the data; got a single number")
    if x.numel() == 0:
        raise ValueError(f"data must not be empty; got x of shape {tuple(x.shape)}")
    for key in KEYS[1:]:
        if given.get(key) is not None:
            found[key] = as_tensor(key, given[key])
            if found[key].dim() == 0 or len(found[key]) != len(x):
                raise ValueError(
                    f"x and {key} must have the same first dimension, one row for each datum; "
                    f"got x of shape {tuple(x.shape)} and {key} of shape {tuple(found[key].shape)}"
                )
    if "y" in found:
        found["y"] = checked_labels(found["y"])
    if "observed" in found:
        check_observed(found["observed"], x)
        found["x"] = x = torch.where(found["observed"], x, torch.zeros((), dtype=x.dtype))
    check_finite(x)
    return found


def as_tensor(key: str, value: Any) -> Tensor:
    """Return a dense real tensor that shares memory with `value` wherever it can."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{key} is a masked array, whose mask would be lost: give its data, and the known "
            f"entries as 'observed' (x=array.filled(0), observed=~array.mask)"
        )
    if isinstance(value, np.ndarray | np.generic):
        value = _from_array(key, np.asarray(value))
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{key} must be a tensor or a NumPy array; got {type(value).__name__}: convert it "
            f"with torch.as_tensor or numpy.asarray"
        )
    if value.is_complex() or value.layout != torch.strided:
        raise TypeError(
            f"{key} must be a dense tensor of real numbers; got {value.dtype}, {value.layout}: "
            f"use .to_dense(), or real and imaginary parts as two entries"
        )
    return value.detach().to(_WIDER.get(value.dtype, value.dtype))


def _from_array(key: str, array: np.ndarray[Any, Any]) -> Tensor:
    if array.dtype == np.dtype(object):
        raise TypeError(
            f"{key} is a NumPy array of objects, which has no numbers to compute with: its rows "
            f"may differ in length; make it one rectangular array with numpy.stack"
        )
    if array.dtype.kind not in "biuf" or array.dtype in (np.dtype("u8"), np.dtype("g")):
        remedy = {
            "c": "give .real and .imag as two entries of x",
            "U": "text has to be encoded as numbers first",
            "S": "text has to be encoded as numbers first",
        }.get(array.dtype.kind, "convert it with .astype, such as .astype('float32')")
        raise TypeError(
            f"{key} must be an array of booleans, integers or floating numbers that torch has; "
            f"got dtype {array.dtype}: {remedy}"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def checked_labels(y: Tensor) -> Tensor:
    """Return labels after a look at their kind, shape and range.

    Class codes, of shape `[N]`, become int64; real numbers of shape `[N, *shape]` keep their dtype.

    Example:
        >>> checked_labels(torch.tensor([3, -1], dtype=torch.int8))
        tensor([ 3, -1])
        >>> checked_labels(torch.tensor([[1.0, float("nan")]]))
        Traceback (most recent call last):
        ValueError: y must be known or unknown as a whole in each row; got y[0] with 1 of 2 \
numbers NaN: an unknown row is NaN throughout, and numbers that may be missing one by one belong \
into x
    """
    if y.is_floating_point():
        _check_reals(y)
        return y
    if y.dim() != 1:
        raise ValueError(
            f"y must be one class code for each datum, of shape [N], or floating numbers of any "
            f"shape; got {y.dtype} of shape {tuple(y.shape)}: one-hot rows become codes by "
            f"y.argmax(-1), and numbers to learn are converted by y.float()"
        )
    y = y.to(torch.int64)
    if y.min() < UNLABELLED:
        raise ValueError(
            f"y must be labels from 0 on, or {UNLABELLED} for unlabelled; got {int(y.min())}"
        )
    return y


def _check_reals(y: Tensor) -> None:
    """Raise ValueError where a row of real numbers is infinite, or known in part."""
    rows = y.reshape(len(y), -1)
    if not rows.shape[1]:
        raise ValueError(f"y must hold a number for each datum; got shape {tuple(y.shape)}")
    endless = rows.isinf().any(1)
    if bool(endless.any()):
        at = int(endless.nonzero()[0])
        raise ValueError(
            f"y must be finite, or NaN where it is unknown; got infinity in y[{at}], and in "
            f"{int(endless.sum())} of {len(y)} rows: mend them, or make them NaN"
        )
    unknown = rows.isnan()
    partly = unknown.any(1) & ~unknown.all(1)
    if bool(partly.any()):
        at = int(partly.nonzero()[0])
        raise ValueError(
            f"y must be known or unknown as a whole in each row; got y[{at}] with "
            f"{int(unknown[at].sum())} of {rows.shape[1]} numbers NaN: an unknown row is NaN "
            f"throughout, and numbers that may be missing one by one belong into x"
        )


def check_observed(observed: Tensor, x: Tensor) -> None:
    """Raise where a mask of known entries is not boolean or not of the shape of x."""
    if observed.dtype != torch.bool:
        raise TypeError(
            f"observed must be boolean, True where an entry of x is known; got {observed.dtype}: "
            f"convert it with observed.bool()"
        )
    if observed.shape != x.shape:
        raise ValueError(
            f"observed must have the shape of x, {tuple(x.shape)}; got {tuple(observed.shape)}: "
            f"widen it with observed.expand_as(x)"
        )


def check_finite(x: Tensor) -> None:
    """Raise where a known entry of x is not a finite number."""
    if not x.is_floating_point():
        return
    wrong = 0
    where = ""
    for first in range(0, len(x), _ROWS):
        bad = ~torch.isfinite(x[first : first + _ROWS])
        wrong += int(bad.sum())
        if wrong and not where:
            row, *rest = torch.nonzero(bad)[0].tolist()
            place = (first + row, *rest)
            where = f"x[{', '.join(map(str, place))}] = {x[place].item():g}"
    if wrong:
        raise ValueError(
            f"x must be finite; got {where}, and NaN or infinity in {wrong} of {x.numel()} "
            f"entries: declare missing entries by a boolean 'observed' of the shape of x, False "
            f"where missing"
        )
