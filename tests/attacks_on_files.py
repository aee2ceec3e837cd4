"""Attacks on files: something else in their place, and text that is no honest configuration."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attack_tools import (
    MODEL,
    RUN,
    STATE,
    Attack,
    in_text,
    in_yaml,
    instead,
    model_config,
    plain_state,
    run_config,
    sparse,
    tensors_of_state,
    text_instead,
    weights,
)

FILES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "model config": (model_config, MODEL),
    "weights": (weights, MODEL),
    "run config": (run_config, RUN),
    "state": (plain_state, STATE),
    "tensors": (tensors_of_state, STATE),
}


def elsewhere(target: Path) -> None:
    """A link to a good file of the same name in another run."""
    run = next(parent for parent in target.parents if parent.name == "run")
    target.symlink_to(run.parent / "good" / target.relative_to(run))


def nothing(target: Path) -> None:
    """The file is missing."""


STAND_INS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a FIFO": (os.mkfifo, "no file that could be read"),
    "a folder": (Path.mkdir, "no file that could be read"),
    "a link to endless zeros": (lambda target: target.symlink_to("/dev/zero"), ""),
    "a link to itself": (lambda target: target.symlink_to(target.name), ""),
    "a link to nowhere": (lambda target: target.symlink_to("nowhere"), ""),
    "a link out": (elsewhere, "is a link that leads elsewhere"),
    "a gigabyte of nothing": (lambda target: sparse(target, 2**30), ""),
    "an empty file": (lambda target: target.write_bytes(b""), ""),
    "bytes that are no text": (lambda target: target.write_bytes(b"\xff\xfe\x00\x80" * 50), ""),
    "missing": (nothing, ""),
}
FEWER = {  # what is no attack for all who read the file
    ("run config", "a link out"): ("resume", "evaluate"),  # users may name a link
    ("run config", "missing"): ("config", "resume"),  # to `evaluate` it is a model by itself
    ("run config", "an empty file"): ("evaluate",),  # no settings: all at their defaults
}

ATTACKS = {
    f"{what}: {stand_in}": Attack(instead(where, make), FEWER.get((what, stand_in), entries), said)
    for what, (where, entries) in FILES.items()
    for stand_in, (make, said) in STAND_INS.items()
}

# -------------------------------------------------------------------------------------------- text

DEEP = 100_000
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)

TEXTS: dict[str, tuple[Callable[[str], str], str]] = {
    "a bomb of aliases": (lambda text: BOMB + text, "aliases"),
    "an alias to itself": (lambda text: f"x: &x [*x]\n{text}", "aliases"),
    "deep lists": (lambda text: f"{text}\ndeep: {'[' * DEEP}{']' * DEEP}\n", "deeply"),
    "deep lists without end": (lambda text: "[" * DEEP, "deeply"),
    "deep mappings": (lambda text: f"{text}\ndeep: {'{a: ' * (DEEP // 2)}", "deeply"),
    "deep dashes": (lambda text: "- " * DEEP, "deeply"),
    "deep questions": (lambda text: "? " * DEEP, "deeply"),
    "a tag that runs code": (
        lambda text: f"{text}\nx: !!python/object/apply:os.system [touch owned]\n", "tags",
    ),
    "a tag that names code": (lambda text: f"{text}\nx: !!python/name:os.system\n", "tags"),
    "a tag that makes a set": (lambda text: text.replace("dim: 2", "dim: !!set {2}"), "tags"),
    "a tag that makes bytes": (lambda text: text.replace("dim: 2", "dim: !!binary aGk="), "tags"),
    "a tag that makes a date": (
        lambda text: text.replace("dim: 2", "dim: !!timestamp 2024-01-01"), "tags",
    ),
    "a tag of its own": (lambda text: text.replace("dim: 2", "dim: !evil 2"), "tags"),
    "a merge": (lambda text: text.replace("dim: 2", "!!merge <<: {dim: 2}"), "tags"),
    "a key given twice": (
        lambda text: text.replace("dim: 2", "dim: 2\n        dim: 3"), "given twice",
    ),
    "another model": (
        lambda text: f"{text}\nmodel: {{class_path: os.system}}\n", "given twice",
    ),
    "a key that is a list": (lambda text: f"{text}\n? [a, b]\n: 1\n", "key"),
    "several documents": (lambda text: f"{text}\n---\n{text}", "document"),
    "a list": (lambda text: "- a\n- b\n", ""),
    "a word": (lambda text: "hello", ""),
    "control characters": (lambda text: text + "\x00\x1b", "special characters"),
    "a reserved sign": (lambda text: "@" + text, "cannot"),
    "a megabyte of comment": (lambda text: text + "#" * 10**6, "bytes"),
    "a wide list": (lambda text: f"{text}\nwide: [{'0,' * 100_000}]\n", "values"),
    "a wide mapping": (
        lambda text: text + "".join(f"x{at}: 1\n" for at in range(9_000)), "values",
    ),
    "a number of many digits": (
        lambda text: text.replace("dim: 2", f"dim: {'9' * 5000}"), "digits",
    ),
}  # fmt: skip
ATTACKS |= {
    f"text: {what}": Attack(
        in_text(model_config, run_config, change=change),
        ("load", "sample", "config", "resume"),
        said,
    )
    for what, (change, said) in TEXTS.items()
}

# ------------------------------------------------------------------------------------------ format

FORMATS = {
    "later": 2,
    "far": 10**20,
    "zero": 0,
    "negative": -1,
    "a fraction": 1.0,
    "true": True,
    "a text": "1",
    "null": None,
    "a list": [1],
}
ATTACKS |= {
    f"format: {what}": Attack(in_yaml(model_config, "format", value=value), MODEL, "format")
    for what, value in FORMATS.items()
}
ATTACKS["format: absent"] = Attack(
    in_text(model_config, change=lambda text: text[text.index("model:") :]), MODEL, "format"
)
ATTACKS["format: all there is"] = Attack(text_instead(model_config, "format: 1"), MODEL, "'model'")
