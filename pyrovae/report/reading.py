"""Reading: what a run folder holds, as far as it can be read, and a note where it cannot."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyrovae.config import read
from pyrovae.files import read_whole, require_run

CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
HISTORY = "history.json"
EVALUATION = "evaluation.json"
MODEL = "model"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint"

LARGEST = 64 * 2**20  # bytes of a file of numbers
_SAID = 20  # lines named one by one that cannot be read


@dataclass
class RunRecord:
    """What a run folder holds.

    Arguments:
        folder: the folder, as it was named.
        model: the folder of the model, None where there is none.
        config: the settings, None where there are none or they cannot be read.
        declared: the model's own configuration, whole where the settings leave out what the data
            fill in.
        epochs: what was recorded of each epoch; a number that is not finite is nan.
        history: how training ended, None where it does not say.
        evaluation: the numbers on held-out data.
        checkpoint: whether there is a checkpoint to resume from.
        notes: what could not be read, and why.
    """

    folder: Path
    model: Path | None = None
    config: dict[str, Any] | None = None
    declared: dict[str, Any] | None = None
    epochs: list[dict[str, float]] = field(default_factory=list)
    history: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    checkpoint: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing of a run in the folder, readable or not."""
        found = (self.model, self.config, self.history, self.evaluation)
        return not (self.epochs or self.notes) and all(part is None for part in found)

    def column(self, name: str) -> list[float]:
        """Return one quantity over the epochs, nan where it is missing."""
        return [epoch.get(name, math.nan) for epoch in self.epochs]

    def has(self, name: str) -> bool:
        """Return whether a quantity was recorded as a finite number in any epoch."""
        return any(math.isfinite(value) for value in self.column(name))


def read_run(folder: Path) -> RunRecord:
    """Return what a run folder, or a model folder by itself, holds.

    Raises:
        OSError: there is no such folder.
    """
    require_run(folder, holding=[METRICS, CONFIG, MODEL])
    record = RunRecord(folder)
    if (folder / WEIGHTS).is_file():  # a model by itself: its config.yaml is not that of a run
        record.model = folder
    else:
        record.config = _tree(folder / CONFIG, record.notes)
        if (folder / MODEL / WEIGHTS).is_file():
            record.model = folder / MODEL
    if record.model is not None:
        record.declared = _tree(record.model / CONFIG, record.notes)
    record.epochs = _lines(folder / METRICS, record.notes)
    record.history = _object(folder / HISTORY, record.notes)
    record.evaluation = _object(folder / EVALUATION, record.notes)
    record.checkpoint = (folder / CHECKPOINT).is_dir()
    return record


def number(given: Any) -> float | None:
    """Return a finite number read from a file, None for anything else.

    Example:
        >>> number(3), number("3"), number(None), number(float("nan"))
        (3.0, None, None, None)
    """
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        value = float(given)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return value if math.isfinite(value) else None


def _tree(file: Path, notes: list[str]) -> dict[str, Any] | None:
    if not file.exists():
        return None
    try:
        tree = read(file)
    except (OSError, ValueError) as error:
        notes.append(f"The settings are left out: {error}")
        return None
    if not isinstance(tree, dict):
        notes.append(f"The settings are left out: {file} holds none by name")
        return None
    return tree


def _text(file: Path, notes: list[str]) -> str | None:
    if not file.exists():
        return None
    try:
        return read_whole(file, most=LARGEST).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        notes.append(f"{file.name} cannot be read: {error}")
        return None


def _object(file: Path, notes: list[str]) -> dict[str, Any] | None:
    text = _text(file, notes)
    if text is None:
        return None
    found = _parsed(text)
    if not isinstance(found, Mapping):
        notes.append(f"{file.name} cannot be read: it is no JSON object")
        return None
    return dict(found)


def _lines(file: Path, notes: list[str]) -> list[dict[str, float]]:
    """Return the epochs of a metrics file; a last line that a kill cut off is no fault."""
    lines = (_text(file, notes) or "").splitlines()
    epochs = []
    unread = 0
    for at, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _parsed(line)
        if isinstance(found, Mapping):
            epochs.append({str(name): _plain(value) for name, value in found.items()})
        elif at < len(lines):
            unread += 1
            if unread <= _SAID:
                notes.append(f"{file.name}: line {at} cannot be read and is left out")
    if unread > _SAID:
        notes.append(f"{file.name}: {unread - _SAID} more lines cannot be read and are left out")
    for at, epoch in enumerate(epochs, start=1):
        if math.isnan(epoch.get("epoch", math.nan)):
            epoch["epoch"] = float(at)
    return epochs


def _plain(value: Any) -> float:
    found = number(value)
    return math.nan if found is None else found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
