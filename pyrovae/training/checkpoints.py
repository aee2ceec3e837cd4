"""Checkpoints: the whole state of a run in a folder, from which it goes on bit for bit.

Each is a folder of its own, `checkpoint/000000007`, with the tensors in `state.safetensors` and the
rest in `state.json`. It is written aside and moved into place when it is complete, and only then
are earlier ones removed: at any moment the one with the highest number is whole.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyrovae.files import aside, flush, own_file, read_whole, require_within
from pyrovae.tensor_files import read_tensors, unique, write_tensors
from pyrovae.training.packing import pack, unpack

FOLDER = "checkpoint"
FORMAT = 1
STATE = "state.json"
TENSORS = "state.safetensors"
LARGEST = 2**28  # bytes of the plain state; a thousand epochs take half a million
SHARE = 0.02
_ANEW = "the run cannot go on: train anew with its settings, into another folder"
_SHORTEST = 1.0  # seconds between two checkpoints
_NAME = re.compile(r"[0-9]{9}")
_HALF = re.compile(r"\.[0-9]{9}\.[0-9a-f]{8}")  # what `aside` calls one that is being written


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
            own = _NAME.fullmatch(path.name) or _HALF.fullmatch(path.name)
            if own and path != target:
                shutil.rmtree(path, ignore_errors=True)
        now = time.monotonic()
        self._next = now + max(_SHORTEST, (now - began) / self.share)


def read_checkpoint(run_folder: Path) -> dict[str, Any]:
    """Return the state in the latest checkpoint of a run.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        ValueError: it is damaged, of a later format, or leads elsewhere.
    """
    found = _complete(run_folder / FOLDER)
    if not found:
        raise FileNotFoundError(f"there is no checkpoint to resume from in {run_folder}")
    latest = found[-1]
    require_within(run_folder / FOLDER, run_folder)  # it is written to and tidied up as well
    require_within(latest, run_folder / FOLDER)
    for name in (STATE, TENSORS):
        if not os.path.lexists(latest / name):
            raise ValueError(f"{latest} is damaged, {name} is missing; {_ANEW}")
    plain, tensors = own_file(latest, STATE), own_file(latest, TENSORS)
    try:
        read = json.loads(
            read_whole(plain, most=LARGEST), object_pairs_hook=unique, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{plain} is damaged ({error}); {_ANEW}") from error
    version = read.get("format") if isinstance(read, dict) else None
    if version != FORMAT or isinstance(version, bool):
        raise ValueError(
            f"{latest} has format {_shown(version)}, and this pyrovae reads {FORMAT}: "
            f"resume with the pyrovae that wrote it"
        )
    try:
        return dict(unpack(read["state"], read_tensors(tensors)))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{latest} is damaged ({error}); {_ANEW}") from error


def _refuse(name: str) -> None:
    raise ValueError(f"it holds {name}, which is not written so")


def _shown(value: object) -> str:
    return repr(value)[:80]


def has_checkpoint(run_folder: Path) -> bool:
    """Return whether a run can be resumed."""
    return bool(_complete(run_folder / FOLDER))


def _complete(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())
