"""Conditions: what a model that is given y learns of the labels of its data."""

import math
from collections.abc import Iterable
from typing import Any

from pyrovae.cli.errors import UsageError
from pyrovae.config import arguments, find_class
from pyrovae.data import Source

AROUND = ("Hidden", "Quadrants")  # sources around another one
_NAMES = {"levels", "condition_shape"}  # of a model that is given y


def with_condition(model: dict[str, Any], source: Source, *, allow: Iterable[str]) -> Any:
    """Return a model's tree with what y is, by the labels of the data.

    The size of the condition of a prior p(z | y) is filled in too. Other models stay as they are.

    Raises:
        UsageError: the data have no labels, or other ones than the tree says.
    """
    takes = arguments(find_class(model["class_path"], allow=allow))
    if not takes.keys() >= _NAMES:
        return model
    name, form = model["class_path"].rpartition(".")[2], source.label_form
    if form is None:
        raise UsageError(
            [f"model: {name} is p(x | y), and {source!r} has no labels y; name data that have some"]
        )
    given = dict(model["init_args"])
    levels, shape = given["levels"], list(given["condition_shape"])
    if form.levels is None:
        if levels is not None or shape not in ([], list(form.shape)):
            raise UsageError(
                [
                    f"model.condition_shape: y of {source!r} are numbers of shape "
                    f"{list(form.shape)}; got levels {levels} and condition_shape {shape}; leave "
                    f"them out, they come from the data"
                ]
            )
        shape = list(form.shape)
    else:
        if shape or (levels is not None and levels < form.levels):
            raise UsageError(
                [
                    f"model.levels: y of {source!r} are {form.levels} classes; got levels {levels} "
                    f"and condition_shape {shape}; leave them out, they come from the data"
                ]
            )
        levels = levels or form.levels
    given |= {"levels": levels, "condition_shape": shape}
    prior = given.get("prior")
    if isinstance(prior, dict) and _is_default(prior, allow):
        size = math.prod(shape) if levels is None else levels
        given["prior"] = _with_size(prior, size)
    return {**model, "init_args": given}


def without_condition(model: dict[str, Any], source: Source) -> dict[str, Any]:
    """Return a model's tree without what the data fill in again, so that they can be exchanged."""
    given = dict(model["init_args"])
    if not given.keys() >= _NAMES:
        return model
    form = source.label_form  # which may have to look into files
    if form is None:
        return model
    size = math.prod(form.shape) if form.levels is None else form.levels
    if given["levels"] == form.levels:
        given |= {"levels": None, "condition_shape": []}
        prior = given.get("prior")
        if isinstance(prior, dict) and prior.get("init_args", {}).get("condition") == size:
            kept = {name: it for name, it in prior["init_args"].items() if name != "condition"}
            given["prior"] = {**prior, "init_args": kept}
    return {**model, "init_args": given}


def _is_default(prior: dict[str, Any], allow: Iterable[str]) -> bool:
    """Return whether a prior takes the size of a condition, and was told none of its own."""
    argument = arguments(find_class(prior["class_path"], allow=allow)).get("condition")
    return argument is not None and prior["init_args"]["condition"] == argument.default


def _with_size(prior: dict[str, Any], size: int) -> dict[str, Any]:
    return {**prior, "init_args": {**prior["init_args"], "condition": size}}
