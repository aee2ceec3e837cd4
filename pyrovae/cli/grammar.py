"""Grammar: what may follow which word of a command line, for the shells that complete it.

A path is a flag without its dashes, such as `model.prior.dim`; below `model.prior` are the
arguments of the class that is chosen there. Values are words, or one of `FILES`, `FOLDERS` and
`RUNS`, which the shell looks up by itself.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, get_args

from pyrovae.cli.arguments import Parser
from pyrovae.cli.help import FLAGS
from pyrovae.cli.settings import DEFAULTS, options
from pyrovae.config import (
    ROOMS,
    Argument,
    Written,
    arguments,
    literals,
    named_classes,
    own_arguments,
)
from pyrovae.data import NAMES
from pyrovae.declared import Declared

FILES, FOLDERS, RUNS = "@files", "@folders", "@runs"

TRAIN, COMPARE = "train", "compare"
_DEPTH = 6  # flags with more words have never been typed by anybody

Words = list[str]
Key = tuple[str, ...]


@dataclass
class Grammar:
    """What may follow what.

    Arguments:
        verbs: what each verb does.
        first: the words that may stand behind a verb and are no flags, by verb.
        switches: the flags that take no value, by verb.
        values: the values of a flag, by verb and path.
        below: the names below a path, by verb, path and the class chosen there; those of all
            classes under the class "".
        chosen: the class that is chosen where the user names none, by verb and path.
    """

    verbs: dict[str, str]
    first: dict[str, Words] = field(default_factory=dict)
    switches: dict[str, Words] = field(default_factory=dict)
    values: dict[Key, Words] = field(default_factory=dict)
    below: dict[Key, Words] = field(default_factory=dict)
    chosen: dict[Key, str] = field(default_factory=dict)

    def add_verb(self, verb: str, parser: Parser) -> None:
        """Add a verb whose words a parser reads."""
        names = self.below.setdefault((verb, "", ""), [])
        for action in parser._actions:
            if not action.option_strings:
                self.first[verb] = _values(action)
                continue
            name = action.option_strings[-1].removeprefix("--")
            names.append(name)
            if action.nargs == 0:
                self.switches.setdefault(verb, []).append(name)
            else:
                self.values[verb, name] = _values(action)

    def add_train(self) -> None:
        """Add the verb `train`, with the arguments of every class that can be named."""
        top = self.below[TRAIN, "", ""] = ["help"]
        self.switches[TRAIN] = ["help"]
        for name, (value, _) in FLAGS.items():
            top.append(name)
            if value:
                self.values[TRAIN, name] = _KINDS.get(value, [])
            else:
                self.switches[TRAIN].append(name)
        self.add_settings(TRAIN, arguments(options))

    def add_settings(self, verb: str, taken: Mapping[str, Argument]) -> None:
        """Add settings of a training run to what a verb takes.

        Arguments:
            verb: the verb.
            taken: the settings, by name.
        """
        self._add_arguments(verb, "", "", taken, DEFAULTS)
        for name, source in NAMES.items():
            self.below[verb, "data", name] = self.below[verb, "data", source.__name__]

    def _add_arguments(
        self,
        verb: str,
        path: str,
        chosen: str,
        taken: Mapping[str, Argument],
        given: Mapping[str, Any],
    ) -> None:
        """Add the arguments of what is chosen at a path."""
        for name in dict.fromkeys((chosen, "")):
            _extend(self.below.setdefault((verb, path, name), []), taken)
        for name, argument in taken.items():
            inner = f"{path}.{name}" if path else name
            self._add_argument(verb, inner, argument, given.get(name))

    def _add_argument(self, verb: str, path: str, argument: Argument, given: Any) -> None:
        classes = named_classes(argument.bases) if path.count(".") < _DEPTH else {}
        words = [*classes, *literals(argument.annotation)]
        if bool in (argument.annotation, *get_args(argument.annotation)):
            words += ["true", "false"]
        words += _PLACES.get(path, [])
        _extend(self.values.setdefault((verb, path), []), words)
        if isinstance(given, Written):
            self.chosen[verb, path] = given.name
        for name, maker in classes.items():
            inner = given.given if isinstance(given, Written) and given.name == name else {}
            self._add_arguments(verb, path, name, own_arguments(maker), inner)
            if issubclass(maker, Declared):
                for chosen in (name, ""):
                    _extend(self.below[verb, path, chosen], ["help"])
                _extend(self.values.setdefault((verb, f"{path}.help"), []), [name])


def grammar(verbs: Mapping[str, str]) -> Grammar:
    """Return the grammar of the whole command.

    Arguments:
        verbs: the verbs there are, with what they do; each but `train` has a `parser()`.

    Example:
        >>> whole = grammar({"train": "train a model", "sample": "draw data"})
        >>> whole.below["train", "model.prior", "VampPrior"]
        ['dim', 'components', 'help']
        >>> whole.first["sample"]
        ['@runs']
    """
    found = Grammar(dict(verbs))
    for verb in verbs:
        if verb == TRAIN:
            found.add_train()
        else:
            found.add_verb(verb, import_module(f"pyrovae.cli.{verb}").parser())
        if verb == COMPARE:  # a comparison has seeds of its own
            settings = arguments(options)
            found.add_settings(verb, {n: a for n, a in settings.items() if n != "seed"})
    return found


def alike(entries: Mapping[Key, Words]) -> dict[tuple[str, ...], list[Key]]:
    """Return the keys that stand for the same words, by those words, but for those without any.

    Example:
        >>> alike({("train", "seed"): [], ("train", "a"): ["x"], ("compare", "a"): ["x"]})
        {('x',): [('train', 'a'), ('compare', 'a')]}
    """
    found: dict[tuple[str, ...], list[Key]] = {}
    for key, words in entries.items():
        if words:
            found.setdefault(tuple(words), []).append(key)
    return found


_KINDS = {
    "FILE": [FILES],
    "FOLDER": [FOLDERS],
    "RUN": [RUNS],
    "ROOM": [*ROOMS],
}  # what a word of the help stands for
_PLACES = {"data": [*NAMES, FILES], "data.path": [FILES], "data.root": [FOLDERS]}


def _values(action: argparse.Action) -> Words:
    """Return what may stand for the value of an argument of a parser."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    if action.dest == "data":
        sources = named_classes(arguments(options)["data"].bases)
        return [*sources, *_PLACES["data"]]
    return _KINDS.get(str(action.metavar), [])


def _extend(words: Words, more: Iterable[str]) -> None:
    """Add the words that are not there yet."""
    words += [word for word in more if word not in words]
