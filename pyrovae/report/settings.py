"""Settings: what a run was told, as lines to be read instead of a tree to be parsed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyrovae.report.reading import RunRecord

NONE = "none"
ABSENT = "not recorded"

_LONGEST = 400  # characters of one value
_FIRST = ("prior", "likelihood", "posterior", "encoder", "decoder")


@dataclass(frozen=True)
class Setting:
    """One line of the table of settings.

    Arguments:
        group: what it belongs to: data, model, training.
        name: what it is called.
        values: its value in each run.
        differs: whether the runs differ in it.
    """

    group: str
    name: str
    values: list[str]
    differs: bool


def written(tree: Any) -> str:
    """Return a configuration's tree as the constructor call that it stands for.

    Example:
        >>> written({"class_path": "pyrovae.priors.VampPrior", "init_args": {"dim": 50}})
        'VampPrior(dim=50)'
        >>> written([400, 400]), written(None), written({"lr": 0.1})
        ('[400, 400]', 'none', 'lr=0.1')
    """
    text = _text(tree, depth=0)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _text(tree: Any, *, depth: int) -> str:
    if depth > 16:
        return "..."
    if tree is None:
        return NONE
    if isinstance(tree, list | tuple):
        return f"[{', '.join(_text(item, depth=depth + 1) for item in tree)}]"
    if not isinstance(tree, Mapping):
        return str(tree)
    if "function" in tree:
        return str(tree["function"])
    if "class_path" in tree:
        path = str(tree["class_path"])
        name = path.rpartition(".")[2] if path.startswith(("pyrovae.", "torch.")) else path
        return f"{name}({_arguments(tree.get('init_args'), depth)})"
    return _arguments(tree, depth)


def _arguments(given: Any, depth: int) -> str:
    if not isinstance(given, Mapping):
        return "" if given is None else str(given)
    return ", ".join(f"{name}={_text(value, depth=depth + 1)}" for name, value in given.items())


def lines(record: RunRecord) -> dict[tuple[str, str], str]:
    """Return the settings of a run by group and name, in the order in which they are read."""
    found: dict[tuple[str, str], str] = {}
    config = record.config or {}
    if "data" in config:
        found["data", "data"] = written(config["data"])
    for name, value in _model(record).items():
        found["model", name] = written(value)
    if "objective" in config:
        found["model", "objective"] = written(config["objective"])
    for name, value in config.items():
        if name not in ("data", "model", "objective", "pyrovae"):
            found["training", name.replace("_", " ")] = written(value)
    history = record.history or {}
    methods = history.get("kl")
    if isinstance(methods, Mapping) and methods:
        said = ", ".join(f"{site}: {method}" for site, method in methods.items())
        found["training", "KL of each site"] = written(said)
    if history.get("stopped"):
        found["training", "ended because"] = written(history["stopped"])
    version = config.get("pyrovae", (record.declared or {}).get("pyrovae"))
    if version is not None:
        found["training", "pyrovae"] = written(version)
    return found


def _model(record: RunRecord) -> dict[str, Any]:
    """Return the parts of the model: as it was saved, which is whole, else as it was declared."""
    tree = (record.declared or {}).get("model") or (record.config or {}).get("model")
    if not isinstance(tree, Mapping) or "class_path" not in tree:
        return {}
    given = tree.get("init_args")
    parts = dict(given) if isinstance(given, Mapping) else {}
    ordered = {name: parts.pop(name) for name in _FIRST if name in parts}
    kind = written({"class_path": tree["class_path"]}).removesuffix("()")
    return {"model": kind, **ordered, **parts}


def settings(records: Sequence[RunRecord]) -> list[Setting]:
    """Return the settings of several runs side by side."""
    each = [lines(record) for record in records]
    keys = list(dict.fromkeys(key for found in each for key in found))
    keys.sort(key=lambda key: ("data", "model", "training").index(key[0]))  # stable within
    table = []
    for group, name in keys:
        values = [found.get((group, name), ABSENT) for found in each]
        table.append(Setting(group, name, values, differs=len(set(values)) > 1))
    return table
