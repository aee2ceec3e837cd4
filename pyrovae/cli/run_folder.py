"""Run folders: what a training run leaves behind, and how the other verbs find it."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyrovae.config import read
from pyrovae.files import make_folder, own_file, remove_empty, require_run

CONFIG = "config.yaml"
MODEL = "model"
EVALUATION = "evaluation.json"
METRICS = "metrics.jsonl"
WEIGHTS = "weights.safetensors"
TENSORBOARD = "tensorboard"


def new_folder(out: str | None, *, name: str) -> tuple[Path, list[Path]]:
    """Make a new run folder, `runs/NAME-1` and so on where none is asked for.

    Arguments:
        out: the folder that was asked for.
        name: what runs without such a folder are called.

    Returns:
        The folder, and those that had to be made for it, the outermost first.

    Raises:
        OSError: the folder holds something, or cannot be made.
    """
    if out is not None:
        folder = Path(out).expanduser()
        if os.path.isdir(folder):
            if any(folder.iterdir()):
                raise FileExistsError(
                    f"{folder} exists and is not empty; choose another --out, or remove it first"
                )
            return folder, []
        return folder, make_folder(folder)
    runs = Path("runs")
    above = make_folder(runs)
    number = 1
    while True:
        folder = runs / f"{name}-{number}"
        try:
            folder.mkdir()  # two runs started at once do not get the same one
        except FileExistsError:
            number += 1
        else:
            return folder, [*above, folder]


@contextmanager
def kept_once_begun(folder: Path, *, new: bool, made: Sequence[Path] = ()) -> Iterator[None]:
    """Remove a run folder again where a mistake ends the run before its first epoch does.

    A mistake that only training shows, such as a rate below zero, would otherwise leave a folder
    behind that the corrected command refuses. A run that was interrupted can be resumed instead.

    Arguments:
        folder: the run folder.
        new: whether it is of this run; one that is resumed stays in any case.
        made: the folders that were made for it.
    """
    try:
        yield
    except BaseException as error:
        from pyrovae.training.checkpoints import has_checkpoint

        interrupted = isinstance(error, KeyboardInterrupt) and has_checkpoint(folder)
        if new and not interrupted:
            _remove_unbegun(folder)
            remove_empty(made)
        if interrupted:
            raise KeyboardInterrupt(f"; go on with: pyrovae train --resume {folder}") from error
        if isinstance(error, OSError) and has_checkpoint(folder):
            error.add_note(f"once that is mended, go on with: pyrovae train --resume {folder}")
        raise


def _remove_unbegun(folder: Path) -> None:
    from pyrovae.training.checkpoints import FOLDER

    metrics = folder / METRICS
    if metrics.is_file() and metrics.stat().st_size:
        return
    for name in (METRICS, CONFIG):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)
    for name in (FOLDER, TENSORBOARD):
        shutil.rmtree(folder / name, ignore_errors=True)


@dataclass(frozen=True)
class FinishedRun:
    """A run folder, or a model folder by itself.

    Arguments:
        folder: the folder.
        model: the folder of its model.
        config: what the run was trained with; None for a model by itself and for a run from Python.
    """

    folder: Path
    model: Path
    config: dict[str, Any] | None


def find_run(name: str) -> FinishedRun:
    """Return the run in a folder.

    Raises:
        OSError: there is no such folder, or no model in it.
        ValueError: its configuration cannot be read.
    """
    folder = Path(name).expanduser()
    require_run(folder, holding=[MODEL])
    if (folder / WEIGHTS).is_file():
        return FinishedRun(folder, folder, None)
    if (folder / MODEL / WEIGHTS).is_file():
        if not os.path.lexists(folder / CONFIG):  # a run of `fit(out=...)` from Python
            return FinishedRun(folder, folder / MODEL, None)
        config = read(own_file(folder, CONFIG))
        if not isinstance(config, dict):
            raise ValueError(f"{folder / CONFIG} does not describe a run")
        return FinishedRun(folder, folder / MODEL, config)
    raise FileNotFoundError(f"{folder} holds no trained model ({MODEL}/{WEIGHTS}){_remedy(folder)}")


def _remedy(folder: Path) -> str:
    from pyrovae.training.checkpoints import has_checkpoint  # training loads for seconds

    if has_checkpoint(folder) or (folder / METRICS).is_file():
        return f": its training did not end; go on with pyrovae train --resume {folder}"
    return ": it is no run folder"
