"""Flags: the words of a command line, and configuration files, as one user's tree.

`--model.prior VampPrior --model.prior.dim 50` names a class and one of its arguments; their order
does not matter. What is written later goes over what was written before, and all of it over the
configuration files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyrovae.cli.errors import UsageError
from pyrovae.config import Written
from pyrovae.spelling import nearest

_LONG_FORM = ("class_path", "init_args")  # jsonargparse's own, accepted in flags as well


@dataclass
class Flags:
    """What a command line holds.

    Arguments:
        switches: the flags that take no value and were given.
        values: the other flags with their values, in order.
    """

    switches: set[str] = field(default_factory=set)
    values: list[tuple[str, str]] = field(default_factory=list)

    def take(self, name: str) -> list[str]:
        """Remove a flag and return its values."""
        taken = [value for flag, value in self.values if flag == name]
        self.values = [(flag, value) for flag, value in self.values if flag != name]
        return taken


def lex(
    words: Sequence[str], *, switches: Sequence[str] = (), booleans: Sequence[str] = ()
) -> Flags:
    """Return the flags of a command line.

    Arguments:
        words: the words after the verb.
        switches: flags without a value.
        booleans: flags that mean true where no value follows.

    Raises:
        UsageError: a word is no flag, or a flag has no value.

    Example:
        >>> lex(["--seed", "3", "--objective.beta=0.5"]).values
        [('seed', '3'), ('objective.beta', '0.5')]
    """
    found = Flags()
    problems = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not word.startswith("--") or not all(name.split(".")):
            problems.append(
                f"unexpected {word!r}: a value follows its flag, a list is one word [1,2]"
            )
            continue
        if name in switches:
            found.switches.add(name)
            continue
        if not equals:
            follows = rest and not rest[0].startswith("--")
            value = rest.pop(0) if follows else "true" if name in booleans else ""
        if value:
            found.values.append((name, value))
        else:
            # no value follows these: one of them may be meant, misspelt
            meant = nearest(name, switches, cutoff=0.9) or nearest(name, booleans, cutoff=0.8)
            problems.append(f"--{name}: a value must follow{meant}")
    if problems:
        raise UsageError(problems)
    return found


def layer(tree: dict[str, Any], flags: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return a tree with flags written over it.

    Example:
        >>> layer({}, [("model.prior.dim", "50"), ("model.prior", "VampPrior")])["model"].given
        {'prior': Written(name='VampPrior', given={'dim': '50'}, before=None)}
    """
    for name, value in sorted(flags, key=lambda flag: flag[0].count(".")):
        keys = [key for key in name.split(".") if key != "init_args"]
        keys = keys[:-1] if keys[-1] == "class_path" else keys
        new: Any = value
        for key in reversed(keys[1:]):
            new = Written("", {key: new})
        tree = {**tree, keys[0]: over(tree.get(keys[0]), new)}
    return tree


def over(old: Any, new: Any) -> Any:
    """Return what stands where `new` was written over `old`."""
    if new and isinstance(new, str) and isinstance(old, Written):
        new = Written(new)
    if not isinstance(new, Written):
        return new
    if isinstance(old, str):
        old = Written(old)
    if not isinstance(old, Written):
        return new
    if new.name and new.name.rpartition(".")[2] != old.name.rpartition(".")[2]:
        return Written(new.name, new.given, before=old)
    given = dict(old.given)
    for name, value in new.given.items():
        given[name] = over(given.get(name), value)
    return Written(new.name or old.name, given, before=old.before)


def written(tree: Any, *, path: str = "") -> Any:
    """Return a tree that was read from a file with `Written` for each class in it.

    Raises:
        ValueError: a class is not written as class_path and init_args.
    """
    if isinstance(tree, list):
        return [written(item, path=f"{path}[{at}]") for at, item in enumerate(tree)]
    if not isinstance(tree, Mapping):
        return tree
    if not any(key in tree for key in _LONG_FORM):
        return {
            key: written(item, path=f"{path}.{key}" if path else str(key))
            for key, item in tree.items()
        }
    given = tree.get("init_args") or {}
    others = [key for key in tree if key not in _LONG_FORM]
    if others or not isinstance(given, Mapping) or not isinstance(tree.get("class_path", ""), str):
        raise ValueError(
            f"{path}: a class is written as class_path and, under init_args, its arguments"
        )
    inner = {key: written(item, path=f"{path}.{key}") for key, item in given.items()}
    return Written(tree.get("class_path", ""), inner)
