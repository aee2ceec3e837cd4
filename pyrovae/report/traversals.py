"""Traversals: how E[x | z] changes along single latent dimensions."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pyrovae.evaluation.importance import evaluating
from pyrovae.models import Pair
from pyrovae.report import vectors
from pyrovae.report.drawing import Picture
from pyrovae.report.kinds import levels_of, tiles
from pyrovae.report.labels import given_label, prior_given
from pyrovae.report.looking import decoded
from pyrovae.report.numbers import signed
from pyrovae.report.pictures import image, sheet
from pyrovae.report.views import View
from pyrovae.scopes import random_state

MOST = 8  # dimensions shown
STEPS = 9
_FINE = 25  # where the steps are points of a line
_DRAWS = 512
_ENDS = (0.05, 0.95)  # quantiles that a dimension is moved between


def traversals(view: View) -> Iterator[Picture]:
    """Move the most active dimensions one at a time, the others held where a datum lies."""
    model = view.require_model()
    if not hasattr(model, "prior"):
        raise ValueError(view.no_latents or f"a {type(model).__name__} has no prior of z")
    with random_state(view.seed), evaluating(Pair(model)):
        given = given_label(view)
        prior = prior_given(model, given)
        draws = prior.sample((_DRAWS,))
    shape = draws.shape[1:]
    chosen, names = _chosen(view, math.prod(shape))
    places = draws.reshape(_DRAWS, -1).float() if view.latents is None else view.latents.place
    base = places.mean(0) if view.latents is None else places[0]
    low, high = torch.quantile(places, torch.tensor(_ENDS), dim=0)
    count = STEPS if view.kind in ("image", "curve") else _FINE
    steps = torch.linspace(0.0, 1.0, count)
    values = torch.stack([low[at] + steps * (high[at] - low[at]) for at in chosen])
    z = base.repeat(len(chosen), count, 1)
    for row, at in enumerate(chosen):
        z[row, :, at] = values[row]
    points = z.reshape(-1, *shape).to(draws)
    _require_inside(prior, points)
    x = decoded(model, points, **given).unflatten(0, (len(chosen), count))
    start = "the mean of the prior" if view.latents is None else "the place of one held-out datum"
    how = (
        f"E[x | z] along single dimensions, from the 5 % to the 95 % quantile of "
        f"{'draws of the prior' if view.latents is None else 'held-out data'}; the others stay at "
        f"{start}."
    )
    if view.kind == "image":
        small = tiles(x.flatten(0, 1))
        known = view.shown
        levels = levels_of(model.likelihood, None if known is None else tiles(known), small)
        rows = levels.unit(small).unflatten(0, (len(chosen), count))
        for row, (tile, name) in enumerate(zip(rows, names, strict=True)):
            ends = f"{signed(float(values[row, 0]), 1)} to {signed(float(values[row, -1]), 1)}"
            yield image(
                sheet(tile, count),
                alt=f"{count} images along {name}, from {ends}.",
                caption=how if row == len(chosen) - 1 else "",
                label=f"{name}, {ends}",
                strip=True,
                budget=max(4000, view.budget // MOST),
            )
        return
    means = [vectors.flat(part) for part in x]
    curve = view.kind == "curve"
    lines = "from violet (low) to yellow (high)" if curve else "one line for each element of x"
    if view.held.columns and not curve:
        few = list(enumerate(view.columns))[: vectors.PANELS]
        lines += f" ({', '.join(f'{at} is {name}' for at, name in few)})"
    yield vectors.moved(values.numpy(), means, names, curve=curve, caption=f"{how} Lines: {lines}.")


def _chosen(view: View, size: int) -> tuple[list[int], list[str]]:
    """Return the dimensions to move and what they are called, the most active first."""
    latents = view.latents
    if latents is None:
        chosen = list(range(min(MOST, size)))
        return chosen, [f"z[{at}]" for at in chosen]
    if latents.place.shape[1] != size:
        raise ValueError(
            "there are several latent variables, and one of them cannot be moved alone"
        )
    chosen = latents.order
    if latents.active is not None:
        chosen = [at for at in chosen if bool(latents.active[at])]
    if not chosen:
        raise ValueError("every latent dimension is collapsed, so x does not change along any")
    chosen = chosen[:MOST]
    names = [
        latents.names[at]
        if latents.kl is None
        else f"{latents.names[at]}: {latents.kl[at]:.2f} nats"
        for at in chosen
    ]
    return chosen, names


def _require_inside(prior: Any, z: Tensor) -> None:
    """Raise ValueError where a dimension cannot be moved alone, such as one of a simplex."""
    try:
        inside = bool(prior.support.check(z).all())
    except NotImplementedError:
        return
    if not inside:
        raise ValueError("the dimensions of z cannot be moved one at a time within its support")
