"""Signatures: what a constructor takes, which is the schema of its configuration."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pyrovae.declared import Declared

REQUIRED = inspect.Parameter.empty


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
    def plain(self) -> Any:
        """The annotation without the classes that are named; None where nothing is left of it."""
        kinds = tuple(kind for kind in _alternatives(self.annotation) if not _bases(kind))
        return Union[kinds] if kinds else None  # noqa: UP007  (a union of a tuple)


def arguments(maker: Callable[..., Any]) -> dict[str, Argument]:
    """Return the arguments of a class or function, by name.

    Example:
        >>> from pyrovae.priors import VampPrior
        >>> {name: argument.default for name, argument in arguments(VampPrior).items()}
        {'dim': 32, 'components': 500}
    """
    function: Any = maker.__init__ if isinstance(maker, type) else maker  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(function)
    except NameError:  # an annotation under TYPE_CHECKING: anything goes
        hints = {}
    return {
        name: Argument(hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _bases(annotation: Any) -> list[type]:
    """Return the classes that can be named for an annotation: ours, else what a callable returns.

    Beside a class of ours a callable is a function of the user's, and its result no choice.
    """
    kinds = _alternatives(annotation)
    ours = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Declared)]
    returned = [get_args(kind)[-1] for kind in kinds if get_origin(kind) is Callable]
    return ours or [kind for kind in returned if isinstance(kind, type)]


def described(annotation: Any) -> str:
    """Return in words what an annotation expects.

    Example:
        >>> from pyrovae.schedules import Schedule
        >>> described(tuple[int, ...]), described(float | Schedule | None)
        ('a list of integers', 'a number or null or a Schedule')
    """
    words = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
    words[type(None)] = "null"
    parts = []
    for kind in _alternatives(annotation):
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Literal:
            parts.append("one of " + ", ".join(map(repr, inner)))
        elif origin in (list, tuple) and inner:
            many = {int: "integers", float: "numbers", str: "strings"}.get(inner[0], "values")
            parts.append(f"a list of {many}")
        elif not _bases(kind):
            parts.append(words.get(kind) or str(getattr(kind, "__name__", kind)))
    names = [base.__name__ for base in _bases(annotation)]
    parts += [f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" for name in names]
    return " or ".join(parts)


def literals(annotation: Any) -> list[str]:
    """Return the words that an annotation lists."""
    kinds = [kind for kind in _alternatives(annotation) if get_origin(kind) is Literal]
    return [value for kind in kinds for value in get_args(kind) if isinstance(value, str)]


def missing(given: Mapping[str, Any], signature: Mapping[str, Argument]) -> list[str]:
    """Return the names of the required arguments that are not given."""
    return [
        name
        for name, argument in signature.items()
        if argument.default is REQUIRED and name not in given
    ]
