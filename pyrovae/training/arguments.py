"""Arguments: the tensors of a call, flat, and how they make up the call again."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Keys = tuple[Any, ...] | None  # of an argument that is a dict, None for any other
Structure = tuple[tuple[str | None, Keys], ...]


def flattened(args: Iterable[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], Structure]:
    """Return the leaves of a call, those of its dicts too, and its structure, which is hashable.

    Example:
        >>> leaves, structure = flattened(({"x": 1, "y": 2}, 3), {"z": 4})
        >>> leaves
        [1, 2, 3, 4]
        >>> arranged(structure, leaves)
        (({'x': 1, 'y': 2}, 3), {'z': 4})
    """
    leaves: list[Any] = []
    structure: list[tuple[str | None, Keys]] = []
    for name, value in _named(args, kwargs):
        if isinstance(value, dict):
            leaves.extend(value.values())
            structure.append((name, tuple(value)))
        else:
            leaves.append(value)
            structure.append((name, None))
    return leaves, tuple(structure)


def arranged(structure: Structure, leaves: Iterable[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments `(args, kwargs)` that have a structure and leaves."""
    rest = iter(leaves)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, keys in structure:
        value = next(rest) if keys is None else {key: next(rest) for key in keys}
        if name is None:
            args.append(value)
        else:
            kwargs[name] = value
    return tuple(args), kwargs


def _named(args: Iterable[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str | None, Any]]:
    yield from ((None, value) for value in args)
    yield from kwargs.items()
