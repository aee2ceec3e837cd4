"""Checkpoints: the whole state of a run in a folder, from which it goes on bit for bit.

Each is a folder of its own, `checkpoint/000000007`, with the tensors in `state.safetensors` and the
rest in `state.json`. It is written aside and moved into place when it is complete, and only then
are earlier ones removed: at any moment the one with the highest number is whole.
"""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyrovae.files import aside, flush
from pyrovae.tensor_files import read_tensors, write_tensors
from pyrovae.training.packing import pack, unpack

FOLDER = "checkpoint"
FORMAT = 1
STATE = "state.json"
TENSORS = "state.safetensors"
SHARE = 0.02
_ANEW = "the run cannot go on: train anew with its settings, into another folder"
_SHORTEST = 1.0  # seconds between two checkpoints


class Checkpoints:
    """Writes checkpoints of a run, as often as a share of its time allows.

    Arguments:
        run_folder: the folder of the run.
        share: the largest share of the time that writing them may take.
    """

    def __init__(self, run_folder: Path, *, share: float = SHARE) -> None:
        self.folder = run_folder / FOLDER
        self.share = share
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() >= self._next

    def write(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write a checkpoint, then remove the earlier ones.

        Arguments:
            state: returns the state of the run.

        Raises:
            OSError: it cannot be written; the earlier one stays.
            TypeError: the state holds what no file can; the message says what.
        """
        began = time.monotonic()
        plain, tensors = pack(state())
        found = _complete(self.folder)
        number = int(found[-1].name) + 1 if found else 1
        target = self.folder / f"{number:09d}"
        with aside(target) as made:
            text = json.dumps({"format": FORMAT, "state": plain}, allow_nan=False)
            (made / STATE).write_text(text, encoding="utf-8")
            write_tensors(tensors, made / TENSORS)
            for name in (STATE, TENSORS):
                flush(made / name)
            made.replace(target)
        for path in self.folder.iterdir():  # what a killed run left half written as well
            if path != target:
                shutil.rmtree(path, ignore_errors=True)
        now = time.monotonic()
        self._next = now + max(_SHORTEST, (now - began) / self.share)


def read_checkpoint(run_folder: Path) -> dict[str, Any]:
    """Return the state in the latest checkpoint of a run.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or of a later format.
    """
    found = _complete(run_folder / FOLDER)
    if not found:
        raise FileNotFoundError(f"there is no checkpoint to resume from in {run_folder}")
    latest = found[-1]
    for name in (STATE, TENSORS):
        if not (latest / name).is_file():
            raise ValueError(f"{latest} is damaged, {name} is missing; {_ANEW}")
    try:
        read = json.loads((latest / STATE).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{latest / STATE} is damaged ({error}); {_ANEW}") from error
    version = read.get("format") if isinstance(read, dict) else None
    if version != FORMAT:
        raise ValueError(
            f"{latest} has format {version!r}, and this pyrovae reads {FORMAT}: "
            f"resume with the pyrovae that wrote it"
        )
    try:
        return dict(unpack(read["state"], read_tensors(latest / TENSORS)))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{latest} is damaged ({error}); {_ANEW}") from error


def has_checkpoint(run_folder: Path) -> bool:
    """Return whether a run can be resumed."""
    return bool(_complete(run_folder / FOLDER))


def _complete(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdigit() and path.is_dir())
