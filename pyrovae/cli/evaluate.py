"""The verb `evaluate`."""

from collections.abc import Sequence
from typing import Any

from pyrovae.cli.arguments import Parser, allowed_packages, positive
from pyrovae.cli.errors import UsageError
from pyrovae.cli.notes import notes
from pyrovae.cli.run_folder import FinishedRun, find_run
from pyrovae.cli.settings import read_source
from pyrovae.cli.show import show
from pyrovae.config import from_tree
from pyrovae.data import Source

SPLITS = ("train", "valid", "test")


def run(words: Sequence[str]) -> int:
    """Evaluate a run's model as the words say."""
    parser = Parser("evaluate", "Estimate log p(x) of a run's model on held-out data.")
    parser.add_argument("run", metavar="RUN", help="the run folder, or a model folder")
    parser.add_argument("--data", help="other data than the run's: a name, a file or a class")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--samples", type=positive, default=1000, help="draws for each datum")
    parser.add_argument("--seed", type=int, default=0, help="seeds the draws")
    parser.add_argument("--allow", action="append", default=[], help="a package to trust")
    given = parser.read(words)
    if given is None:
        return 0
    allow = allowed_packages(given.allow)
    found = find_run(given.run)
    source = _source(found, given.data, allow)

    from pyrovae.evaluation import evaluate
    from pyrovae.saving import load

    model = load(found.model, allow=allow)
    split = getattr(source.load(), given.split)
    if split is None:
        raise UsageError([f"{source!r} keeps no {given.split} split; choose another --split"])
    with notes():
        result = evaluate(model, split, samples=given.samples, seed=given.seed)
    # a run's own file is about its own test data, and other data leave it alone
    own = found.config is not None and given.data is None and given.split == "test"
    show(result, split=given.split, folder=found.folder if own else None)
    return 0


def _source(found: FinishedRun, name: str | None, allow: tuple[str, ...]) -> Source:
    if name is not None:
        return read_source(name, allow=allow)
    if found.config is None:
        raise UsageError([f"{found.folder} is a model by itself; say which data by --data"])
    tree: Any = found.config.get("data")
    source: Source = from_tree(tree, allow=allow, expected=Source, path="data")
    return source
