"""Labels: what a model of labels makes of those of held-out data, and draws of each of them."""

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from pyrovae.context import Context
from pyrovae.data.labelled import is_known
from pyrovae.evaluation import classification
from pyrovae.report.drawing import Picture
from pyrovae.report.kinds import levels_of, tiles
from pyrovae.report.label_figures import calibration, column_names, confusion
from pyrovae.report.pictures import image, sheet
from pyrovae.report.views import View
from pyrovae.scopes import random_state

ROWS = 8  # of a grid
_CLASSES = 12  # columns of a grid, at most
_NUMBERS = 7  # columns where labels are real numbers
_ENDS = (0.05, 0.95)  # quantiles of the labels between which these lie


def tells_labels(model: Any) -> bool:
    """Return whether a model has a q(y | x) that can be held against labels."""
    return callable(getattr(model, "classify", None))


def labels(view: View) -> Iterator[Picture]:
    """Show how well labels are told, and what the model draws of each; of no labels nothing."""
    model = view.model
    if model is None or not tells_labels(model):
        return
    data = view.held.data
    if data is not None and "y" in data.keys and hasattr(model, "target"):
        told = classification(model, data, seed=view.seed)
        if told.confusion is not None:
            yield confusion(told)
            yield calibration(told)
    if view.kind != "image" or not callable(getattr(model, "sample", None)):
        return
    y = _columns(view)
    if y is None:
        return
    yield _grid(view, y)
    if view.shown is not None and callable(getattr(model, "translate", None)):
        yield _analogies(view, y)


def given_label(view: View) -> dict[str, Any]:
    """Return what `decode` takes beside z: the label of the first datum where it takes one.

    That is the label told by q(y | x), or of a model of x given y the label that it has.
    """
    model = view.model
    if "y" not in signature(model.decode).parameters:
        return {}
    batch = view.examples
    if not tells_labels(model):
        return {} if batch is None or "y" not in batch else {"y": batch["y"][0]}
    label = model.label
    if batch is None:
        return {"y": label.likelihood.typical(label.given(label.raw))}
    one = {name: batch[name][:1] for name in ("x", "observed") if name in batch}
    with torch.no_grad():
        return {"y": label.completed(None, torch.Size((1,)), lambda: model.classify(**one))[0]}


def prior_given(model: Any, given: dict[str, Any]) -> Any:
    """Return p(z), or p(z | y) at a given label."""
    code = None
    if given and hasattr(model, "label"):
        code = model.label.code(model.label.completed(given["y"], torch.Size(())))
    return model.prior(Context(condition=code, encode=model.encode))


def _columns(view: View) -> Tensor | None:
    """Return the labels of the columns of a grid; None where no few of them stand for all."""
    label = getattr(view.model, "label", None)
    if label is None:
        return None
    levels = label.levels
    if levels is not None:
        return torch.arange(min(levels, _CLASSES))
    known = [] if view.examples is None else [view.examples.get("y")]
    if tuple(label.likelihood.event_shape) or not known or known[0] is None:
        return None
    y = known[0][is_known(known[0])].float()
    return torch.quantile(y, torch.linspace(*_ENDS, _NUMBERS)) if len(y) else None


def _grid(view: View, y: Tensor) -> Picture:
    """Show draws of every label, at the same z in each row."""
    columns = _for_each(view, y, lambda one: view.model.sample(ROWS, y=one, mean=True))
    caption = (
        f"Means E[x | y, z]: a row is one z, drawn of the prior, a column one label y: "
        f"{column_names(y)}."
    )
    return _sheet(view, columns, caption)


def _analogies(view: View, y: Tensor) -> Picture:
    """Show held-out images, and each in its own style under every label."""
    batch = view.examples or {}
    given = {name: batch[name][:ROWS] for name in ("x", "observed") if name in batch}
    columns = _for_each(view, y, lambda one: view.model.translate(**given, y=one))
    shown = view.shown
    first = [] if shown is None else [tiles(shown[:ROWS])]
    caption = (
        f"Analogies: the first image of a row is a held-out one; behind it is its own z, a draw of "
        f"q(z | x, y), under the labels y = {column_names(y)}."
    )
    return _sheet(view, [*first, *columns], caption)


def _for_each(view: View, y: Tensor, make: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Return images for each label, all of them made with the same noise."""
    found = []
    for one in y:
        with random_state(view.seed), torch.no_grad():
            found.append(tiles(make(one)))
    return found


def _sheet(view: View, columns: list[Tensor], caption: str) -> Picture:
    pictures = torch.stack(columns, 1)  # [rows, columns, channels, height, width]
    if not bool(columns[-1].isfinite().all()):
        raise ValueError("what this model draws of its labels are not all finite numbers")
    shown = view.shown
    levels = levels_of(
        getattr(view.model, "likelihood", None),
        None if shown is None else tiles(shown),
        columns[-1],
    )
    pixels = sheet(levels.unit(pictures.flatten(0, 1)), len(columns))
    count = pictures.shape[0] * pictures.shape[1]
    return image(pixels, alt=f"{count} images. {caption}", caption=caption, budget=view.budget)
