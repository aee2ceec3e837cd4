"""Grid: what a comparison varies, and every combination of it.

A varied setting is written as `model.prior=StandardNormal,VampPrior`: its key, and its values as
they would stand on a command line, or in YAML. Commas inside of brackets and quotes belong to a
value.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from typing import Any

from pyrovae.config import parse

_PAIRS = {"]": "[", "}": "{", ")": "("}
_QUOTES = "\"'"
_PLAIN = re.compile(r"[^\w.+-]+")  # what does not stand in the name of a folder
_LONGEST = 60  # letters of a value in the name of a folder


@dataclass(frozen=True)
class Value:
    """One value of a varied setting.

    Arguments:
        text: as it is shown.
        given: as a flag has it: a text, or a tree where a class was written with its arguments.
    """

    text: str
    given: Any

    @property
    def number(self) -> float | None:
        """The value as a number, None where it is none."""
        found = _parsed(self.text)
        plain = isinstance(found, int | float) and not isinstance(found, bool)
        return float(found) if plain else None


@dataclass(frozen=True)
class Varied:
    """A setting that is varied.

    Arguments:
        key: where it stands in a configuration, such as `model.prior`.
        values: its values.
    """

    key: str
    values: tuple[Value, ...]


def varied(text: str) -> Varied:
    """Return what a word such as `data.labels=100,1000` varies.

    Raises:
        ValueError: it has no such form, or a value stands in it twice.

    Example:
        >>> found = varied("model.encoder.hidden=[400,400],[100]")
        >>> found.key, [value.text for value in found.values]
        ('model.encoder.hidden', ['[400,400]', '[100]'])
    """
    key, equals, rest = text.partition("=")
    key = key.strip().replace("-", "_").replace(".init_args.", ".").removesuffix(".class_path")
    if not equals or not all(map(str.isidentifier, key.split("."))):
        raise ValueError(
            f"--vary: expected KEY=VALUE,VALUE such as data.labels=100,1000; got {text!r}"
        )
    words = split(rest, owner=f"--vary {key}")
    if not all(words):
        raise ValueError(f"--vary {key}: a value must stand on each side of a comma; got {rest!r}")
    values = tuple(_value(word, key) for word in words)
    texts = [value.text for value in values]
    for at, shown in enumerate(texts):
        if shown in texts[:at]:
            raise ValueError(f"--vary {key}: the value {shown} is given twice")
    return Varied(key, values)


def split(text: str, *, owner: str = "") -> list[str]:
    """Return the words between the commas of a text, but for commas in brackets or quotes.

    Arguments:
        text: the text.
        owner: what it is called in errors.

    Raises:
        ValueError: a bracket or a quote is not closed.

    Example:
        >>> split("1, [2,3],{a: 4, b: 5},'6,7'")
        ['1', '[2,3]', '{a: 4, b: 5}', "'6,7'"]
    """
    words, opened, quote = [""], list[str](), ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES and not words[-1].strip():
            quote = letter
        elif letter in _PAIRS.values():
            opened.append(letter)
        elif letter in _PAIRS:
            if not opened or opened.pop() != _PAIRS[letter]:
                raise ValueError(f"{owner}: {letter!r} closes nothing in {text!r}")
        elif letter == "," and not opened:
            words.append("")
            continue
        words[-1] += letter
    if opened or quote:
        raise ValueError(f"{owner}: {(quote or opened[-1])!r} is not closed in {text!r}")
    return [word.strip() for word in words]


def combinations(settings: Sequence[Varied]) -> Iterator[tuple[Value, ...]]:
    """Yield every combination of values, the last setting running fastest.

    Example:
        >>> both = [varied("a=1,2"), varied("b=x,y")]
        >>> [" ".join(value.text for value in values) for values in combinations(both)]
        ['1 x', '1 y', '2 x', '2 y']
    """
    yield from product(*(setting.values for setting in settings))


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Return the shortest ends of keys that tell them apart.

    Example:
        >>> short_keys(["model.prior.dim", "model.posterior", "data.labels"])
        {'model.prior.dim': 'dim', 'model.posterior': 'posterior', 'data.labels': 'labels'}
        >>> short_keys(["data.seed", "model.seed"])
        {'data.seed': 'data.seed', 'model.seed': 'model.seed'}
    """
    found = {}
    for key in keys:
        words = key.split(".")
        ends = [".".join(words[at:]) for at in range(len(words) - 1, -1, -1)]
        others = [other for other in keys if other != key]
        alone = (e for e in ends if not any(o == e or o.endswith(f".{e}") for o in others))
        found[key] = next(alone, key)
    return found


def folder_names(values: Sequence[Value]) -> dict[str, str]:
    """Return how values are called in names of folders, by their texts; no two are called alike.

    Example:
        >>> folder_names([Value("[400,400]", ""), Value("a/b.csv", ""), Value("1e-3", "")])
        {'[400,400]': '400-400', 'a/b.csv': 'a-b.csv', '1e-3': '1e-3'}
    """
    plain = {value.text: _PLAIN.sub("-", value.text).strip("-.") for value in values}
    names = list(plain.values())
    return {
        text: name
        if 0 < len(name) <= _LONGEST and names.count(name) == 1
        else f"{name[:_LONGEST]}-{sha256(text.encode()).hexdigest()[:6]}".lstrip("-")
        for text, name in plain.items()
    }


def _value(word: str, key: str) -> Value:
    """Return a value as the user wrote it; a class with arguments as the call it stands for."""
    if word[0] in _QUOTES:
        return Value(str(parse(word)), str(parse(word)))
    if word[0] == "{":
        tree = parse(word, source=f"--vary {key}")
        return Value(_called(tree), tree)
    return Value(word, word)


def _called(tree: Any) -> str:
    """Return a tree as one writes it down in Python."""
    if isinstance(tree, list):
        return f"[{', '.join(map(_called, tree))}]"
    if not isinstance(tree, dict):
        return str(tree)
    if "class_path" not in tree:
        return f"{{{', '.join(f'{key}: {_called(item)}' for key, item in tree.items())}}}"
    given = tree.get("init_args")
    inner = given.items() if isinstance(given, dict) else ()
    shown = ", ".join(f"{key}={_called(item)}" for key, item in inner)
    return f"{str(tree['class_path']).rpartition('.')[2]}({shown})"


def _parsed(text: str) -> Any:
    with suppress(ValueError):
        return parse(text)
    return text
