"""Declaration: an object that remembers the constructor call that made it.

Every part, network, schedule, objective and data source keeps each constructor argument under the
argument's own name. From that one rule follow its `repr`, which is a valid constructor call, and
the configuration tree that `pyrovae.config` writes and reads.
"""

import inspect
from types import FunctionType
from typing import Any

_ABSENT = object()


def arguments_of(instance: object) -> dict[str, Any]:
    """Return the constructor arguments an object was made with, by name, defaults included.

    Arguments:
        instance: any object that keeps each constructor argument as an attribute of that name.

    Raises:
        AttributeError: an argument was not kept; the message names the class and the argument.

    Example:
        >>> from pyrovae.schedules import Ramp
        >>> arguments_of(Ramp(0.0, 1.0, steps=10))
        {'start': 0.0, 'end': 1.0, 'steps': 10, 'delay': 0}
    """
    found: dict[str, Any] = {}
    for name, parameter in _parameters(type(instance)).items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise AttributeError(
                f"{type(instance).__name__} takes *{name}: a declared class names each constructor "
                f"argument, so that it can be written to a configuration"
            )
        value = getattr(instance, name, _ABSENT)
        if value is _ABSENT:
            raise AttributeError(
                f"{type(instance).__name__} does not keep its constructor argument '{name}': "
                f"add `self.{name} = {name}` to its __init__"
            )
        found[name] = value
    return found


def _parameters(declared: type) -> dict[str, inspect.Parameter]:
    """Return the constructor parameters of a class, none where it only inherits a library's."""
    owner = next(base for base in declared.__mro__ if "__init__" in vars(base))
    if owner is object or owner.__module__.partition(".")[0] == "torch":
        return {}
    return dict(inspect.signature(declared).parameters)


def constructor_call(instance: object) -> str:
    """Return the constructor call of an object as text, leaving out arguments at their default."""
    shown = []
    keyword = False
    for name, parameter in _parameters(type(instance)).items():
        value = getattr(instance, name, _ABSENT)
        text = "..." if value is _ABSENT else named(value)
        default = parameter.default
        if default is not parameter.empty and type(default) is type(value) and default == value:
            keyword = True  # what follows a skipped argument can no longer be positional
            continue
        keyword = keyword or parameter.kind is parameter.KEYWORD_ONLY
        shown.append(f"{name}={text}" if keyword else text)
    return f"{type(instance).__name__}({', '.join(shown)})"


def named(value: Any) -> str:
    """Return a value as it is written in code: a function by its name, not by its address."""
    return value.__name__ if isinstance(value, FunctionType) else repr(value)


class Declared:
    """Mix-in of everything that is declared by one constructor call."""

    def __repr__(self) -> str:
        return constructor_call(self)
