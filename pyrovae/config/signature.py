"""Signatures: what a constructor takes, which is the schema of its configuration."""

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pyrovae.declared import Declared

REQUIRED = inspect.Parameter.empty

_SCALARS = (Any, None, type(None), bool, int, float, str, Path)
_CONTAINERS = (
    list,
    tuple,
    dict,
    collections.abc.Iterable,
    collections.abc.Sequence,
    collections.abc.Mapping,
)


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor.

    Arguments:
        annotation: its type.
        default: its default, or `REQUIRED`.
    """

    annotation: Any
    default: Any

    @property
    def bases(self) -> tuple[type, ...]:
        """The bases of the classes that may be named here, none where plain values are meant."""
        return tuple(_bases(self.annotation))

    @property
    def item(self) -> "Argument | None":
        """What an item is where a sequence of parts is meant, None elsewhere.

        Example:
            >>> from pyrovae.priors import Prior
            >>> Argument(tuple[Prior, ...], ()).item.bases[0].__name__
            'Prior'
        """
        for kind in alternatives(self.annotation):
            inner = get_args(kind)
            if get_origin(kind) in _CONTAINERS and inner and _bases(inner[0]):
                return Argument(inner[0], REQUIRED)
        return None

    @property
    def plain(self) -> Any:
        """What of the annotation a text can hold: plain values; None where nothing is left of it.

        Classes of libraries and functions are not in it: whatever reads them from a text imports
        what the text says.
        """
        return _plain(self.annotation)

    def takes(self, part: type) -> bool:
        """Return whether an object of a declared class may stand here.

        Where a class of ours is expected it must be one of them, or callable where a function is
        expected as well; where nothing but plain values is expected, none may.

        Example:
            >>> from pyrovae.networks import MLP
            >>> from pyrovae.priors import Prior, StandardNormal
            >>> [Argument(Prior | None, None).takes(part) for part in (StandardNormal, MLP)]
            [True, False]
        """
        kinds = alternatives(self.annotation)
        ours = tuple(base for base in self.bases if issubclass(base, Declared))
        if any(get_origin(kind) is Callable for kind in kinds):
            return any("__call__" in vars(base) for base in part.__mro__)
        if ours:
            return issubclass(part, ours)
        return any(_plain(kind) is None for kind in kinds)


def arguments(maker: Callable[..., Any]) -> dict[str, Argument]:
    """Return the arguments of a class or function, by name.

    Example:
        >>> from pyrovae.priors import VampPrior
        >>> {name: argument.default for name, argument in arguments(VampPrior).items()}
        {'dim': 32, 'components': 500}
    """
    function: Any = maker.__init__ if isinstance(maker, type) else maker  # type: ignore[misc]
    hints = _hints(function)
    return {
        name: Argument(hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function, none where a name in them is known to checkers only.

    Names of `typing` and `collections.abc` are found even if the module imports them for type
    checkers alone, as torch's schedulers do.
    """
    usual = {**vars(collections.abc), **vars(typing)}
    for names in (None, usual):
        with suppress(NameError):
            return typing.get_type_hints(function, localns=names)
    return {}


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return what an annotation allows: the members of a union, or itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _plain(annotation: Any) -> Any:
    """Return an annotation reduced to values without classes and functions, None for nothing."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        kinds = tuple(kind for kind in map(_plain, inner) if kind is not None)
        return Union[kinds] if kinds else None  # noqa: UP007  (a union of a tuple)
    if annotation in _SCALARS or origin is Literal:
        return annotation
    if origin in _CONTAINERS:
        reduced = tuple(kind if kind is Ellipsis else _plain(kind) for kind in inner)
        return None if None in reduced else origin[reduced]
    return annotation if annotation in _CONTAINERS else None


def _bases(annotation: Any) -> list[type]:
    """Return the classes that can be named for an annotation: ours, else what a callable returns.

    Beside a class of ours a callable is a function of the user's, and its result no choice.
    """
    kinds = alternatives(annotation)
    ours = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Declared)]
    returned = [get_args(kind)[-1] for kind in kinds if get_origin(kind) is Callable]
    classes = [kind for kind in returned if isinstance(kind, type)]
    return ours or [kind for kind in classes if kind.__module__ != "builtins"]


def described(annotation: Any) -> str:
    """Return in words what an annotation expects.

    Example:
        >>> from pyrovae.schedules import Schedule
        >>> described(tuple[int, ...]), described(float | Schedule | None)
        ('a list of integers', 'a number or null or a Schedule')
        >>> described(tuple[float, float])
        'a list of 2 numbers'
    """
    words = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
    words |= {type(None): "null", Any: "a value", Path: "a path"}
    parts = []
    for kind in alternatives(annotation):
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Literal:
            parts.append("one of " + ", ".join(map(repr, inner)))
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            parts.append("values by name, {name: value}")
        elif isinstance(origin, type) and issubclass(origin, Iterable) and inner:
            parted = [f"of the kind {base.__name__}" for base in _bases(inner[0])]
            named = {int: "integers", float: "numbers", str: "strings"}
            many = named.get(inner[0], " ".join(["parts", *parted]) if parted else "values")
            fixed = origin is tuple and inner[-1] is not Ellipsis
            parts.append(f"a list of {f'{len(inner)} ' if fixed else ''}{many}")
        elif origin is Callable:
            parts += [] if _bases(kind) else ["a function"]
        elif kind in words:
            parts.append(words[kind])
    names = [base.__name__ for base in _bases(annotation)]
    parts += [f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" for name in names]
    return " or ".join(parts)


def literals(annotation: Any) -> list[str]:
    """Return the words that an annotation lists."""
    kinds = [kind for kind in alternatives(annotation) if get_origin(kind) is Literal]
    return [value for kind in kinds for value in get_args(kind) if isinstance(value, str)]


def missing(given: Mapping[str, Any], signature: Mapping[str, Argument]) -> list[str]:
    """Return the names of the required arguments that are not given."""
    return [
        name
        for name, argument in signature.items()
        if argument.default is REQUIRED and name not in given
    ]
