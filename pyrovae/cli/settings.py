"""Settings: what `train` is told, as one tree whose schema is the signature of `options`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pyrovae.cli.conditions import AROUND, with_condition, without_condition
from pyrovae.cli.errors import UsageError
from pyrovae.cli.filling import emptied, filled
from pyrovae.cli.flags import Flags, layer, over, written
from pyrovae.cli.targets import (
    CLASSIFIER,
    TARGET,
    named_classifier,
    with_target,
    without_target,
)
from pyrovae.config import Written, arguments, complete, find, find_class, from_tree, read
from pyrovae.data import Source
from pyrovae.data.array_files import SUFFIXES
from pyrovae.data.shorthand import meaning
from pyrovae.data.table_files import SUFFIXES as TABLES
from pyrovae.models import Model
from pyrovae.numeric import is_count, limit
from pyrovae.objectives import Objective
from pyrovae.training.checks import check_settings

LINKED = ("event_shape", "total_count")  # arguments of a likelihood that the data know

DEFAULTS = {
    "data": Written("Digits"),
    "model": Written(
        "VAE",
        {
            "prior": Written("StandardNormal"),
            "posterior": Written("MeanFieldNormal"),
            "encoder": Written("MLP"),
            "decoder": Written("MLP"),
        },
    ),
    "objective": Written("ELBO"),
    "optimizer": Written("Adam", {"lr": 1e-3}),
}


def options(
    *,
    data: Source,
    model: Model,
    objective: Objective,
    features: str | None = None,
    epochs: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
    optimizer: Callable[[Sequence[nn.Parameter]], Optimizer],
    scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    warmup: int = 0,
    clip: float | None = None,
    ema: float | None = None,
    patience: int | None = None,
    device: str = "auto",
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
    compile: bool | Literal["auto"] = "auto",
    samples: int = 1000,
    report: bool = True,
    tensorboard: bool = False,
) -> None:
    """Train a model on data, evaluate it on what was held out, and keep both in a run folder.

    Arguments:
        data: the data, a class such as MNIST, or shorthand: digits, mnist, a .npy or .npz file,
            a table (.csv, .tsv, .parquet), sparse counts (.npz of SciPy, .mtx, .svm), a folder of
            images, a data set of torchvision such as CIFAR10
        model: the model; its parts are model.prior, model.likelihood (by default the one that
            suits the data), model.posterior, model.encoder and model.decoder
        objective: the bound that is raised
        features: the run folder of the trained VAE below a StackedVAE
        epochs: how many times to go through the data; by default 50, or more, to make 1000 steps
        batch_size: rows in a batch
        seed: seeds starting values, noise and order, and the draws of the evaluation
        optimizer: a class of torch.optim
        scheduler: a class of torch.optim.lr_scheduler, stepped per batch
        warmup: steps in which the rate rises from near zero
        clip: the largest norm of a gradient
        ema: average the weights, keeping this share at each step
        patience: stop after more than so many epochs without a better validation loss
        device: auto, cpu, cuda, cuda:1, mps
        precision: 32-true, or bf16-mixed for the networks
        compile: run the step as one compiled graph: true, false, or auto, which does so for a run
            of 10 000 steps or more
        samples: draws for each datum in the evaluation of log p(x)
        report: write report.html at the end
        tensorboard: log to RUN/tensorboard as well
    """


def read_settings(flags: Flags, *, allow: Iterable[str] = ()) -> dict[str, Any]:
    """Return the full tree of a training run; what the data know is not in it.

    Arguments:
        flags: the words of the command line; `--config` and `--data` are read here as well.
        allow: packages beside pyrovae whose classes may be named.

    Raises:
        UsageError: there are mistakes, one line for each.
        OSError: a configuration file cannot be read.
    """
    tree: dict[str, Any] = dict(DEFAULTS)
    for name in flags.take("config"):
        for key, value in _file(Path(name).expanduser()).items():
            word = key == "data" and isinstance(value, str)
            tree[key] = over(tree.get(key), source_tree(value, allow=allow) if word else value)
    for name in flags.take("data"):
        tree["data"] = over(tree["data"], source_tree(name, allow=allow))
    tree = layer(tree, list(_within(flags.values, tree["data"], allow)))
    tree["model"] = named_classifier(tree["model"])
    names = (*LINKED, "likelihood", TARGET, CLASSIFIER, "features")
    whole, problems = complete(tree, arguments(options), allow=allow, linked=names)
    if problems:
        raise UsageError(problems)
    return whole


def _within(
    values: Sequence[tuple[str, Any]], data: Any, allow: Iterable[str]
) -> Iterator[tuple[str, Any]]:
    """Yield flags, of which a word for the source in another is read as one after `--data`."""
    around = isinstance(data, Written) and data.name.rpartition(".")[2] in AROUND
    for name, value in values:
        with suppress(UsageError):  # what it should be is said where the tree is checked
            if around and name == "data.source":
                yield name, source_tree(value, allow=allow)
                continue
        yield name, value


def check_numbers(tree: dict[str, Any]) -> None:
    """Raise ValueError where a number is out of range, before anything is read or made."""
    names = ("batch_size", "warmup", "clip", "patience", "ema", "seed")
    epochs = 1 if tree["epochs"] is None else tree["epochs"]
    check_settings(epochs=epochs, **{name: tree[name] for name in names})
    if not is_count(tree["samples"]):
        limited = limit(tree["samples"])
        raise UsageError(
            [f"samples expects an integer of at least 1{limited}; got {tree['samples']!r}"]
        )


def read_source(name: str, *, allow: Iterable[str] = ()) -> Source:
    """Return the source that a word after `--data` stands for.

    Raises:
        UsageError: there is no such source.
    """
    schema = {"data": arguments(options)["data"]}
    whole, problems = complete({"data": source_tree(name, allow=allow)}, schema, allow=allow)
    if problems:
        raise UsageError(problems)
    source: Source = from_tree(whole["data"], allow=allow, expected=Source, path="data")
    return source


def linked(
    tree: dict[str, Any], source: Source, *, allow: Iterable[str] = ()
) -> tuple[dict[str, Any], str]:
    """Return a run's tree with what the data know filled in, and sentences on what was chosen.

    Arguments:
        tree: the full tree of a run.
        source: its data.
        allow: packages beside pyrovae whose classes may be named.

    Raises:
        ValueError: the likelihood is for other data, or needs what they do not know.
    """
    likelihood = tree["model"]["init_args"].get("likelihood")
    said = []
    if likelihood is None:
        suited = source.suggestion
        name = f"pyrovae.likelihoods.{suited.likelihood}"
        likelihood = {"class_path": name, "init_args": dict(suited.arguments)}
        said.append(
            f"No likelihood was given: likelihood {suited.likelihood}, because {suited.reason}."
        )
    whole = _with_likelihood(tree, filled(likelihood, source, allow, "model.likelihood"))
    model, chosen = with_target(whole["model"], source, allow=allow)
    model = with_condition(model, source, allow=allow)
    names = arguments(find_class(model["class_path"], allow=allow))  # in the constructor's order
    ordered = {name: model["init_args"][name] for name in names}
    return {**whole, "model": {**model, "init_args": ordered}}, "\n".join([*said, *chosen])


def unlinked(tree: dict[str, Any], source: Source) -> dict[str, Any]:
    """Return a run's tree without what the data fill in again, so that they can be exchanged."""
    model = without_condition(without_target(tree["model"], source), source)
    tree = {**tree, "model": model}
    return _with_likelihood(tree, emptied(tree["model"]["init_args"]["likelihood"], source))


def _with_likelihood(tree: dict[str, Any], likelihood: dict[str, Any]) -> dict[str, Any]:
    model = tree["model"]
    init_args = {**model["init_args"], "likelihood": likelihood}
    return {**tree, "model": {**model, "init_args": init_args}}


def maker(tree: dict[str, Any] | None, *, allow: Iterable[str] = ()) -> Callable[..., Any] | None:
    """Return what makes an optimiser or a scheduler, from a tree that was checked."""
    if tree is None:
        return None
    made = find(tree["class_path"], allow=("torch", *allow))
    return partial(_made, made, tree["init_args"])


def _made(made: type, given: dict[str, Any], first: Any) -> Any:
    """Make an optimiser or a scheduler, an optimiser fused where torch can, as `fit` does."""
    shown = ", ".join(f"{name}={value!r}" for name, value in given.items())
    fusable = "fused" in signature(made).parameters and "fused" not in given
    if fusable and not {"foreach", "differentiable"} & set(given):
        kinds = {parameter.device.type for parameter in first}
        given = {**given, "fused": kinds <= {"cpu", "cuda"} or None}
    try:
        return made(first, **given)
    except Exception as error:  # torch's own words on values that were checked for their kind only
        raise ValueError(f"{made.__name__}({shown}) cannot be made: {error}") from error


def source_tree(name: str, *, allow: Iterable[str] = ()) -> Written:
    """Return what a word after `--data` stands for: a class, with an argument where it is a path.

    Arguments:
        name: the word.
        allow: packages beside pyrovae whose classes may be named.

    Raises:
        UsageError: it stands for nothing.
    """
    path = Path(name)
    words = name.split(".")
    dotted = len(words) > 1 and all(map(str.isidentifier, words))
    own = dotted and path.suffix.lower() not in (*SUFFIXES, *TABLES) and not path.exists()
    if own and (words[0] in allow or not words[-1].islower()):
        return Written(name)  # a class of the user's own
    try:
        source, given = meaning(name)
    except ValueError as error:
        hint = f"; a class of your own needs --allow {words[0]}" if own else ""
        raise UsageError([f"{error}{hint}"]) from error
    return Written(source.__name__, given)


def _file(file: Path) -> dict[str, Any]:
    """Return the tree in a configuration file, without what only the run itself was told."""
    tree = read(file)
    if tree is None:
        return {}
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ValueError(f"{file} is no configuration: it holds no settings by name")
    return {key: written(value, path=key) for key, value in tree.items() if key != "pyrovae"}
