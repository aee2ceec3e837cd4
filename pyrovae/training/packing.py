"""Packing: the state of a run as plain values for JSON and tensors for a file of their own.

Unpacking builds plain Python and tensors, and nothing else, whatever the file says.
"""

import math
from collections import Counter
from typing import Any

import numpy as np
from torch import Tensor

_TAGS = ("tensor", "tuple", "dict", "float", "counter", "array")
_NUMBERS = "biuf"  # the kinds of arrays, by NumPy's letters, that hold plain numbers
_SAID = 200  # characters of what is wrong


def pack(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """Return a value as what JSON can hold, and the tensors in it by name.

    Arguments:
        value: dicts, lists, tuples, counters, numbers, strings, None, arrays and tensors.

    Raises:
        TypeError: something else is in it; the message says what and where.

    Example:
        >>> import torch
        >>> plain, tensors = pack({"lr": (0.5, float("inf")), 3: torch.zeros(2)})
        >>> unpack(plain, tensors)
        {'lr': (0.5, inf), 3: tensor([0., 0.])}
    """
    tensors: dict[str, Tensor] = {}
    return _packed(value, "", tensors), tensors


def unpack(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """Return the value that `pack` took apart.

    Raises:
        ValueError: it is not what `pack` returns.
    """
    try:
        return _unpacked(plain, tensors)
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        text = str(error)[:_SAID]
        raise ValueError(f"not the state of a run: {type(error).__name__} {text}") from error


def _packed(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Tensor):
        name = f"{len(tensors):06d}{path}"
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, list):
        return [_packed(item, f"{path}.{at}", tensors) for at, item in enumerate(value)]
    if isinstance(value, tuple):
        return {"tuple": _packed(list(value), path, tensors)}
    if isinstance(value, Counter):
        return {"counter": _pairs(value, path, tensors)}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and not (set(value) & set(_TAGS)):
            return {key: _packed(item, f"{path}.{key}", tensors) for key, item in value.items()}
        return {"dict": _pairs(value, path, tensors)}
    raise TypeError(f"{path.lstrip('.')} is {value!r}, which no checkpoint can hold")


def _pairs(value: dict[Any, Any], path: str, tensors: dict[str, Tensor]) -> list[Any]:
    return [
        [_packed(key, path, tensors), _packed(item, f"{path}.{key}", tensors)]
        for key, item in value.items()
    ]


def _unpacked(plain: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(plain, list):
        return [_unpacked(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    tag = next((tag for tag in _TAGS if tag in plain), None)
    inner: Any = plain[tag] if tag else None
    match tag:
        case "tensor":
            return tensors[inner]
        case "array":
            return np.array(inner, dtype=_number(plain["dtype"]))
        case "float":
            return float(inner)
        case "tuple":
            return tuple(_unpacked(inner, tensors))
        case "counter":
            return Counter(dict(_unpacked(inner, tensors)))
        case "dict":
            return dict(_unpacked(inner, tensors))
    return {key: _unpacked(item, tensors) for key, item in plain.items()}


def _number(name: Any) -> np.dtype[Any]:
    """Return a kind of numbers by its name; others can be of any size, or hold objects."""
    dtype = np.dtype(str(name))
    if dtype.kind not in _NUMBERS or dtype.name != name:
        raise ValueError(f"not the state of a run: an array of {str(name)[:_SAID]!r}")
    return dtype
