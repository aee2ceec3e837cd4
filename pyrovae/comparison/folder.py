"""Folder: what a comparison keeps, and what of it is already there.

`comparison.yaml` says what is varied. Each cell has its settings in `cells/NAME.yaml`, its run
folder `cells/NAME`, what it printed in `cells/NAME.log`, and in `cells/NAME.json` how it ended.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pyrovae.comparison.plan import Cell, Plan
from pyrovae.config import dump, read
from pyrovae.files import make_folder, read_whole, write_text

COMPARISON = "comparison.yaml"
CELLS = "cells"
LOCK = ".lock"  # the file that a comparison at work keeps
CONFIG = "config.yaml"  # of a run; it is there from the first step on
_LARGEST = 2**20  # bytes of a file that says how a cell ended
_SAID = 3  # differences that are named one by one

State = Literal["new", "begun", "finished"]


@dataclass(frozen=True)
class Ended:
    """How far a cell has come.

    Arguments:
        finished: whether it has run to its end.
        seconds: how long it has taken, all attempts together.
        failure: why it failed at last, "" where it did not.
    """

    finished: bool = False
    seconds: float = 0.0
    failure: str = ""


def run_folder(folder: Path, cell: Cell) -> Path:
    """Return the run folder of a cell."""
    return folder / CELLS / cell.name


def _beside(folder: Path, cell: Cell, ending: str) -> Path:
    return folder / CELLS / f"{cell.name}{ending}"


def config_file(folder: Path, cell: Cell) -> Path:
    """Return the file with the settings of a cell."""
    return _beside(folder, cell, ".yaml")


def log_file(folder: Path, cell: Cell) -> Path:
    """Return the file with what a cell printed."""
    return _beside(folder, cell, ".log")


def require_same(folder: Path, plan: Plan) -> None:
    """Raise where a folder holds something else than an earlier call of the same comparison.

    More values and more seeds of the same settings are welcome: what is there is kept.

    Raises:
        FileExistsError: it holds something that is no comparison.
        OSError: it cannot be read.
        ValueError: it holds another comparison; the message says what differs.
    """
    if not folder.exists():
        return
    if folder.is_dir() and not any(path.name != LOCK for path in folder.iterdir()):
        return
    if not (folder / COMPARISON).is_file():
        raise FileExistsError(
            f"{folder} exists and holds no comparison; choose another --out, or remove it first"
        )
    found = read(folder / COMPARISON)
    before = found.get("varied") if isinstance(found, dict) else None
    keys = [setting.key for setting in plan.varied]
    if before != keys:
        raise ValueError(
            f"{folder} holds a comparison that varies {_listed(before)}, and this one varies "
            f"{_listed(keys)}; choose another --out"
        )
    for cell in plan.cells:
        file = config_file(folder, cell)
        if not file.is_file():
            continue
        others = list(differences(read(file), cell.settings))
        if others:
            more = f", and {len(others) - _SAID} more" if len(others) > _SAID else ""
            raise ValueError(
                f"{folder} was begun with other settings, as {file.name} shows: "
                f"{', '.join(others[:_SAID])}{more}; choose another --out"
            )


def prepare(folder: Path, plan: Plan) -> None:
    """Make the folder, and write what is compared and the settings of all cells.

    Raises:
        OSError: something cannot be written.
    """
    make_folder(folder / CELLS)
    keys = [setting.key for setting in plan.varied]
    write_text(folder / COMPARISON, dump({"varied": keys}))
    for cell in plan.cells:
        if not config_file(folder, cell).is_file():
            write_text(config_file(folder, cell), dump(cell.settings))


def state_of(folder: Path, cell: Cell) -> State:
    """Return how far a cell has come.

    It is finished where it said so and its run is still there, and begun where its run can go on.
    """
    run = run_folder(folder, cell)
    if not (run / CONFIG).is_file():
        return "new"
    return "finished" if read_ended(folder, cell).finished else "begun"


def clear(folder: Path, cell: Cell) -> None:
    """Remove what a cell left that was killed before its first step, which no run goes on from."""
    run = run_folder(folder, cell)
    if run.exists() and not (run / CONFIG).is_file():
        shutil.rmtree(run)


def read_ended(folder: Path, cell: Cell) -> Ended:
    """Return how a cell ended; a damaged file counts as none."""
    file = _beside(folder, cell, ".json")
    if not file.is_file():
        return Ended()
    try:
        found = json.loads(read_whole(file, most=_LARGEST))
        return Ended(
            finished=found["finished"] is True,
            seconds=float(found["seconds"]),
            failure=str(found["failure"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return Ended()


def write_ended(folder: Path, cell: Cell, ended: Ended) -> None:
    """Write how a cell ended.

    Raises:
        OSError: it cannot be written.
    """
    write_text(_beside(folder, cell, ".json"), json.dumps(asdict(ended), indent=2) + "\n")


def differences(before: Any, now: Any, *, path: str = "") -> Iterator[str]:
    """Yield where two trees differ, in words.

    Example:
        >>> list(differences({"a": {"class_path": "x.A", "init_args": {"b": 1}}, "c": 2},
        ...                  {"a": {"class_path": "x.A", "init_args": {"b": 3}}}))
        ['a.b was 1 and is 3', 'c was 2 and is left out']
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        if before.get("class_path") != now.get("class_path"):
            yield f"{path} was {before.get('class_path')} and is {now.get('class_path')}"
            return
        for key in dict.fromkeys([*before, *now]):
            inner = path if key == "init_args" else f"{path}.{key}" if path else str(key)
            if key not in now:
                yield f"{inner} was {_short(before[key])} and is left out"
            elif key not in before:
                yield f"{inner} was left out and is {_short(now[key])}"
            else:
                yield from differences(before[key], now[key], path=inner)
    elif _plain(before) != _plain(now):
        yield f"{path} was {_short(before)} and is {_short(now)}"


def _plain(value: Any) -> Any:
    """Return a value as it is read back from a file, where tuples are lists."""
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "class_path" in value:
        return str(value["class_path"])
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _listed(keys: Any) -> str:
    return ", ".join(map(str, keys)) if isinstance(keys, list) and keys else "nothing"
