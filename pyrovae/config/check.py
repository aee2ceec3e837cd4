"""Checks: a tree as a user wrote it, made whole, with every problem found at once.

A user's tree has short class names, strings where a command line has nothing else, and leaves out
what has a default. `complete` returns the tree in full, with one line for each problem: its path,
what was given, and the nearest valid spelling.
"""

import inspect
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, get_origin

from pyrovae.config.names import allowed, choices, find, public_path, shown, words_of
from pyrovae.config.signature import (
    REQUIRED,
    Argument,
    alternatives,
    arguments,
    described,
    literals,
)
from pyrovae.config.text import parse
from pyrovae.config.tree import to_tree
from pyrovae.config.written import Written, laid
from pyrovae.declared import Declared
from pyrovae.spelling import nearest

_NOTHING = ("null", "none")  # in place of a class, where there may be none


@dataclass
class _Check:
    """One look at a tree."""

    allow: tuple[str, ...]
    linked: frozenset[str]
    problems: list[str] = field(default_factory=list)

    def say(self, path: str, text: str) -> None:
        self.problems.append(f"{path}: {text}")

    def values(
        self, given: Mapping[str, Any], signature: Mapping[str, Argument], path: str, owner: str
    ) -> dict[str, Any]:
        """Return all arguments of one call, those not given at their defaults."""
        whole: dict[str, Any] = {}
        for name in given:
            if name not in signature:
                has = f"{owner} has no argument" if owner else "there is no option"
                hint = nearest(name, signature) or _known(signature)
                self.say(_join(path, name), f"{has} {name!r}{hint}")
        for name, argument in signature.items():
            if name in given:
                whole[name] = self.value(given[name], argument, _join(path, name))
            elif argument.default is not REQUIRED:
                whole[name] = _plain(argument.default)
            elif name not in self.linked:
                self.say(_join(path, name), f"missing; expected {described(argument.annotation)}")
        return whole

    def value(self, given: Any, argument: Argument, path: str) -> Any:
        """Return one argument as a plain value or a full tree."""
        bases, plain = argument.bases, argument.plain
        if argument.item is not None:
            return self.parts(given, argument, argument.item, path)
        text = given.name if isinstance(given, Written) and not given.given else given
        may_lack = bases and type(None) in alternatives(argument.annotation)
        if may_lack and isinstance(text, str) and text.lower() in _NOTHING:
            return None
        if bases and isinstance(text, str) and plain is not None and _typed(text, plain)[1]:
            given = text  # a number or null where a class can be named as well
        elif bases and isinstance(given, str):
            given = Written(given)
        if isinstance(given, Written):
            if not bases:
                self.say(path, f"takes {described(argument.annotation)}, which has no arguments")
                return None
            return self.made(given, bases, path, argument)
        if isinstance(given, dict) and "function" in given and bases:
            return given  # what it names is looked at when it is found
        if plain is None and not bases:
            kind = described(argument.annotation) or "an object"
            self.say(path, f"takes {kind}, which no text can give; give it in Python")
            return None
        converted, fits = (given, False) if plain is None else _typed(given, plain)
        if not fits:
            hint = nearest(given, literals(argument.annotation))
            if bases and isinstance(given, dict):
                hint = "; a class is written as class_path and, under init_args, its arguments"
            self.say(path, f"expected {described(argument.annotation)}; got {given!r}{hint}")
            return None
        return _plain(converted)

    def parts(self, given: Any, argument: Argument, item: Argument, path: str) -> list[Any] | None:
        """Return the full trees of a list of parts, each one a name or a tree."""
        found = given
        if isinstance(given, str):
            with suppress(ValueError):
                found = parse(given)
        if not isinstance(found, list | tuple):
            self.say(path, f"expected {described(argument.annotation)}; got {given!r}")
            return None
        trees = []
        for at, named in enumerate(found):
            part = named
            if isinstance(part, dict) and isinstance(part.get("class_path"), str):
                part = Written(part["class_path"], dict(part.get("init_args") or {}))
            trees.append(self.value(part, item, f"{path}[{at}]"))
        return trees

    def made(
        self, written: Written, bases: tuple[type, ...], path: str, argument: Argument
    ) -> dict[str, Any] | None:
        """Return the full tree of a class that was named."""
        maker, problem = self.chosen(written.name, bases)
        if maker is None:
            if argument.plain is not None and not written.given:
                problem = f"expected {described(argument.annotation)}; {problem}"
            self.say(path, problem)
            return None
        signature = own_arguments(maker)
        given = laid(self.kept(written, signature, bases), written.given)
        init_args = self.values(given, signature, path, maker.__name__)
        if not issubclass(maker, Declared):  # a library's defaults are its own, and change
            init_args = {name: value for name, value in init_args.items() if name in given}
        return {"class_path": public_path(maker), "init_args": init_args}

    def kept(
        self, written: Written, signature: Mapping[str, Argument], bases: tuple[type, ...]
    ) -> dict[str, Any]:
        """Return the arguments that were given for the class before and fit this one too."""
        before = written.before
        earlier = None if before is None else self.chosen(before.name, bases)[0]
        if before is None or earlier is None:
            return {}
        other = own_arguments(earlier)
        given = self.kept(before, other, bases) | before.given
        return {
            name: value
            for name, value in given.items()
            if name in signature
            and name in other
            and signature[name].annotation == other[name].annotation
        }

    def chosen(self, name: str, bases: tuple[type, ...]) -> tuple[type | None, str]:
        """Return the class that a name stands for among those of the bases, or what is wrong."""
        known = named_classes(bases)
        if name in known:
            return known[name], ""
        wanted = " or ".join(base.__name__ for base in bases)
        if not name:
            return None, f"name a {wanted} first{_known(known)}"
        if not all(map(str.isidentifier, name.split("."))) or "." not in name:
            return None, f"no {wanted} is called {name!r}{nearest(name, known) or _known(known)}"
        library = [_package(base) for base in bases if not issubclass(base, Declared)]
        try:
            root = words_of(name)[0]
            if not allowed(name, (*self.allow, *library)):
                return None, (
                    f"{shown(name)} lies outside pyrovae and is not imported; if you trust it, "
                    f"add --allow {root}"
                )
            found = find(name, allow=(*self.allow, *library))
        except ValueError as error:
            return None, str(error)
        if not isinstance(found, type) or not issubclass(found, bases) or inspect.isabstract(found):
            return None, f"{name!r} is not a class of the kind {wanted}"
        return found, ""


def complete(
    given: Mapping[str, Any],
    signature: Mapping[str, Argument],
    *,
    allow: Iterable[str] = (),
    linked: Iterable[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """Return a user's tree in full, and a line for each problem in it.

    Arguments:
        given: the tree, with `Written` where a class is named.
        signature: the arguments there are at the top.
        allow: packages beside pyrovae whose classes may be named.
        linked: names of arguments that may be missing, because they are filled in later.

    Example:
        >>> from pyrovae.priors import Prior
        >>> signature = {"prior": Argument(Prior, REQUIRED), "epochs": Argument(int, 20)}
        >>> complete({"prior": Written("VampPrior", {"dim": "50"})}, signature)[0]["prior"]
        {'class_path': 'pyrovae.priors.VampPrior', 'init_args': {'dim': 50, 'components': 500}}
        >>> for line in complete({"prior": "VampPrio", "epoch": 3}, signature)[1]:
        ...     print(line)
        epoch: there is no option 'epoch'; did you mean 'epochs'?
        prior: no Prior is called 'VampPrio'; did you mean 'VampPrior'?
    """
    look = _Check(tuple(allow), frozenset(linked))
    return look.values(given, signature, "", ""), look.problems


def named_classes(bases: Iterable[type]) -> dict[str, type]:
    """Return the classes that a short name can stand for where these bases are expected.

    Example:
        >>> from pyrovae.posteriors import Posterior
        >>> "FullRankNormal" in named_classes([Posterior])
        True
    """
    known: dict[str, type] = {}
    for base in bases:
        known |= choices(base) if issubclass(base, Declared) else _library(base)
    return known


def own_arguments(maker: type) -> dict[str, Argument]:
    """Return the arguments of a class that a user gives; an optimiser gets its first by `fit`.

    Example:
        >>> import torch
        >>> list(own_arguments(torch.optim.SGD))[:2]
        ['lr', 'momentum']
    """
    signature = arguments(maker)
    if not issubclass(maker, Declared):
        signature.pop(next(iter(signature)), None)
    return signature


def _package(base: type) -> str:
    """Return the package that exports a library's base, and with it the classes to choose from."""
    return public_path(base).rpartition(".")[0]


def _library(base: type) -> dict[str, type]:
    """Return the subclasses of a library's base, by name, in the package that exports it."""
    return {
        name: value
        for name, value in vars(import_module(_package(base))).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
        if not name.startswith("_")
    }


def _typed(value: Any, annotation: Any) -> tuple[Any, bool]:
    """Return a value as an annotation has it, and whether it fits; jsonargparse reads both."""
    from jsonargparse import ArgumentError, ArgumentParser

    if annotation is Any:
        with suppress(ValueError):
            return parse(value) if isinstance(value, str) else value, True
        return value, True
    if value is None:
        return value, type(None) in alternatives(annotation)
    tries = [value]
    if get_origin(annotation) is tuple and not isinstance(value, list):
        tries.append([value])  # one number where a list of them is meant
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jsonargparse's advice to writers of parsers
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--value", type=annotation)
        for attempt in tries:
            with suppress(ArgumentError, TypeError, ValueError):
                return parser.parse_object({"value": attempt})["value"], True
    return value, False


def _plain(value: Any) -> Any:
    try:
        return to_tree(value)
    except ValueError:
        return None  # a default that no text can hold is the callee's own affair


def _known(names: Iterable[str]) -> str:
    listed = ", ".join(name for name in names)
    return f"; there are: {listed}" if listed else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
