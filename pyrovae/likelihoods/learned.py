"""Learned: a scale or a concentration that is a number, learned, or predicted by the decoder."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from pyrovae.heads import FLOOR, positive, raw_of
from pyrovae.likelihoods.likelihood import Likelihood
from pyrovae.numeric import is_finite

Choice = Literal["shared", "element", "network"]

MOST = 1e6  # of a concentration: beyond, the terms of a density lose all digits even in float64


def learned(
    part: Likelihood,
    name: str,
    given: object,
    *,
    above: float = 0.0,
    most: float | None = None,
    also: str = "",
) -> dict[str, int]:
    """Check an argument of a likelihood, and make the parameter that it needs, `raw_<name>`.

    The argument is a number, "shared" for one learned number, "element" for one learned number for
    each element, or "network" for one predicted for each element.

    Arguments:
        part: the likelihood, whose `event_shape` is set.
        name: the argument's name.
        given: what was given for it.
        above: what learned numbers lie above, by at least 1e-4, and a given one too.
        most: the largest number that may be given.
        also: a further word that the likelihood takes, for the message.

    Returns:
        What the likelihood's head needs for it, `{name: 1}` or nothing.

    Raises:
        ValueError: it is none of the four.
    """
    if isinstance(given, str) and given == "network":
        return {name: 1}
    if isinstance(given, str) and given in ("shared", "element"):
        shape = part.event_shape if given == "element" else ()
        part.register_parameter(f"raw_{name}", nn.Parameter(torch.zeros(shape)))
        return {}
    least = above + FLOOR
    if (
        not is_finite(given)
        or not isinstance(given, int | float)
        or not least <= float(given) <= (float("inf") if most is None else most)
    ):
        bounds = f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        words = "".join(f"'{word}', " for word in (also, "shared") if word)
        raise ValueError(
            f"{type(part).__name__} expects {name} to be a number {bounds}, "
            f"{words}'element' or 'network'; got {given!r}"
        )
    return {}


def number_of(
    part: Likelihood, name: str, parameters: Mapping[str, Tensor], *, above: float = 0.0
) -> Tensor | float:
    """Return the positive number that an argument checked by `learned` stands for.

    Arguments:
        part: the likelihood.
        name: the argument's name.
        parameters: the unpacked raw numbers.
        above: as of `learned`.
    """
    given = getattr(part, name)
    if not isinstance(given, str):
        return float(given)
    raw = parameters[name] if given == "network" else getattr(part, f"raw_{name}")
    return above + positive(raw)


def begun(part: Likelihood, name: str, start: Tensor, *, above: float = 0.0) -> list[Tensor]:
    """Set a learned number to a start, or return the raw numbers that a predicted one begins at.

    Arguments:
        part: the likelihood.
        name: the argument's name.
        start: the number for each element; a shared one begins at their mean.
        above: as of `learned`.

    Returns:
        One tensor of raw numbers of the event's shape, or nothing.
    """
    given = getattr(part, name)
    if given == "network":
        return [raw_of(start - above)]
    if given in ("shared", "element"):
        chosen = start if given == "element" else start.mean()
        with torch.no_grad():
            getattr(part, f"raw_{name}").copy_(raw_of(chosen - above))
    return []


def settled_start(part: Likelihood, name: str, start: Tensor) -> Tensor:
    """Return the number that each element begins at: the given one where it is given."""
    given = getattr(part, name)
    if given == "shared":
        return start.mean().expand(start.shape)
    return start if isinstance(given, str) else torch.full_like(start, float(given))


def stacked(part: Likelihood, raw: list[Tensor]) -> Tensor:
    """Return raw numbers of each parameter as one tensor of the shape that the head asks for."""
    flat = torch.cat([tensor.flatten() for tensor in raw])
    return flat.reshape(part.head.out_shape(part.event_shape))
