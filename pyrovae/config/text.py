"""Text: the subset of YAML that configurations are written in.

It is YAML 1.2's core schema: `1e-3` is a number, `no` and `2024-01-01` are strings, which PyYAML
by itself reads otherwise. There are no tags, no aliases and no repeated keys, so that a file means
what it seems to mean. Its length, its depth and the number of its values have limits, far above
what a configuration needs, so that no file takes longer to read than a few seconds.
"""

import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from pyrovae.files import read_whole
from pyrovae.spelling import nearest

LARGEST = 250_000  # bytes; a configuration is a few thousand
MOST = 3_000  # values; a configuration has a hundred
DEEPEST = 80  # levels; a configuration has ten

_TOO_MANY = f"it holds more than {MOST} values"
_TOO_DEEP = f"it is nested too deeply, in more than {DEEPEST} levels"

_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_RESOLVERS = [
    ("tag:yaml.org,2002:null", _NULL, ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", _BOOL, list("tTfF")),
    ("tag:yaml.org,2002:int", _INT, list("-+0123456789")),
    ("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789")),
]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the resolvers above, the limits, no aliases, tags or repeats."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012  (as PyYAML declares it)
    _values = 0
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"aliases such as *{event.anchor} are not used here")
        if event.tag is not None:
            raise yaml.YAMLError(f"tags such as {event.tag} are not used here")
        self._values += 1
        if self._values > MOST:
            raise yaml.YAMLError(_TOO_MANY)
        if self._depth >= DEEPEST:
            raise yaml.YAMLError(_TOO_DEEP)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  (PyYAML's signature)
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise yaml.YAMLError("a key must be a word")
            if key in seen:
                raise yaml.YAMLError(f"the key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper with the resolvers above, short lists in one line, no aliases."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012  (as PyYAML declares it)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    plain = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=plain)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # other quotes would turn these line breaks into newlines
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


for _kind in (_Loader, _Dumper):
    for _tag, _pattern, _first in _RESOLVERS:
        _kind.add_implicit_resolver(_tag, _pattern, _first)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)


def dump(tree: Any) -> str:
    """Return a plain tree as text.

    Arguments:
        tree: dicts, lists, strings, numbers, booleans and None.

    Raises:
        ValueError: something else is in the tree, or more than `parse` would read.

    Example:
        >>> print(dump({"lr": 1e-05, "hidden": [300, 300], "label": "1e-3"}), end="")
        lr: 1.0e-05
        hidden: [300, 300]
        label: '1e-3'
    """
    if _count(tree) > MOST:
        raise ValueError(f"a configuration cannot be written: {_TOO_MANY}; keep tables in a file")
    try:
        text = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    except yaml.YAMLError as error:
        raise ValueError(f"a configuration holds plain values only: {error}") from error
    if len(text.encode()) > LARGEST:
        raise ValueError(f"a configuration cannot be written: it has more than {LARGEST} bytes")
    return text


def _count(tree: Any, depth: int = 0) -> int:
    """Return how many values a tree holds, keys included."""
    if not isinstance(tree, dict | list):
        return 1
    if depth >= DEEPEST - 1:
        raise ValueError(f"a configuration cannot be written: {_TOO_DEEP}")
    inner = tree.values() if isinstance(tree, dict) else tree
    keys = len(tree) if isinstance(tree, dict) else 0
    return 1 + keys + sum(_count(item, depth + 1) for item in inner)


def parse(text: str, *, source: str = "the configuration") -> Any:
    r"""Return the plain tree that a text stands for.

    Arguments:
        text: the text.
        source: where it comes from, named in errors.

    Raises:
        ValueError: it is not in the subset of YAML described above.

    Example:
        >>> parse("{lr: 1e-3, when: 2024-01-01, shuffle: no}")
        {'lr': 0.001, 'when': '2024-01-01', 'shuffle': 'no'}
        >>> parse("dim: 1\ndim: 2")
        Traceback (most recent call last):
        ValueError: the configuration cannot be read: the key 'dim' is given twice
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"{source} cannot be read: {error.problem}{place}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{source} cannot be read: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{source} cannot be read: {_TOO_DEEP}") from error


def read(file: Path) -> Any:
    """Return the plain tree in a file.

    Arguments:
        file: the path of a text file.

    Raises:
        OSError: the file cannot be read, or is no file but a pipe or the like.
        ValueError: it is larger than 250 kB, not text, or not in the subset of YAML.
    """
    if os.path.isdir(file):
        raise IsADirectoryError(f"{file} is a folder; expected a file of settings")
    if not os.path.lexists(file):
        beside = [str(path) for path in file.parent.glob(f"*{file.suffix}")] if file.suffix else []
        hint = nearest(file, beside) or f": check the path, seen from {Path.cwd()}"
        raise FileNotFoundError(f"there is no file {file}{hint}")
    content = read_whole(file, most=LARGEST)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is no configuration: it is no text in UTF-8, from byte {error.start} on"
        ) from error
    return parse(text, source=str(file))
