"""The verb `score`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyrovae.cli.arguments import ALL, Parser, allowed_packages, positive

if TYPE_CHECKING:
    from pyrovae.evaluation import Scores

_COLUMNS = {name: name for name in ("split", "index", "log_prob", "error", "ess")}
_ROWS = 4096  # that are written as text at once


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "score",
        "Estimate log p(x) of each datum in nats, with its Monte Carlo error, as for anomalies.",
        example="pyrovae score runs/digits-1 --sort --out scores.csv",
    )
    made.takes_run()
    made.takes_data(ALL)
    made.add_argument(
        "--samples", type=positive, default=1000, metavar="N", help="draws for each datum"
    )
    made.add_argument(
        "--sort", action="store_true", help="the least likely datum first, over all splits"
    )
    made.add_argument(
        "--out",
        metavar="FILE",
        help="the file to write: .csv with the columns split, index, log_prob, error and ess (the "
        "effective samples), or .npz for these arrays (default: scores.csv in RUN)",
    )
    made.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps"
    )
    made.takes_seed()
    made.takes_allow()
    return made


def run(words: Sequence[str]) -> int:
    """Score data by a run's model as the words say, and write the scores."""
    given = parser().read(words)
    if given is None:
        return 0
    from functools import partial

    from pyrovae.cli.growing import arrays_to
    from pyrovae.cli.notes import notes
    from pyrovae.cli.opening import open_model, open_source, open_splits
    from pyrovae.cli.outputs import output, written
    from pyrovae.cli.run_folder import find_run
    from pyrovae.cli.table import table_to
    from pyrovae.evaluation import score
    from pyrovae.training.devices import fabric_of

    allow = allowed_packages(given.allow)
    found = find_run(given.run)
    source = open_source(found, given.data, allow=allow)
    model = open_model(found, allow=allow).to(fabric_of(given.device).device)
    splits = open_splits(source, given.split)
    file = output(given.out, found.folder / "scores.csv", (".csv", ".npz"))
    with notes():
        scores = {
            name: score(model, data, samples=given.samples, seed=given.seed)
            for name, data in splits.items()
        }
    to = partial(table_to, names=_COLUMNS) if file.suffix.lower() == ".csv" else arrays_to
    with written(file) as path, to(path) as out:
        for rows in _rows(scores, sort=given.sort):
            out.add(rows)
    count = sum(len(part.log_prob) for part in scores.values())
    poor = sum(int((part.ess * 5 < part.samples).sum()) for part in scores.values())
    if poor:
        print(
            f"note: {poor} of {count} data have an effective sample size below a fifth of the "
            f"{given.samples} samples, so their log p(x) is too low, and its error too small"
        )
    where = "all splits" if given.split == ALL else f"{given.split} split"
    order = ", the least likely first" if given.sort else ""
    print(f"{count} scores, log p(x) in nats{order}; {where}: {file}")
    return 0


def _rows(scores: "dict[str, Scores]", *, sort: bool) -> Iterator[dict[str, Any]]:
    """Yield the columns of all splits, some rows at a time."""
    import numpy as np

    width = max(map(len, scores))
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name).cpu().numpy() for part in scores.values()])
        for name in _COLUMNS
        if name != "split"
    }
    columns["split"] = np.concatenate(
        [np.full(len(part.log_prob), name, f"<U{width}") for name, part in scores.items()]
    )
    if sort:
        order = np.argsort(np.nan_to_num(columns["log_prob"], nan=-np.inf), kind="stable")
        columns = {name: values[order] for name, values in columns.items()}
    for first in range(0, len(columns["split"]), _ROWS):
        yield {name: columns[name][first : first + _ROWS] for name in _COLUMNS}
