"""Plan: the rows of a comparison, and the cells, one for each row and seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from pyrovae.comparison.baselines import concerns
from pyrovae.comparison.grid import Value, Varied, combinations, folder_names, short_keys
from pyrovae.config import dump

_LONGEST = 180  # letters in the name of a cell

Settings = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Arguments:
        name: the name of its folder.
        seed: its seed.
        settings: all its settings, as a run's configuration has them.
    """

    name: str
    seed: int
    settings: Settings


@dataclass
class Row:
    """One combination of what is varied.

    Arguments:
        values: the values, in the order of the keys; None where a baseline lacks the setting.
        model: the name of the model's class.
        baseline: which baseline it is, "" for a row of the grid.
        of: the rows of the grid that it is a baseline of, by their place among those.
        cells: its runs, by seed.
    """

    values: tuple[Value | None, ...]
    model: str
    baseline: str = ""
    of: list[int] = field(default_factory=list)
    cells: dict[int, Cell] = field(default_factory=dict)


@dataclass
class Plan:
    """A comparison.

    Arguments:
        varied: what is varied.
        seeds: the seeds of each row.
        rows: the rows of the grid in their order, each baseline behind the first that it is of.
    """

    varied: tuple[Varied, ...]
    seeds: tuple[int, ...]
    rows: list[Row]

    @property
    def keys(self) -> dict[str, str]:
        """What the varied settings are called in short, by key."""
        return short_keys([setting.key for setting in self.varied])

    @property
    def cells(self) -> Iterator[Cell]:
        """All cells; one seed of every row comes before the next seed, so that all rows grow."""
        for seed in self.seeds:
            for row in self.rows:
                yield row.cells[seed]

    def called(self, row: Row) -> str:
        """Return a row in words, such as "labels=100, prior=VampPrior"."""
        keys = self.keys.values()
        parts = [f"{k}={v.text}" for k, v in zip(keys, row.values, strict=True) if v is not None]
        if row.baseline:
            parts.insert(0, row.baseline)
        return ", ".join(parts) or row.model


def lay_out(
    varied: Sequence[Varied],
    seeds: Sequence[int],
    *,
    read: Callable[[tuple[Value, ...]], Settings],
    seeded: Callable[[Settings, int], Settings],
    baselines: Callable[[Settings], Mapping[str, Settings]],
    checked: Callable[[Settings], Settings],
) -> Plan:
    """Return the plan of a comparison.

    Arguments:
        varied: what is varied.
        seeds: the seeds of each row.
        read: returns the settings of a combination of values.
        seeded: returns settings with a seed in them.
        baselines: returns the settings of the baselines of a row by name.
        checked: returns settings as a run keeps them; raises where they cannot be run. What it
            raises is told which cell it is about.
    """
    plan = Plan(tuple(varied), tuple(seeds), [])
    rows: dict[str, Row] = {}  # by what tells them apart
    names: dict[str, str] = {}
    for place, values in enumerate(combinations(varied)):
        words = ", ".join(f"{s.key}={v.text}" for s, v in zip(varied, values, strict=True))
        with _told(words):
            tree = read(values)
            made = {"": tree, **baselines(tree)}
        for baseline, settings in made.items():
            identity = f"{baseline}\n{dump(settings)}" if baseline else str(place)
            row = rows.get(identity)
            if row is None:
                kept = tuple(
                    v if not baseline or concerns(baseline, s.key, tree["model"]) else None
                    for s, v in zip(varied, values, strict=True)
                )
                row = Row(kept, _class_name(settings), baseline)
                name = _name(plan, row)
                if names.setdefault(name, identity) != identity:  # of another model of the grid
                    name += f"{_hashed(identity)},"
                with _told(f"{baseline}, {words}" if baseline else words):
                    for seed in seeds:
                        whole = checked(seeded(settings, seed))
                        row.cells[seed] = Cell(f"{name}seed={seed}", seed, whole)
                rows[identity] = row
                plan.rows.append(row)
            if baseline:
                row.of.append(place)
    return plan


def _name(plan: Plan, row: Row) -> str:
    """Return how the folders of a row begin."""
    parts = [row.baseline] if row.baseline else []
    for setting, value in zip(plan.varied, row.values, strict=True):
        if value is not None:
            folder = folder_names(setting.values)[value.text]
            parts.append(f"{plan.keys[setting.key]}={folder}")
    name = "".join(f"{part}," for part in parts)
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}-{_hashed(name)},"


def _hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]


def _class_name(settings: Settings) -> str:
    return str(settings["model"]["class_path"]).rpartition(".")[2]


@contextmanager
def _told(words: str) -> Iterator[None]:
    """Say of an error inside this context which row it is about."""
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        if words:
            error.add_note(f"this is said of {words}")
        raise
