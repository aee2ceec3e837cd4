"""What the tables of attacks are written with: ways to damage a copy of a good run folder.

The folder is one that `pyrovae train` wrote: `config.yaml`, `metrics.jsonl`, `history.json`,
`evaluation.json`, `checkpoint/NUMBER/` and `model/`, the last with `config.yaml` and
`weights.safetensors`. Beside it lie `rows.npz`, its data, `secret.npz`, which nobody may be made to
read, and `evil_module.py`, which leaves a file behind when it is imported.
"""

import copy
import functools
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

Tree = dict[str, Any]
Damage = Callable[[Path], Any]

MODEL = ("load", "evaluate", "sample")  # who reads the model folder
TREE = ("from_tree", "load", "sample", "config", "resume")  # who builds what a tree describes
RUN = ("config", "resume", "evaluate")  # who reads a run's own configuration
STATE = ("fit", "resume")  # who reads a checkpoint


@dataclass(frozen=True)
class Attack:
    """What is done to the run folder, who must refuse it, and what the refusal must say."""

    damage: Damage
    entries: tuple[str, ...]
    said: str = ""


def model_config(run: Path) -> Path:
    return run / "model" / "config.yaml"


def run_config(run: Path) -> Path:
    return run / "config.yaml"


def weights(run: Path) -> Path:
    return run / "model" / "weights.safetensors"


def plain_state(run: Path) -> Path:
    return next((run / "checkpoint").iterdir()) / "state.json"


def tensors_of_state(run: Path) -> Path:
    return next((run / "checkpoint").iterdir()) / "state.safetensors"


def put(tree: Any, keys: tuple[Any, ...], value: Any) -> Any:
    """Set an entry of nested dicts and lists."""
    inner = tree
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return tree


def in_text(*files: Callable[[Path], Path], change: Callable[[str], str]) -> Damage:
    """Change the text of files."""

    def damage(run: Path) -> None:
        for file in files:
            file(run).write_text(change(file(run).read_text()))

    return damage


def in_yaml(file: Callable[[Path], Path], *keys: str, value: Any) -> Damage:
    """Set an entry of a configuration; written as JSON, which has none of our limits."""

    def change(text: str) -> str:
        tree = put(copy.deepcopy(_parsed(text)), keys, value)
        return json.dumps(tree).replace("Infinity", ".inf").replace("NaN", ".nan")

    return in_text(file, change=change)


@functools.cache
def _parsed(text: str) -> Any:
    return yaml.safe_load(text)


def in_model(*keys: str, value: Any) -> Damage:
    """Set an entry of the model's tree, in the model folder and in the run's configuration."""
    path = ("model", "init_args", *keys)
    return both(in_yaml(model_config, *path, value=value), in_yaml(run_config, *path, value=value))


def both(*damages: Damage) -> Damage:
    """Do one damage after another."""

    def damage(run: Path) -> None:
        for one in damages:
            one(run)

    return damage


def in_file_of_tensors(
    file: Callable[[Path], Path], change: Callable[[dict[str, Tensor]], Any]
) -> Damage:
    """Change the tensors of a file."""

    def damage(run: Path) -> None:
        state = load_file(file(run))
        change(state)
        save_file(state, file(run), metadata={"format": "pt"})

    return damage


def in_bytes(change: Callable[[bytes, bytes], bytes]) -> Damage:
    """Change the bytes of the weights, given as header and data."""

    def damage(run: Path) -> None:
        content = weights(run).read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        weights(run).write_bytes(change(content[8 : 8 + size], content[8 + size :]))

    return damage


def framed(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def in_header(change: Callable[[Tree], Any]) -> Damage:
    """Change the header of the weights, whose data stay as they are."""

    def raw(header: bytes, data: bytes) -> bytes:
        tree = json.loads(header)
        change(tree)
        return framed(json.dumps(tree).encode(), data)

    return in_bytes(raw)


def in_state(*keys: Any, value: Any) -> Damage:
    """Set an entry of the plain part of the checkpoint."""
    return in_text(plain_state, change=lambda text: json.dumps(put(json.loads(text), keys, value)))


def text_instead(file: Callable[[Path], Path], text: str) -> Damage:
    """Write another text in the place of a file's own."""
    return in_text(file, change=lambda _: text)


def sparse(file: Path, size: int) -> None:
    """Make a file of a size that takes no room on the disk."""
    with file.open("wb") as opened:
        opened.truncate(size)


def instead(file: Callable[[Path], Path], make: Callable[[Path], Any]) -> Damage:
    """Put something else in the place of a file."""

    def damage(run: Path) -> None:
        target = file(run)
        target.unlink()
        make(target)

    return damage
