"""The verb `train`."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyrovae import __version__
from pyrovae.cli.arguments import allowed_packages
from pyrovae.cli.errors import UsageError
from pyrovae.cli.features import settings_to_keep, take_features, with_features
from pyrovae.cli.flags import lex
from pyrovae.cli.help import train_help
from pyrovae.cli.notes import notes
from pyrovae.cli.resume import settings_of_run
from pyrovae.cli.run_folder import CONFIG, TENSORBOARD, kept_once_begun, new_folder
from pyrovae.cli.settings import check_numbers, linked, maker, read_settings
from pyrovae.cli.show import labels_told, no_density, show
from pyrovae.config import dump, from_tree, to_tree
from pyrovae.data import Data, Source
from pyrovae.declared import arguments_of
from pyrovae.evaluation import evaluate
from pyrovae.files import write_text
from pyrovae.memory import memory_advice
from pyrovae.models import Model
from pyrovae.objectives import Objective
from pyrovae.outline import outline
from pyrovae.scopes import random_state
from pyrovae.training import Callback, History, TensorBoard, fit
from pyrovae.training.checkpoints import has_checkpoint
from pyrovae.training.devices import fabric_of, processes_of
from pyrovae.training.run import Run

SWITCHES = ("help", "print_config")
BOOLEANS = ("report", "tensorboard", "compile")  # true where no value follows
EPOCHS, STEPS = 50, 1000  # the least of each where no number of epochs is given
FAILED = 1  # training ended because something was not finite; what was good is kept
FITTED = (
    "epochs",
    "batch_size",
    "seed",
    "warmup",
    "clip",
    "ema",
    "patience",
    "device",
    "precision",
    "compile",
)  # what goes to fit as it is


def run(words: Sequence[str]) -> int:
    """Train a model as the words say, evaluate it and write the run folder."""
    words = ["--help" if word == "-h" else word for word in words]
    if any(word == "--help" or word.endswith(".help") for word in words):
        print(train_help(words), end="")
        return 0
    flags = lex(words, switches=SWITCHES, booleans=BOOLEANS)
    allow = allowed_packages(flags.take("allow"))
    out = next(reversed(flags.take("out")), None)
    resumed = next(reversed(flags.take("resume")), None)
    if resumed is not None:
        settings_of_run(flags, resumed, out)
    tree = read_settings(flags, allow=allow)
    check_numbers(tree)
    tree = with_features(tree, allow=allow)
    processes = processes_of(fabric_of(tree["device"]))
    source = from_tree(tree["data"], allow=allow, expected=Source, path="data")
    with _reading(source), processes.in_turn():
        tree, source = _settled(tree, source)
        tree, said = linked(tree, source, allow=allow)
    if "print_config" in flags.switches:
        print(dump(settings_to_keep(tree, source)), end="")
        return 0
    if tree["samples"] < 1:  # said before hours of training, and not behind them
        raise UsageError([f"samples: expected a positive integer; got {tree['samples']}"])
    objective = from_tree(tree["objective"], allow=allow, expected=Objective, path="objective")
    outline(tree["model"])  # what is too large for this machine is refused before it is made
    with random_state(tree["seed"]):  # the constructors draw the starting values
        model = from_tree(tree["model"], allow=allow, expected=Model, path="model")
        take_features(model, tree, allow=allow)
    with notes(), _reading(source), processes.in_turn():
        splits = source.load()
        columns = source.described()
    if tree["epochs"] is None:
        tree = {**tree, "epochs": default_epochs(splits.train, tree["batch_size"])}
    folder, made = Path(resumed or "").expanduser(), list[Path]()
    if resumed is None and processes.first:
        folder, made = new_folder(out, name=source.short_name)
    folder = Path(processes.tell(str(folder)))
    settings = {"pyrovae": __version__, **settings_to_keep(tree, source)}
    new = resumed is None and processes.first
    with notes(), kept_once_begun(folder, new=new, made=made):
        _describe(model, objective, splits.train, said, columns)
        callbacks: list[Callback] = []
        if processes.first:
            callbacks.append(_SettingsFile(folder / CONFIG, dump(settings)))
        if tree["tensorboard"] and processes.first:
            callbacks.append(TensorBoard(folder / TENSORBOARD))
        history = _fit(model, splits, objective, tree, folder, allow, callbacks)
        code = 0 if history.failure is None else FAILED
        if not processes.first:  # the first evaluates, and nobody has to wait for it
            return code
        if splits.test is not None:
            _evaluate(model, splits._asdict(), tree, folder)
        if tree["report"]:
            _report(folder, allow)
    verbs = [verb for verb in ("sample", "reconstruct", "encode") if hasattr(model, verb)]
    verbs = verbs or ["evaluate", "report"]  # of a classifier
    print(f"\nThe run is in {folder}. Next: {', '.join(f'pyrovae {v} {folder}' for v in verbs)}")
    return code


@contextmanager
def _reading(source: Source) -> Iterator[None]:
    with memory_advice(lambda: f"reading {source!r}; ask for fewer or smaller data"):
        yield


class _SettingsFile(Callback):
    """The settings of a run, written once all of them have been accepted.

    Arguments:
        path: the file.
        text: what it is to hold.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text

    def on_start(self, run: Run) -> None:
        """Write the file."""
        write_text(self.path, self.text)


def default_epochs(data: Data, batch_size: int) -> int:
    """Return how often to go through data: few rows need many epochs before anything is learned.

    Example:
        >>> import torch
        >>> from pyrovae.data import as_data
        >>> default_epochs(as_data(torch.zeros(100, 1)), 64)
        500
    """
    if not data.sized:
        return EPOCHS
    return max(EPOCHS, math.ceil(STEPS / data.steps(min(batch_size, len(data)))))


def _settled(tree: dict[str, Any], source: Source) -> tuple[dict[str, Any], Source]:
    """Return the tree and the source with what the source finds out by looking at its data."""
    settled = source.settled()
    return (tree if settled is source else {**tree, "data": to_tree(settled)}), settled


def _describe(
    model: Model, objective: Objective, data: Any, said: str, columns: Sequence[str]
) -> None:
    rows = {"data": f"{len(data)} x {list(data.event_shape)}, {data.description}"}
    for name, part in arguments_of(model).items():
        rows[name] = repr(part)
    rows["objective"] = repr(objective)
    count = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    rows["parameters"] = f"{count:,}"
    width = max(map(len, rows))
    if said:
        print(f"{said}\n")
    if columns:
        print("\n".join(columns) + "\n")
    print("\n".join(f"{name:<{width}}  {text}" for name, text in rows.items()) + "\n", flush=True)


def _fit(
    model: Model,
    splits: Any,
    objective: Objective,
    tree: dict[str, Any],
    folder: Path,
    allow: tuple[str, ...],
    callbacks: Sequence[Callback],
) -> History:
    begun = time.monotonic()
    resume = folder if has_checkpoint(folder) else None
    if resume is not None:
        print(f"going on from the checkpoint in {folder}\n", flush=True)
    history = fit(
        model,
        splits.train,
        valid=splits.valid,
        objective=objective,
        optimizer=maker(tree["optimizer"], allow=allow),
        scheduler=maker(tree["scheduler"], allow=allow),
        out=folder,
        resume=resume,
        callbacks=callbacks,
        **{name: tree[name] for name in FITTED},
    )
    seconds = time.monotonic() - begun
    kept = "" if history.best_epoch is None else f", kept the weights of epoch {history.best_epoch}"
    how = " (compiled)" if history.compiled else ""
    print(f"trained {len(history)} epochs in {seconds:.1f} s{how}{kept}", flush=True)
    return history


def _evaluate(model: Model, splits: Any, tree: dict[str, Any], folder: Path) -> None:
    why_not, result = no_density(model), None
    if why_not:
        print(why_not)
    else:
        result = evaluate(model, splits["test"], samples=tree["samples"], seed=tree["seed"])
    told = labels_told(model, splits, split="test", seed=tree["seed"])
    show(result, split="test", folder=folder, told=told)


def _report(folder: Path, allow: tuple[str, ...]) -> None:
    from pyrovae.report import write

    report = write([folder], allow=allow)
    for finding in report.findings[folder]:
        print(f"{finding.level}: {finding.title}")
    print(f"{report.file} shows the run, and what usually helps")
