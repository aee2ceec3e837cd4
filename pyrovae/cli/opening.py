"""Opening: the model of a run and its data, for the verbs that work on what was trained."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from pyrovae.cli.arguments import ALL, SPLITS
from pyrovae.cli.errors import UsageError
from pyrovae.cli.notes import notes
from pyrovae.cli.run_folder import FinishedRun
from pyrovae.cli.settings import read_source
from pyrovae.config import from_tree
from pyrovae.data import Data, Source, TableForm
from pyrovae.evaluation.memory import rows_within
from pyrovae.models import Model
from pyrovae.saving import load

_FEW_ROWS = 64  # no more than a batch of the training
_MOST_ROWS = 4096


def open_model(found: FinishedRun, *methods: str, allow: Iterable[str]) -> Any:
    """Return the model of a run.

    Arguments:
        found: the run.
        *methods: what the verb is going to call.
        allow: packages beside pyrovae that its classes may come from.

    Raises:
        UsageError: the model has no such method.
        OSError, TypeError, ValueError: it cannot be loaded.
    """
    model: Model = load(found.model, allow=allow)
    for method in methods:
        if not callable(getattr(model, method, None)):
            raise UsageError([f"{type(model).__name__} has no {method}(), which this verb calls"])
    return model


def open_source(found: FinishedRun, name: str | None, *, allow: Iterable[str]) -> Source:
    """Return the data of a run, or others where a name for them is given, read as its own were.

    Raises:
        UsageError: there are none of that name, or the run does not know its own.
    """
    if name is not None:
        other = read_source(name, allow=allow)
        return other if found.config is None else other.like(_own_source(found, allow))
    if found.config is None:
        raise UsageError(
            [f"{found.folder} does not say on which data it was trained; name them by --data"]
        )
    return _own_source(found, allow)


def form_of(found: FinishedRun, *, allow: Iterable[str]) -> TableForm | None:
    """Return how data of a run are written as a table, None where they are none."""
    return None if found.config is None else _own_source(found, allow).form


def _own_source(found: FinishedRun, allow: Iterable[str]) -> Source:
    tree: Any = (found.config or {}).get("data")
    source: Source = from_tree(tree, allow=allow, expected=Source, path="data")
    return source


def open_splits(source: Source, name: str) -> dict[str, Data]:
    """Return the split of that name, or all that there are, by name.

    Raises:
        UsageError: the source keeps no such split.
    """
    with notes():
        splits = source.load()._asdict()
    found = {
        split: splits[split]
        for split in (SPLITS if name == ALL else (name,))
        if splits[split] is not None
    }
    if not found:
        raise UsageError([f"{source!r} keeps no {name} split; choose another --split"])
    return found


def no_room() -> str:
    """Return what to do where memory runs out, for `memory_advice`."""
    return "computing a block of data: the model leaves no room for it; free memory"


def rows_at_once(compute: Callable[[int], object], *, count: int | None = None) -> int:
    """Return how many rows to compute at once within a fixed budget of memory.

    Of many it is a power of two, so that a small change of what an operation allocates does not
    change which draws belong to which row. The caller's random state is left as it was.

    Arguments:
        compute: computes something for a number of rows.
        count: how many there are, where a row takes about what one of a training batch takes.
    """
    if (
        count is not None and count <= _FEW_ROWS
    ):  # measuring makes torch load its compiler, which takes seconds
        return count
    with torch.random.fork_rng(devices=[]):
        rows = min(rows_within(compute), _MOST_ROWS)
    return 1 << (rows.bit_length() - 1)


def batch_size_for(
    compute: Callable[[Mapping[str, Tensor]], object],
    data: Data,
    *,
    model: Model,
    count: int | None = None,
) -> int:
    """Return how large batches of data may be for a computation on them; see `rows_at_once`.

    Raises:
        ValueError: the model cannot score the data.
    """
    with torch.random.fork_rng(devices=[]):  # a transform may draw
        probe = next(data.batches(batch_size=1))
    model.check(probe)

    def repeated(rows: int) -> object:
        return compute({key: value.repeat_interleave(rows, 0) for key, value in probe.items()})

    return rows_at_once(repeated, count=count)


def part_of(model: Model, name: str) -> Any:
    """Return a part of a model for a message; a model of the user's own may not have it."""
    return getattr(model, name, model)


def known(batch: Mapping[str, Tensor], method: Callable[..., Any]) -> dict[str, Tensor]:
    """Return what a method of a model takes of a batch: x, what is known of it, and its y.

    Arguments:
        batch: the batch.
        method: `encode` or `reconstruct`; a model without labels takes no y.
    """
    names = ["x", "observed", *(["y"] if "y" in signature(method).parameters else [])]
    return {key: batch[key] for key in names if key in batch}


@contextmanager
def closed_form(text: str) -> Iterator[None]:
    """Say by a text that a distribution lacks the mean that is asked of it in this context.

    Raises:
        UsageError: it does.
    """
    try:
        yield
    except NotImplementedError as error:
        raise UsageError([text]) from error
