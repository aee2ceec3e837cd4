"""Views: a run opened for looking, its model and its held-out data, or why there are none."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pyrovae.data import Data
from pyrovae.models import Classifier
from pyrovae.report.facts import Facts, best_epoch, facts_of
from pyrovae.report.held_out import HeldOut, Library
from pyrovae.report.kinds import Kind, kind_of
from pyrovae.report.looking import Latents, latents_of, rows_of, some
from pyrovae.report.reading import RunRecord
from pyrovae.report.settings import written
from pyrovae.saving import load

_LONGEST = 20  # letters of a column's name in a figure
PAIRS = 30  # images shown beside their reconstructions


@dataclass
class View:
    """A run with what a report shows of it.

    Arguments:
        record: what its folder holds.
        seed: seeds every choice and draw.
        budget: bytes that one sheet of images may take.
        model: the model, None where it cannot be had.
        no_model: why not.
        unreadable: the error of reading it, None where there was none.
        held: the held-out data, or why there are none.
        examples: some of them, as one batch.
        latents: what the posterior makes of them.
        no_latents: why there are neither examples nor latents.
    """

    record: RunRecord
    seed: int
    budget: int
    model: Any = None
    no_model: str = ""
    unreadable: str | None = None
    held: HeldOut = field(default_factory=HeldOut)
    examples: dict[str, Tensor] | None = None
    latents: Latents | None = None
    no_latents: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one x."""
        return tuple(self.model.event_shape)

    @property
    def kind(self) -> Kind:
        """How one x is shown."""
        return kind_of(self.shape)

    @property
    def columns(self) -> list[str]:
        """What the elements of x are called, by the columns of a table where x is one."""
        count = math.prod(self.shape)
        if len(self.held.columns) == count:
            return [short(name) for name in self.held.columns]
        return [f"x[{at}]" if count > 1 else "x" for at in range(count)]

    @property
    def shown(self) -> Tensor | None:
        """The examples' x, nan where they are missing."""
        if self.examples is None:
            return None
        x = self.examples["x"].float()
        observed = self.examples.get("observed")
        return x if observed is None else torch.where(observed, x, torch.nan)

    def require_model(self) -> Any:
        """Return the model, or raise ValueError that says why there is none."""
        if self.model is None:
            raise ValueError(self.no_model)
        return self.model

    def require_latents(self) -> Latents:
        """Return the latents, or raise ValueError that says why there are none."""
        self.require_model()
        if self.latents is None:
            raise ValueError(self.no_latents)
        return self.latents

    def facts(self) -> Facts:
        """Return the facts that the diagnosis reads."""
        found = self.latents
        if found is None:
            return facts_of(self.record, unreadable=self.unreadable)
        return facts_of(
            self.record,
            dimensions=found.place.shape[1],
            active=None if found.active is None else int(found.active.sum()),
            floored=found.floored,
            posterior_floored=found.posterior_floored,
        )

    def summary(self) -> list[str]:
        """Return what the run is, in a few short lines."""
        said = []
        tree = (self.record.declared or self.record.config or {}).get("model")
        if isinstance(tree, dict) and "class_path" in tree:
            parts = tree.get("init_args")
            names = [
                written({**part, "init_args": None}).removesuffix("()")
                for name, part in (parts.items() if isinstance(parts, dict) else ())
                if name in ("prior", "likelihood", "posterior") and isinstance(part, dict)
            ]
            kind = written({**tree, "init_args": None}).removesuffix("()")
            said.append(f"{kind}: {', '.join(names)}" if names else kind)
        if self.model is not None:
            count = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
            said.append(f"{count:,} parameters")
        epochs = self.record.epochs
        if epochs:
            best = best_epoch(self.record)
            seconds = sum(value for value in self.record.column("seconds") if value == value)
            took = f" in {_duration(seconds)}" if seconds else ""
            kept = "" if best is None else f", best {best}"
            said.append(f"{len(epochs)} epoch{'s' if len(epochs) > 1 else ''}{took}{kept}")
        if self.held.data is not None:
            said.append(f"shown on {self.held.name}")
        return said


def opened(
    record: RunRecord, library: Library, *, seed: int, budget: int, allow: Iterable[str]
) -> View:
    """Return a run with its model and its held-out data, as far as they can be had."""
    view = View(record, seed, budget)
    if record.model is None:
        why = "it was stopped before its end, or is still running"
        view.no_model = f"the run left no model{'' if record.history is not None else f': {why}'}"
    else:
        try:
            view.model = load(record.model, allow=tuple(allow))
        except Exception as error:  # whatever a foreign part raises, the rest is still shown
            view.unreadable = said(error)
            view.no_model = f"the model cannot be read ({view.unreadable})"
    if view.model is None:
        view.no_latents = view.no_model
        return view
    view.held = library.of(record)
    if view.held.data is None:
        view.no_latents = view.held.absent
        return view
    if isinstance(view.model, Classifier):
        view.no_latents = "a Classifier has no latent variable z"
        return view
    try:
        view.latents = latents_of(view.model, view.held.data, seed=seed)
        view.examples = _examples(view.held.data, view)
    except Exception as error:
        view.latents = None
        view.no_latents = f"the model cannot be shown on {view.held.name} ({said(error)})"
    return view


def short(name: str) -> str:
    """Return a column's name as short as a figure has room for."""
    line = " ".join(name.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def said(error: BaseException) -> str:
    """Return what an error says, in one line; one that is no word to a user with its kind."""
    text = " ".join(str(error).split())
    plain = isinstance(error, ValueError | OSError | ImportError) and text
    kind = "" if plain else f"{type(error).__name__}{': ' if text else ''}"
    return f"{kind}{text}"[:600]


def _examples(data: Data, view: View) -> dict[str, Tensor]:
    most = rows_of(view.shape, PAIRS) if view.kind == "image" else rows_of(view.shape)
    parts = list(some(data, seed=view.seed, rows=most, block=most))
    return {
        name: torch.cat([part[name] for part in parts])
        for name in parts[0]
        if name in ("x", "y", "observed")
    }


def _duration(seconds: float) -> str:
    if seconds < 60.0:
        return f"{seconds:.1f} s" if seconds < 10.0 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
