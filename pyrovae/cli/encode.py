"""The verb `encode`."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pyrovae.cli.arguments import ALL, Parser, allowed_packages, several

if TYPE_CHECKING:
    from torch import Tensor

    from pyrovae.data import Data

SITE = "z"  # the latent site whose posterior is written

_COLUMNS = {
    "split": "split",
    "index": "index",
    "y": "y",
    "z": f"{SITE}{{}}",
    "mean": f"{SITE}{{}}",
    "scale": f"{SITE}{{}}_scale",
}


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "encode",
        "Write the latents of data: mean and standard deviation of q(z | x) for each datum.",
        example="pyrovae encode runs/digits-1 --split all --out latents.csv",
    )
    made.takes_run()
    made.takes_data(ALL)
    made.add_argument(
        "--out",
        metavar="FILE",
        help="the file to write: .npz for the arrays mean, scale, y, index and split, or .csv "
        "with the columns split, index, y, z0, z1, ..., z0_scale, ... (default: latents.npz in "
        "RUN)",
    )
    made.add_argument(
        "--draw",
        action="store_true",
        help="a draw of z for each datum instead of mean and standard deviation",
    )
    made.add_argument(
        "--samples",
        type=several,
        default=100,
        metavar="N",
        help="how many draws mean and standard deviation are taken of, where q(z | x) has none "
        "in closed form",
    )
    made.takes_seed()
    made.takes_allow()
    return made


def run(words: Sequence[str]) -> int:
    """Encode data by a run's model as the words say, and write their latents."""
    given = parser().read(words)
    if given is None:
        return 0
    from pyrovae.cli.growing import arrays_to
    from pyrovae.cli.opening import (
        batch_size_for,
        no_room,
        open_model,
        open_source,
        open_splits,
        part_of,
    )
    from pyrovae.cli.outputs import output, written
    from pyrovae.cli.run_folder import find_run
    from pyrovae.cli.table import table_to
    from pyrovae.memory import memory_advice
    from pyrovae.scopes import random_state

    allow = allowed_packages(given.allow)
    found = find_run(given.run)
    source = open_source(found, given.data, allow=allow)
    model = open_model(found, "encode", allow=allow)
    splits = open_splits(source, given.split)
    file = output(given.out, found.folder / "latents.npz", (".npz", ".csv"))
    encode = _Encode(model, draw=given.draw, samples=given.samples)
    first = next(iter(splits.values()))  # the splits of one source are alike
    rows = batch_size_for(encode, first, model=model)
    to = partial(table_to, names=_COLUMNS) if file.suffix.lower() == ".csv" else arrays_to
    count = 0
    with memory_advice(no_room), random_state(given.seed), written(file) as path, to(path) as out:
        for part in _parts(model, splits, encode, rows=rows):
            out.add(part)
            count += len(part["index"])
    kind = "one draw each" if given.draw else "mean and standard deviation"
    if not encode.closed:
        posterior = part_of(model, "posterior")
        kind += f" of {given.samples} draws each, since {posterior!r} has none in closed form"
    where = "all splits" if given.split == ALL else f"{given.split} split"
    print(f"{count} latents {SITE}, {kind}; {where}: {file}")
    return 0


class _Encode:
    """What is written about the latents of a batch.

    Arguments:
        model: the model.
        draw: give a draw of z instead of its mean and standard deviation.
        samples: of how many draws these are taken, where q(z | x) has no formula for them.
    """

    def __init__(self, model: Any, *, draw: bool, samples: int) -> None:
        self.model = model
        self.draw = draw
        self.samples = samples
        self.closed = True

    def __call__(self, batch: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
        """Return tensors by name."""
        import torch

        from pyrovae.evaluation.latents import posterior
        from pyrovae.scopes import evaluation_mode, validation

        with torch.no_grad(), evaluation_mode(self.model), validation(enabled=False):
            q = posterior(self.model, batch)
            if self.draw:
                return {"z": q.sample()}
            try:
                return {"mean": q.mean, "scale": q.stddev}
            except (NotImplementedError, AttributeError):
                self.closed = False
            draws = q.sample((self.samples,))
            return {"mean": draws.mean(0), "scale": draws.std(0)}


def _parts(
    model: Any, splits: "Mapping[str, Data]", encode: _Encode, *, rows: int
) -> Iterator[dict[str, Any]]:
    """Yield what is written about each batch of each split, as arrays by name."""
    import numpy as np
    import torch

    from pyrovae.data.base import UNLABELLED

    labelled = any("y" in data.keys for data in splits.values())
    width = max(map(len, splits))
    for name, data in splits.items():
        for batch in data.batches(batch_size=rows):
            model.check(batch)
            found = {**encode(batch), "index": batch["index"]}
            count = len(batch["index"])
            if labelled:
                found["y"] = batch.get("y", torch.full((count,), UNLABELLED))
            arrays = {key: value.numpy() for key, value in found.items()}
            yield arrays | {"split": np.full(count, name, dtype=f"<U{width}")}
