"""Attacks on the weights of a model: other tensors, other bytes, another header."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from attack_tools import (
    MODEL,
    Attack,
    Damage,
    Tree,
    both,
    framed,
    in_bytes,
    in_file_of_tensors,
    in_header,
    sparse,
    weights,
)
from torch import Tensor

WEIGHT = "encoder_network.network.1.weight"  # [5, 6]
DEEP = 100_000


def in_weights(change: Callable[[dict[str, Tensor]], Any]) -> Damage:
    return in_file_of_tensors(weights, change)


def one(change: Callable[[Tensor], Tensor]) -> Damage:
    """Change one weight."""
    return in_weights(lambda state: state.update({WEIGHT: change(state[WEIGHT]).contiguous()}))


def every(change: Callable[[Tensor], Tensor]) -> Damage:
    """Change all weights."""

    def inner(state: dict[str, Tensor]) -> None:
        for name, value in state.items():
            if value.is_floating_point():
                state[name] = change(value).contiguous()

    return in_weights(inner)


def holding(value: float) -> Callable[[Tensor], Tensor]:
    """Return what sets one number of a tensor."""

    def change(tensor: Tensor) -> Tensor:
        tensor[0, 1] = value
        return tensor

    return change


KINDS = ("int32", "int64", "uint8", "bool", "float16", "bfloat16", "complex64", "float8_e4m3fn")
TENSORS: dict[str, tuple[Damage, str]] = {
    "one float64": (one(Tensor.double), "float64, expected torch.float32"),
    "nan": (one(holding(float("nan"))), "nan"),
    "infinite": (one(holding(float("-inf"))), "inf"),
    "nan in doubles": (every(lambda tensor: (tensor * float("nan")).double()), "nan"),
    "transposed": (one(lambda tensor: tensor.T), r"\[6, 5\], expected \[5, 6\]"),
    "flat": (one(Tensor.flatten), r"\[30\], expected \[5, 6\]"),
    "a dimension more": (one(lambda tensor: tensor[None]), r"\[1, 5, 6\]"),
    "one row for all": (one(lambda tensor: tensor[:1]), r"\[1, 6\]"),
    "a scalar": (one(lambda tensor: tensor[0, 0]), r"\[\]"),
    "of no size": (one(lambda tensor: tensor[:0]), r"\[0, 6\]"),
    "all of no size": (every(lambda tensor: tensor.flatten()[:0]), r"\[0\]"),
    "one missing": (in_weights(lambda state: state.pop(WEIGHT)), "is missing"),
    "all missing": (in_weights(dict.clear), "is missing"),
}
TENSORS |= {f"one {kind}": (one(lambda t, k=kind: t.to(getattr(torch, k))), kind) for kind in KINDS}
TENSORS |= {
    f"all {kind}": (every(lambda t, k=kind: t.to(getattr(torch, k))), kind) for kind in KINDS
}
TENSORS |= {
    f"one too many, {what}": (in_weights(lambda state, more=more: state.update(more)), "'s")
    for what, more in {
        "a stranger": {"stranger": torch.zeros(2)},
        "of no size": {"stranger": torch.zeros(0)},
        "with a dunder name": {"__class__": torch.zeros(1)},
        "with a path for a name": {"../../evil": torch.zeros(1)},
        "with a long name": {"x" * 10**6: torch.zeros(1)},
        "and thousands more": {f"x{at}": torch.zeros(1) for at in range(5000)},
    }.items()
}
TENSORS |= {
    f"prepared is {what}": (in_weights(lambda state, v=value: state.update(prepared=v)), "prepared")
    for what, value in {
        "twofold": torch.ones(2, dtype=torch.bool),
        "a number": torch.tensor(1.0),
    }.items()
}

# ------------------------------------------------------------------------------------------- bytes


def at_start(content: bytes, size: int) -> Damage:
    """Write a file that takes no room on the disk but for how it begins."""

    def damage(run: Path) -> None:
        sparse(weights(run), size)
        with weights(run).open("rb+") as opened:
            opened.write(content)

    return damage


PICKLE = b"cos\nsystem\n(S'touch owned'\ntR."
BYTES: dict[str, Damage] = {
    "padded": in_bytes(lambda head, data: framed(head, data + b"\0" * 64)),
    "led by padding": in_bytes(lambda head, data: b"\0" * 8 + framed(head, data)),
    "a pickle of torch": lambda run: torch.save({"x": torch.zeros(1)}, weights(run)),
    "a pickle that runs code": lambda run: weights(run).write_bytes(PICKLE),
    "an archive": lambda run: weights(run).write_bytes((run.parent / "rows.npz").read_bytes()),
    "a gigabyte of header": at_start(struct.pack("<Q", 2**30), 2**31),
    "gigabytes of spaces": at_start(struct.pack("<Q", 10**8) + b"{", 2**31),
}
BYTES |= {
    f"cut at {keep}": lambda run, keep=keep: weights(run).write_bytes(
        weights(run).read_bytes()[:keep]
    )
    for keep in (0, 7, 8, 100, -1)
}
BYTES |= {
    f"a header of {size} bytes": in_bytes(
        lambda head, data, size=size: struct.pack("<Q", size) + head + data
    )
    for size in (2**63, 2**64 - 1, 10**10, 10**8 + 1, 10**6)
}

# ------------------------------------------------------------------------------------------ header


def entry(**changes: Any) -> Callable[[Tree], Any]:
    return lambda header: header[WEIGHT].update(changes)


def notes(**changes: Any) -> Callable[[Tree], Any]:
    return lambda header: header.update(__metadata__=changes)


def also(more: bytes) -> Damage:
    """Add entries to the header as they stand."""
    return in_bytes(lambda head, data: framed(head.rstrip()[:-1] + b"," + more + b"}", data))


def again(header: bytes, data: bytes) -> bytes:
    """Give a good entry a second time."""
    same = json.dumps({WEIGHT: json.loads(header)[WEIGHT]}).encode()[1:-1]
    return framed(header.rstrip()[:-1] + b"," + same + b"}", data)


EMPTY = b'"offset": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}'
HEADERS: dict[str, Damage] = {
    "gigabytes": in_header(entry(shape=[10**9, 10], data_offsets=[0, 4 * 10**10])),
    "another shape in the same place": in_header(entry(shape=[10**6, 10**6])),
    "a shape that overflows": in_header(entry(shape=[2**62, 2**62, 4])),
    "a shape below zero": in_header(entry(shape=[-5, -6])),
    "a shape of fractions": in_header(entry(shape=[5.0, 6.0])),
    "a shape that is a text": in_header(entry(shape="5,6")),
    "places below zero": in_header(entry(data_offsets=[-120, 0])),
    "places backwards": in_header(entry(data_offsets=[120, 0])),
    "places that overlap": in_header(entry(data_offsets=[0, 120])),
    "places beyond": in_header(entry(data_offsets=[2**63, 2**63 + 120])),
    "an unknown kind": in_header(entry(dtype="F31")),
    "a kind that is a number": in_header(entry(dtype=3)),
    "notes that are numbers": in_header(notes(format=3)),
    "notes that are a list": in_header(lambda header: header.update(__metadata__=[1])),
    "frozen that are no text": in_header(notes(frozen="{")),
    "frozen that are no list": in_header(notes(frozen='"a"')),
    "frozen that nobody knows": in_header(notes(frozen='["a"]')),
    "frozen that are nested": in_header(notes(frozen="[" * DEEP)),
    "frozen that are lists": in_header(notes(frozen="[[1]]")),
    "frozen with a long name": in_header(notes(frozen=json.dumps(["x" * 10**6]))),
    "nested": in_bytes(lambda head, data: framed(b"[" * DEEP, data)),
    "nested entries": in_bytes(lambda head, data: framed(b'{"a":' * DEEP, data)),
    "no text": in_bytes(lambda head, data: framed(b"\xff" * 64, data)),
    "a list": in_bytes(lambda head, data: framed(b"[]", data)),
    "empty": in_bytes(lambda head, data: framed(b"", data)),
    "a name given twice": also(EMPTY + b", " + EMPTY),
    "a good name given twice": in_bytes(again),
}

ATTACKS = {
    f"weights: {what}": Attack(damage, MODEL, said) for what, (damage, said) in TENSORS.items()
}
ATTACKS |= {f"weights: {what}": Attack(damage, MODEL, "damaged") for what, damage in BYTES.items()}
ATTACKS |= {f"header: {what}": Attack(damage, MODEL) for what, damage in HEADERS.items()}
ATTACKS["weights: infinite in doubles"] = Attack(
    both(every(Tensor.double), one(holding(float("inf")))), MODEL, "inf"
)
