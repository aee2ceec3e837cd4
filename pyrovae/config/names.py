"""Names: where a class is found, and which classes a configuration may name.

The root of a dotted name is checked before anything is imported; what is found must then be a
declared class, defined where it is allowed to be. So a configuration from a stranger can choose
among parts, and do nothing else.
"""

import inspect
import sys
import types
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from pyrovae.declared import Declared
from pyrovae.spelling import nearest

HOME = "pyrovae"
_LISTED = 12  # names that an error lists at most
ROOMS = (
    "priors",
    "likelihoods",
    "posteriors",
    "networks",
    "models",
    "objectives",
    "distances",
    "schedules",
    "data",
)
_SHOWN = 120  # characters of a name in an error


def public_path(thing: type | types.FunctionType) -> str:
    """Return the shortest dotted name by which a class or function can be imported.

    Arguments:
        thing: a class, or a function at the top level of a module.

    Raises:
        ValueError: it cannot be imported by name; the message says what to do.

    Example:
        >>> from pyrovae.priors import VampPrior
        >>> public_path(VampPrior)
        'pyrovae.priors.VampPrior'
    """
    name, module = thing.__qualname__, thing.__module__
    kind = "class" if isinstance(thing, type) else "function"
    remedy = f"move it to the top level of a module that can be imported{_base_hint(thing)}"
    if name.endswith("<lambda>"):
        raise ValueError(f"a lambda has no name to be found by: write a function, and {remedy}")
    if "<locals>" in name or "." in name:
        raise ValueError(f"{kind} {name} is defined inside another definition: {remedy}")
    if module == "__main__":
        raise ValueError(f"{kind} {name} is defined in the script that runs (__main__): {remedy}")
    parts = module.split(".")
    first = 2 if parts[0] == HOME else 1  # a part's name is its room's, not the top level's
    for length in range(first, len(parts) + 1):
        exporter = sys.modules.get(".".join(parts[:length]))
        if exporter is not None and vars(exporter).get(name) is thing:
            return f"{exporter.__name__}.{name}"
    raise ValueError(f"{kind} {name} is not what {module}.{name} names: {remedy}")


def _base_hint(thing: type | types.FunctionType) -> str:
    return "" if isinstance(thing, type) else ", or subclass pyrovae.networks.Network"


def allowed(path: str, allow: Iterable[str]) -> bool:
    """Return whether a dotted name lies in pyrovae or in a package that was named."""
    return any(path == root or path.startswith(f"{root}.") for root in (HOME, *allow))


def find(path: str, *, allow: Iterable[str] = ()) -> Any:
    """Return what a dotted name stands for; its root is checked before anything is imported.

    Arguments:
        path: a module and a name in it, such as "pyrovae.priors.VampPrior".
        allow: packages beside pyrovae that it may lie in.

    Raises:
        ValueError: it lies elsewhere, or there is nothing of that name.
    """
    allow = (allow,) if isinstance(allow, str) else tuple(allow)
    words = words_of(path)
    if not allowed(path, allow):
        root = words[0]
        raise ValueError(
            f"{shown(path)} lies outside pyrovae and is not imported; if you trust it, "
            f"allow {root!a} (allow=({root!a},), or --allow {root})"
        )
    if words[0] == HOME and words[1] not in ROOMS:
        raise ValueError(f"{shown(path)} is no part: those are in pyrovae.{', '.join(ROOMS)}")
    module, _, name = path.rpartition(".")
    holder = _imported(module)
    found = vars(holder).get(name)
    if found is None:
        own = [key for key, value in vars(holder).items() if isinstance(value, type)]
        listed = f"; there are: {', '.join(own[:_LISTED])}" if own else ""
        raise ValueError(f"{module} has no {shown(name)}{nearest(name, own) or listed}")
    return found


def _imported(name: str) -> types.ModuleType:
    """Import a module; whatever keeps it from being imported becomes a ValueError."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(f"{shown(name)} cannot be imported: {str(error)[:_SHOWN]}") from error
    except (Exception, SystemExit) as error:  # users' own code
        raise ValueError(
            f"{name!r} cannot be imported, since it raises {type(error).__name__}: {error}"
        ) from error


def words_of(path: str) -> list[str]:
    """Return the words of a dotted name, of which there are at least two.

    Raises:
        ValueError: it is no dotted name, or one of what is nobody's but Python's or pyrovae's own.
    """
    words = path.split(".")
    hidden = "_" if words[0] == HOME else "__"
    if (
        len(words) < 2
        or not all(word.isidentifier() for word in words)
        or any(word.startswith(hidden) for word in words)
    ):
        raise ValueError(f"{shown(path)} is not the dotted name of a class")
    return words


def shown(text: str) -> str:
    """Return a text in quotes, shortened, with look-alikes and control characters told apart."""
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def find_class(path: str, *, allow: Iterable[str] = (), expected: type | None = None) -> type:
    """Return the declared class that a dotted name stands for.

    Arguments:
        path: its dotted name.
        allow: packages beside pyrovae that it may lie in.
        expected: a base that it must have.

    Raises:
        TypeError: it is no declared class, an abstract one, or one of another base.
        ValueError: it lies elsewhere, or there is nothing of that name.
    """
    allow = (allow,) if isinstance(allow, str) else tuple(allow)
    found = find(path, allow=allow)
    if not isinstance(found, type) or not issubclass(found, Declared):
        raise TypeError(f"{path!r} is not a declared class, a subclass of one of pyrovae's bases")
    if inspect.isabstract(found) or found is Declared:
        raise TypeError(f"{path!r} is a base to be subclassed, and makes no object itself")
    if not allowed(found.__module__, allow):
        raise ValueError(f"{path!r} is a class of {found.__module__}, which was not allowed")
    if expected is not None and not issubclass(found, expected):
        raise TypeError(f"{path!r} is not a {expected.__name__}")
    return found


def find_function(path: str, *, allow: Iterable[str] = ()) -> types.FunctionType:
    """Return the function at the top level of an allowed module that a dotted name stands for.

    Functions of pyrovae are refused: none is meant to be a part, and a configuration from a
    stranger could make them do what they do.
    """
    allow = (allow,) if isinstance(allow, str) else tuple(allow)
    found = find(path, allow=allow)
    own = isinstance(found, types.FunctionType) and found.__name__ == path.rpartition(".")[2]
    if (
        not own
        or found.__module__.partition(".")[0] == HOME
        or not allowed(found.__module__, allow)
    ):
        where = " or ".join(allow) or "a package that was allowed"
        raise TypeError(f"{path!r} is not a function defined in {where}")
    return found


def choices(base: type) -> dict[str, type]:
    """Return the concrete classes of a base that the rooms export, by their short names.

    Example:
        >>> from pyrovae.priors import Prior
        >>> "VampPrior" in choices(Prior)
        True
    """
    return {name: part for room in ROOMS for name, part in of_room(room, base).items()}


def of_room(room: str, base: type = Declared) -> dict[str, type]:
    """Return the concrete classes of a base that one room exports, by their short names.

    One family may live in several rooms, and then one name stands for a class in each.

    Example:
        >>> list(of_room("schedules"))
        ['Constant', 'Cosine', 'Cycle', 'Ramp']
    """
    module = import_module(f"{HOME}.{room}")
    found: dict[str, type] = {}
    for name in sorted(getattr(module, "__all__", vars(module))):
        value = getattr(module, name)
        concrete = isinstance(value, type) and not inspect.isabstract(value)
        if not concrete or not issubclass(value, base) or not issubclass(value, Declared):
            continue
        if value.__module__.split(".")[:2] == [HOME, room]:
            found[name] = value
    return found
