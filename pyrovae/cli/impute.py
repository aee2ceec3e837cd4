"""The verb `impute`."""

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyrovae.cli.arguments import ALL, Parser, allowed_packages, positive
from pyrovae.cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from pyrovae.data import Data, Source, TableForm
    from pyrovae.evaluation import Imputation

_COLUMNS = {
    "split": "split",
    "index": "index",
    "y": "y",
    "x": "x{}",
    "spread": "x{}_spread",
    "lower": "x{}_lower",
    "upper": "x{}_upper",
}


_BYTES = 4  # of a number


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "impute",
        "Fill in the missing entries of data by what a run's model makes of the known ones.",
        example="pyrovae impute runs/holes-1 --draws 20 --interval 0.9 --out whole.csv",
    )
    made.takes_run()
    made.takes_data(ALL)
    made.add_argument(
        "--draws", type=positive, default=10, metavar="N", help="how often each datum is completed"
    )
    made.add_argument(
        "--samples",
        type=positive,
        default=1000,
        metavar="N",
        help="draws of z for each datum, which are weighed",
    )
    made.add_argument(
        "--interval",
        type=_share,
        metavar="P",
        help="write the ends of intervals as well that hold a missing entry with this probability; "
        "0.9 needs 19 draws",
    )
    made.add_argument(
        "--out",
        metavar="FILE",
        help="the file to write: .npz for the arrays x (a mean where an entry is missing, or of "
        "codes the commonest draw), draws, spread, observed, ess, index, split and y, or .csv for "
        "x and its spread alone; of a table, .csv has its own columns with the missing cells "
        "filled in, with --split all in the order of its rows, and the spread is in the .npz, "
        "beside the names of its columns (default: imputed.npz in RUN)",
    )
    made.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps"
    )
    made.takes_seed()
    made.takes_allow()
    return made


def _share(text: str) -> float:
    """Return a number between 0 and 1, as an argparse type."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 < number < 1.0:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1; got {text!r}")
    return number


def run(words: Sequence[str]) -> int:
    """Impute data by a run's model as the words say, and write them whole."""
    given = parser().read(words)
    if given is None:
        return 0
    import numpy as np

    from pyrovae.cli.notes import notes
    from pyrovae.cli.opening import form_of, no_room, open_model, open_source, open_splits
    from pyrovae.cli.outputs import output, written
    from pyrovae.cli.run_folder import find_run
    from pyrovae.evaluation.importance import evaluating
    from pyrovae.evaluation.imputation import Tally, least_draws
    from pyrovae.evaluation.imputing import imputed, imputing
    from pyrovae.memory import memory_advice
    from pyrovae.scopes import random_state
    from pyrovae.training.devices import fabric_of

    least = 1 if given.interval is None else least_draws((1.0 - given.interval) / 2.0)
    if given.draws < least:
        raise UsageError(
            [f"--interval: {given.interval} needs --draws {least} or more; got {given.draws}"]
        )
    allow = allowed_packages(given.allow)
    found = find_run(given.run)
    source = open_source(found, given.data, allow=allow)
    device = fabric_of(given.device).device
    model = open_model(found, allow=allow).to(device)
    splits = open_splits(source, given.split)
    for data in splits.values():
        pair = imputing(model, data)
    file = output(given.out, found.folder / "imputed.npz", (".npz", ".csv"))
    csv = file.suffix.lower() == ".csv"
    form = form_of(found, allow=allow)
    if csv and form and given.interval is not None:
        raise UsageError(
            [f"--interval: a table in {file.name} has no room for intervals; write a .npz file"]
        )
    order = _order(source, splits) if csv and form else None
    to = _writer(form, csv=csv)
    size = 0 if csv else _size(splits, given.draws)
    tally = Tally()
    kept: list[Any] = []
    with (
        notes(),
        memory_advice(no_room),
        random_state(given.seed, device=device),
        written(file, size=size) as path,
        to(path) as out,
    ):
        for name, data in splits.items():
            with evaluating(pair):
                for made, batch in imputed(pair, data, draws=given.draws, samples=given.samples):
                    tally.add(made)
                    rows = _rows(made, interval=given.interval)
                    if order is None:
                        out.add(rows | _beside(name, batch, splits))
                    else:
                        kept.append(rows["x"])
        if order is not None:
            out.add({"x": np.concatenate(kept)[order]})
        if form and not csv:
            out.add({"columns": np.array(form.names_of_x)})
        tally.warn()
    where = "all splits" if given.split == ALL else f"{given.split} split"
    print(
        f"{tally.holes} missing entries of {tally.data} data filled in, {given.draws} draws each; "
        f"{where}: {file}"
    )
    return 0


def _writer(form: "TableForm | None", *, csv: bool) -> Any:
    """Return what opens the file that rows are added to."""
    from functools import partial

    from pyrovae.cli.growing import arrays_to
    from pyrovae.cli.table import table_to
    from pyrovae.cli.written_table import form_to

    if not csv:
        return arrays_to
    return partial(form_to, form=form, key="x") if form else partial(table_to, names=_COLUMNS)


def _order(source: "Source", splits: "Mapping[str, Data]") -> Any:
    """Return where the rows of a table are among those of its splits, None where in order."""
    import torch

    from pyrovae.data import Table
    from pyrovae.data.source import split_rows

    table = source.origin
    if not isinstance(table, Table) or len(splits) < 2:
        return None
    count = sum(len(data) for data in splits.values())
    rows = split_rows(count, valid=table.valid, test=table.test, seed=table.seed)
    return torch.cat(rows).argsort().numpy()


def _size(splits: "Mapping[str, Data]", draws: int) -> int:
    """Return about how many bytes the numbers take, which are hardly compressed."""
    return sum(
        len(data) * math.prod(data.event_shape) * draws * _BYTES
        for data in splits.values()
        if data.sized
    )


def _rows(made: "Imputation", *, interval: float | None) -> dict[str, Any]:
    """Return what is written of the imputation of a batch, as arrays by name."""
    found = {
        "x": made.filled,
        "draws": made.draws.transpose(0, 1),
        "spread": made.spread,
        "observed": ~made.missing,
        "ess": made.ess,
        "index": made.index,
    }
    if interval is not None:
        found["lower"], found["upper"] = made.interval(interval)
    return {name: value.numpy() for name, value in found.items()}


def _beside(
    split: str, batch: "Mapping[str, Tensor]", splits: "Mapping[str, Data]"
) -> dict[str, Any]:
    """Return the split of each row, and its label, where any split has labels."""
    import numpy as np
    import torch

    from pyrovae.data.base import UNLABELLED

    count = len(batch["index"])
    found = {"split": np.full(count, split, dtype=f"<U{max(map(len, splits))}")}
    if any("y" in data.keys for data in splits.values()):
        found["y"] = batch.get("y", torch.full((count,), UNLABELLED)).cpu().numpy()
    return found
