"""The gallery: what a run's model draws and what it makes of held-out data, as figures."""

from collections.abc import Callable, Iterator, Mapping
from inspect import signature

import torch
from torch import Tensor

from pyrovae.evaluation.memory import rows_within
from pyrovae.report import vectors
from pyrovae.report.drawing import Picture
from pyrovae.report.kinds import Levels, levels_of, tiles
from pyrovae.report.latent_figures import dimensions, space
from pyrovae.report.looking import drawn, rows_of
from pyrovae.report.page import Cell
from pyrovae.report.pictures import image, paired, sheet
from pyrovae.report.views import View, said
from pyrovae.scopes import random_state

SAMPLES = 64  # images drawn
COLUMNS = 8
_PAIRED = 10  # columns of pairs

Builder = Callable[[View], Iterator[Picture]]


def cell(build: Builder, view: View) -> Cell:
    """Return the figures of a section, and a note on what could not be made.

    Whatever goes wrong with one figure, such as a likelihood without a mean, the others are kept.
    """
    found = Cell()
    try:
        for picture in build(view):
            found.pictures.append(picture)
    except Exception as error:
        found.notes.append(f"Left out: {said(error)}.".replace("..", "."))
    return found


def samples(view: View) -> Iterator[Picture]:
    """Draw from the model: means and draws for images, distributions for others."""
    model = view.require_model()
    draws_data = callable(getattr(model, "sample", None))
    if not draws_data:
        raise ValueError(f"a {type(model).__name__} draws no data")
    if view.kind == "image":
        count = rows_of(view.shape, SAMPLES)
        means = torch.cat([tiles(x) for x in drawn(model, count, seed=view.seed, mean=True)])
        levels = _levels(view, means)
        yield _sheet(view, means, levels, f"{count} means E[x | z], each at a draw z of the prior.")
        draws = torch.cat([tiles(x) for x in drawn(model, count, seed=view.seed, mean=False)])
        yield _sheet(view, draws, levels, "Draws x of p(x | z) at the same z.")
        return
    count = rows_of(view.shape)
    draws = torch.cat(list(drawn(model, count, seed=view.seed, mean=False)))
    _require_finite(draws, "samples")
    data = view.shown
    if view.kind == "number":
        yield vectors.histogram(data, draws, _names(view))
    elif view.kind == "pair":
        yield vectors.scatter(data, draws, _names(view))
    elif view.kind == "table":
        yield vectors.quantiles(data, draws, _names(view))
    else:
        yield vectors.bands(data, draws)
        means = torch.cat(list(drawn(model, vectors.PANELS, seed=view.seed, mean=True)))
        few = torch.cat(list(drawn(model, vectors.PANELS, seed=view.seed, mean=False)))
        yield vectors.curves(
            few, means, ("draw x", "mean E[x | z]"), caption="Samples: a draw of the prior each."
        )


def reconstructions(view: View) -> Iterator[Picture]:
    """Show held-out data and what the model makes of them again."""
    view.require_latents()
    model, batch, x = view.model, view.examples or {}, view.shown
    if x is None:
        raise ValueError(view.no_latents)

    takes = ("x", "observed", *(["y"] if "y" in signature(model.reconstruct).parameters else []))
    given = {name: batch[name] for name in takes if name in batch}

    def again(rows: Mapping[str, Tensor]) -> Tensor:
        found: Tensor = model.reconstruct(**rows)
        return found

    def repeated(rows: int) -> dict[str, Tensor]:
        return {name: value[:1].repeat_interleave(rows, 0) for name, value in given.items()}

    with random_state(view.seed):
        block = rows_within(lambda rows: again(repeated(rows)))
        parts = [
            again({name: value[first : first + block] for name, value in given.items()})
            for first in range(0, len(x), block)
        ]
    if view.kind == "image":
        above, below = tiles(x), torch.cat([tiles(part) for part in parts])
        levels = _levels(view, above)
        columns = min(_PAIRED, len(above))
        caption = (
            "Held-out data, each above its reconstruction: E[x | z] at one draw z of q(z | x)."
        )
        sheets = paired(levels.unit(above), levels.unit(below), columns)
        for at, pixels in enumerate(sheets, start=1):
            yield image(
                pixels,
                alt=f"Images {columns * (at - 1) + 1} to {min(columns * at, len(above))} of "
                f"{len(above)}, each above its reconstruction.",
                caption=caption + _blue(above) if at == len(sheets) else "",
                strip=True,
                budget=view.budget // len(sheets),
            )
        return
    made = torch.cat(parts)
    _require_finite(made, "reconstructions")
    if view.kind == "curve":
        yield vectors.curves(
            x,
            made,
            ("held-out data", "reconstruction"),
            caption="Held-out data and their reconstructions, E[x | z] at one draw z of q(z | x).",
        )
    else:
        yield vectors.agreement(x, made, _names(view))


def latent_space(view: View) -> Iterator[Picture]:
    """Show where held-out data lie in the latent space."""
    yield space(view.require_latents())


def latent_dimensions(view: View) -> Iterator[Picture]:
    """Show what each latent dimension carries."""
    yield dimensions(view.require_latents())


def _names(view: View) -> list[str]:
    """Return what the elements are called; a dollar does not begin a formula."""
    return [name.replace("$", r"\$") for name in view.columns]


def _levels(view: View, other: Tensor) -> Levels:
    likelihood = getattr(view.model, "likelihood", None)
    x = view.shown
    return levels_of(likelihood, None if x is None else tiles(x), other)


def _sheet(view: View, x: Tensor, levels: Levels, caption: str) -> Picture:
    _require_finite(x, "samples")
    pixels = sheet(levels.unit(x), COLUMNS)
    return image(pixels, alt=f"{len(x)} images. {caption}", caption=caption, budget=view.budget)


def _blue(x: Tensor) -> str:
    return "" if bool(x.isfinite().all()) else " Blue: not observed."


def _require_finite(x: Tensor, what: str) -> None:
    if not bool(x.isfinite().all()):
        raise ValueError(f"the {what} of this model are not all finite numbers")
