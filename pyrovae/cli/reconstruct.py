"""The verb `reconstruct`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrovae.cli.arguments import Parser, allowed_packages, positive
from pyrovae.cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from pyrovae.data import Data, TableForm

_COUNT = 32


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "reconstruct",
        "Put data beside what a run's model makes of them: E[x' | z] at z ~ q(z | x).",
        example="pyrovae reconstruct runs/digits-1 --split train --n 100",
    )
    made.takes_run()
    made.takes_data()
    made.add_argument(
        "--n",
        type=positive,
        metavar="N",
        help=f"how many data, the first of the split (default: {_COUNT}, or all where there are "
        f"fewer)",
    )
    made.add_argument(
        "--out",
        metavar="FILE",
        help="the file to write: .png for a picture of images, originals above their "
        "reconstructions; .npz for the arrays x and reconstruction; .npy for both in one array "
        "[n, 2, ...]; .csv for the reconstructions of a table (default: reconstructions.png, .npz "
        "or .csv in RUN)",
    )
    made.add_argument(
        "--mean", action="store_true", help="at the mean of q(z | x) instead of a draw of z"
    )
    made.takes_seed()
    made.takes_allow()
    return made


def run(words: Sequence[str]) -> int:
    """Reconstruct data by a run's model as the words say, and write both."""
    given = parser().read(words)
    if given is None:
        return 0
    from pyrovae.cli.opening import (
        batch_size_for,
        form_of,
        no_room,
        open_model,
        open_source,
        open_splits,
    )
    from pyrovae.cli.outputs import check_picture, default_file, output, written
    from pyrovae.cli.run_folder import find_run
    from pyrovae.memory import memory_advice
    from pyrovae.scopes import random_state

    allow = allowed_packages(given.allow)
    found = find_run(given.run)
    source = open_source(found, given.data, allow=allow)
    methods = ("encode", "decode") if given.mean else ("reconstruct",)
    model = open_model(found, *methods, allow=allow)
    data = open_splits(source, given.split)[given.split]
    shape = tuple(model.event_shape)
    form = form_of(found, allow=allow)
    default = default_file(found.folder, "reconstructions", shape, form, ".npz")
    suffixes = (".png", ".npz", ".npy", *([".csv"] if form else []))
    file = output(given.out, default, suffixes)
    count = _count(given.n, data, given.split)
    check_picture(file, shape, count=2 * count, numbers=".npz")
    work = partial(_reconstructed, model, mean=given.mean)
    rows = min(count, batch_size_for(work, data, model=model, count=count))
    with memory_advice(no_room), random_state(given.seed), written(file) as path:
        _write(path, map(work, _first(data, count, rows=rows, model=model)), model, form)
    kinds = {".png": "originals above reconstructions", ".csv": "reconstructions"}
    how = kinds.get(file.suffix.lower(), "pairs")
    print(f"{count} {how} of shape {list(shape)}, {given.split} split: {file}")
    return 0


def _write(
    path: Path, parts: Iterable[dict[str, Any]], model: Any, form: "TableForm | None"
) -> None:
    """Write originals and reconstructions, some rows at a time, as a file of the path's ending."""
    import numpy as np

    from pyrovae.cli.growing import arrays_to
    from pyrovae.cli.images import in_unit, pairs
    from pyrovae.cli.opening import part_of
    from pyrovae.cli.written_table import form_to

    if path.suffix.lower() == ".png":
        read = [(part["x"], part["reconstruction"]) for part in parts]
        both = np.stack([np.concatenate(halves) for halves in zip(*read, strict=True)])
        upper, lower = in_unit(both, part_of(model, "likelihood"))
        pairs(upper, lower).save(path)
        return
    csv = path.suffix.lower() == ".csv"
    with form_to(path, form, key="reconstruction") if csv else arrays_to(path) as arrays:
        for part in parts:
            if path.suffix.lower() == ".npy":
                arrays.add({"pairs": np.stack([part["x"], part["reconstruction"]], axis=1)})
            else:
                arrays.add(part)


def _count(asked: int | None, data: "Data", split: str) -> int:
    """Return how many data to reconstruct; a stream shows only on reading how many it has."""
    if not data.sized:
        return asked or _COUNT
    if asked is not None and asked > len(data):
        raise UsageError([f"--n: the {split} split has {len(data)} data; got {asked}"])
    return asked or min(_COUNT, len(data))


def _first(data: "Data", count: int, *, rows: int, model: Any) -> "Iterator[dict[str, Tensor]]":
    """Yield the first data in batches, each looked at by the model."""
    left = count
    for batch in data.batches(batch_size=rows):
        taken = {key: value[:left] for key, value in batch.items()}
        model.check(taken)
        yield taken
        left -= len(taken["x"])
        if left == 0:
            return
    raise UsageError([f"--n: the data end after {count - left} of {count}"])


def _reconstructed(model: Any, batch: "Mapping[str, Tensor]", *, mean: bool) -> dict[str, Any]:
    """Return a batch and its reconstruction as arrays by name."""
    import torch

    from pyrovae.cli.at_mean import reconstructed_at_mean
    from pyrovae.cli.opening import closed_form, known, part_of
    from pyrovae.scopes import evaluation_mode, validation

    likelihood = f"p(x | z) of {part_of(model, 'likelihood')!r} has no mean in closed form"
    posterior = f"--mean: q(z | x) of {part_of(model, 'posterior')!r} has no mean in closed form"
    with torch.no_grad(), evaluation_mode(model), validation(enabled=False):
        if mean and hasattr(model, "label"):
            with closed_form(posterior):
                made = reconstructed_at_mean(model, batch)
        elif mean:
            with closed_form(posterior):
                z = model.encode(**known(batch, model.encode)).mean
            with closed_form(likelihood):
                y = {key: it for key, it in known(batch, model.decode).items() if key == "y"}
                made = model.likelihood.typical(model.decode(z, **y))
        else:
            with closed_form(likelihood):
                made = model.reconstruct(**known(batch, model.reconstruct))
    kept = {key: batch[key] for key in ("index", "y", "observed") if key in batch}
    found = {"x": batch["x"], "reconstruction": made, **kept}
    return {key: value.numpy() for key, value in found.items()}
