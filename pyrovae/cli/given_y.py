"""The flag `--y`: what is drawn given which labels."""

import math
from collections.abc import Iterable, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrovae.cli.arguments import SPLITS
from pyrovae.cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from pyrovae.cli.run_folder import FinishedRun

HELP = (
    "draw given this y, of a model of labels: a class by its name or number, numbers, several "
    "of either with commas between, in turn; a .npy file with a y in each row; or train, valid or "
    "test for those of the run's data (default: all classes in turn)"
)

_FIRST = 4096  # data whose y are taken in turn


def given_y(text: str | None, *, model: Any, found: "FinishedRun", allow: Iterable[str]) -> Any:
    """Return what stands behind `--y`, rows to be taken in turn, None where the model chooses.

    Arguments:
        text: the words of the flag, None where there is none.
        model: the run's model.
        found: the run.
        allow: packages beside pyrovae that its classes may come from.

    Raises:
        UsageError: the model takes no y, or needs one, or there is none behind the words.
    """
    import torch

    name = type(model).__name__
    if "y" not in signature(model.sample).parameters:
        if text is not None:
            raise UsageError([f"--y: {name} draws x without a y; leave it out"])
        return None
    shape = _shape(model)
    if text is None:
        levels = getattr(model, "levels", None)
        if levels is not None:
            return torch.arange(levels)
        if hasattr(model, "condition_shape"):
            raise UsageError(
                [
                    f"--y: missing; {name} draws x given y, numbers of shape {list(shape)}: give "
                    f"them, a .npy file of them, or test for those of the run's test data"
                ]
            )
        return None
    if text in SPLITS:
        return _of_data(text, found, allow)
    if Path(text).suffix.lower() == ".npy":
        return _of_file(text, shape)
    return _of_words(text, shape, found, allow)


def rows_of(y: "Tensor | None", first: int, count: int) -> dict[str, "Tensor"]:
    """Return the y of some draws as an argument of `sample`, none where the model chooses."""
    import torch

    return {} if y is None else {"y": y[torch.arange(first, first + count) % len(y)]}


def _shape(model: Any) -> tuple[int, ...]:
    """Return the shape of one y."""
    target = getattr(model, "target", None)
    return tuple(getattr(model, "condition_shape", getattr(target, "event_shape", ())))


def _of_words(
    text: str, shape: Sequence[int], found: "FinishedRun", allow: Iterable[str]
) -> "Tensor":
    """Return classes or numbers that are written out."""
    import torch

    names = _classes(found, allow)
    words = [names.get(word.strip(), word.strip()) for word in text.split(",")]
    kind: Any = int if all(word.lstrip("+-").isdigit() for word in words) else float
    try:
        y = torch.tensor([kind(word) for word in words])
    except ValueError:
        known = f", classes {', '.join(names)}" if names else ""
        raise UsageError(
            [f"--y: expected numbers with commas between{known}, or a .npy file; got {text!r}"]
        ) from None
    size = math.prod(shape)
    if len(y) % size:
        raise UsageError(
            [f"--y: a y is {size} numbers, of shape {list(shape)}; got {len(y)}, {text!r}"]
        )
    return y.reshape(-1, *shape)


def _classes(found: "FinishedRun", allow: Iterable[str]) -> dict[str, str]:
    """Return the number of each class of the run's data by its name, as texts."""
    from pyrovae.cli.opening import open_source

    if found.config is None:
        return {}
    return {name: str(at) for at, name in enumerate(open_source(found, None, allow=allow).classes)}


def _of_data(split: str, found: "FinishedRun", allow: Iterable[str]) -> "Tensor":
    """Return the y of the first data of a split."""
    from pyrovae.cli.opening import open_source, open_splits

    data = open_splits(open_source(found, None, allow=allow), split)[split]
    batch = next(data.batches(batch_size=_FIRST))
    if "y" not in batch:
        raise UsageError([f"--y: the {split} split has no labels y"])
    return batch["y"]


def _of_file(name: str, shape: Sequence[int]) -> "Tensor":
    """Return the rows of a file."""
    import numpy as np
    import torch

    try:
        array = np.load(Path(name).expanduser(), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError([f"--y: {name} cannot be read: {error}"]) from error
    if array.dtype.kind not in "iuf" or array.shape[1:] != tuple(shape) or not array.size:
        raise UsageError(
            [
                f"--y: expected numbers of shape [n, {', '.join(map(str, shape))}] in {name}; got "
                f"{array.dtype} of shape {list(array.shape)}"
            ]
        )
    return torch.from_numpy(array.astype("int64" if array.dtype.kind in "iu" else "float32"))
