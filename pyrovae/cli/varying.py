"""Varying: the settings of every cell of a comparison, read and checked before any cell runs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from pyrovae.cli.features import settings_to_keep, with_features
from pyrovae.cli.flags import Flags
from pyrovae.cli.settings import check_numbers, linked, maker, read_settings
from pyrovae.comparison.grid import Value, Varied
from pyrovae.comparison.plan import Plan, Settings
from pyrovae.config import dump, from_tree, to_tree
from pyrovae.data import Source
from pyrovae.models import Model
from pyrovae.objectives import Objective
from pyrovae.outline import outline
from pyrovae.scopes import random_state
from pyrovae.training.devices import fabric_of

LABELS_SEED = "labels_seed"  # the argument of a source that seeds which labels are known


class Reader:
    """Reads the settings of cells and checks them as `train` does, each part once.

    Arguments:
        flags: the words that all cells share.
        varied: what is varied.
        allow: packages beside pyrovae whose classes may be named.
    """

    def __init__(self, flags: Flags, varied: Sequence[Varied], *, allow: Sequence[str]) -> None:
        self.flags = flags
        self.varied = tuple(varied)
        self.allow = tuple(allow)
        self.said: dict[str, None] = {}
        self.sources: dict[str, Source] = {}
        self._accepted: set[str] = set()

    def read(self, values: Sequence[Value]) -> Settings:
        """Return the settings of a combination of values, as they were written.

        Raises:
            UsageError: there are mistakes, one line for each.
            OSError: a configuration file cannot be read.
        """
        given = list(self.flags.values)
        for setting, value in zip(self.varied, values, strict=True):
            given += flags_of(setting.key, value.given)
        tree = read_settings(Flags(values=given), allow=self.allow)
        return with_features(tree, allow=self.allow)  # for a baseline is a model of these

    def seeded(self, tree: Settings, seed: int) -> Settings:
        """Return settings with a seed: of the run, and of the labels that are known."""
        labels = not any(v.key.rpartition(".")[2] == LABELS_SEED for v in self.varied)
        data = _relabelled(tree["data"], seed) if labels else tree["data"]
        return {**tree, "seed": seed, "data": data}

    def checked(self, tree: Settings) -> Settings:
        """Return settings as a run keeps them, once all of their parts could be made.

        Raises:
            ValueError: they cannot be run; or a TypeError, OSError or MemoryError likewise.
        """
        check_numbers(tree)
        source = self._source(tree["data"])
        tree = with_features({**tree, "data": to_tree(source)}, allow=self.allow)
        tree, said = linked(tree, source, allow=self.allow)
        if said:
            self.said |= dict.fromkeys(said.splitlines())
        parts = {key: tree[key] for key in ("model", "objective", "optimizer", "scheduler")}
        shared = dump({**parts, "device": tree["device"], "precision": tree["precision"]})
        if shared not in self._accepted:
            self._try(tree)
            self._accepted.add(shared)
        return settings_to_keep(tree, source)

    def load(self, plan: Plan) -> None:
        """Read the data of each row once, so that what they lack is said before any cell runs.

        What has to be downloaded is there when cells that run side by side look for it.
        """
        seen = set()
        for row in plan.rows:
            tree = next(iter(row.cells.values())).settings["data"]
            if dump(tree) not in seen:
                seen.add(dump(tree))
                from_tree(tree, allow=self.allow, expected=Source, path="data").load()

    def _source(self, tree: Any) -> Source:
        """Return the source of a tree, with what it finds out by looking at its data."""
        key = dump(tree)
        if key not in self.sources:
            made = from_tree(tree, allow=self.allow, expected=Source, path="data")
            self.sources[key] = made.settled()
        return self.sources[key]

    def _try(self, tree: Settings) -> None:
        """Make what a run is made of, so that what cannot be made is said now."""
        fabric_of(tree["device"])
        from_tree(tree["objective"], allow=self.allow, expected=Objective, path="objective")
        outline(tree["model"])  # what is too large for this machine is refused before it is made
        with random_state(tree["seed"]):
            from_tree(tree["model"], allow=self.allow, expected=Model, path="model")
        optimizer, scheduler = (
            maker(tree[name], allow=self.allow) for name in ("optimizer", "scheduler")
        )
        made = None if optimizer is None else optimizer([nn.Parameter()])
        if scheduler is not None and made is not None:
            scheduler(made)


def flags_of(key: str, given: Any) -> Iterator[tuple[str, str]]:
    """Yield a value as flags: a class with its arguments is one flag for each.

    Example:
        >>> list(flags_of("model.prior", {"class_path": "VampPrior", "init_args": {"dim": 3}}))
        [('model.prior', 'VampPrior'), ('model.prior.dim', '3')]
    """
    if isinstance(given, Mapping) and "class_path" in given:
        yield key, str(given["class_path"])
        inner = given.get("init_args")
        others = {name: value for name, value in given.items() if name not in _LONG_FORM}
        for name, value in {**(inner if isinstance(inner, Mapping) else {}), **others}.items():
            yield from flags_of(f"{key}.{name}", value)
    else:
        yield key, given if isinstance(given, str) else json.dumps(given)


_LONG_FORM = ("class_path", "init_args")


def _relabelled(tree: Any, seed: int) -> Any:
    """Return the tree of a source whose draw of labels, or that of a source in it, has a seed."""
    if not isinstance(tree, Mapping) or not isinstance(tree.get("init_args"), Mapping):
        return tree
    inner = {
        name: seed if name == LABELS_SEED else _relabelled(value, seed)
        for name, value in tree["init_args"].items()
    }
    return {**tree, "init_args": inner}
