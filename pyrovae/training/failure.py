"""Failure: a step whose loss or gradient is not finite, run once more to find where that began."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pyrovae.objectives import LocalParameters, Site, Terms, trace_terms
from pyrovae.scopes import validation
from pyrovae.training.losses import Loss

_NOT_AGAIN = (
    "the loss or a gradient was not finite, though not when the step was run again (the batch or "
    "the device's arithmetic was not the same)"
)
REMEDY = "a lower rate, clipping (clip=...) or other starting values may help"


@dataclass(frozen=True)
class Failure:
    """The step that ended a run.

    Arguments:
        step: its number, from 1.
        epoch: the epoch it belongs to, from 1.
        text: what was not finite, and at which site and in which parameter it shows.
    """

    step: int
    epoch: int
    text: str

    def __str__(self) -> str:
        return f"step {self.step} (epoch {self.epoch}) is not finite: {self.text}"

    def to_dict(self) -> dict[str, Any]:
        """Return the failure as plain Python, for JSON."""
        return asdict(self)


def examine(loss: Loss, replay: Callable[[], Mapping[str, Tensor] | None]) -> str:
    """Run a step again and say what in it is not finite; the model stays as it is.

    Arguments:
        loss: the objective and the programs, in training mode.
        replay: puts the random state to what it was before the step, and returns its batch;
            None where this process had no rows of it.
    """
    buffers = [(buffer, buffer.clone()) for buffer in loss.buffers()]
    with validation(enabled=False):
        batch = replay()
        if batch is None:
            return _NOT_AGAIN
        value = loss(batch)
        loss.zero_grad(set_to_none=True)
        value.backward()
        value = value.detach() / len(batch["x"])
        wrong = [
            name
            for name, parameter in loss.trained()
            if parameter.grad is not None and not parameter.grad.isfinite().all()
        ]
        loss.zero_grad(set_to_none=True)
        site = _site(loss, replay() or batch)
    for buffer, before in buffers:
        buffer.copy_(before)
    if value.isfinite() and not wrong:
        return _NOT_AGAIN
    said = [f"the loss is {value.item():g}"]
    if site:
        said.append(site)
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        said.append(f"the gradient is not finite at parameter {wrong[0]}{more}")
    return "; ".join(said)


def first_found(texts: Sequence[str]) -> str:
    """Return what the processes have found in their shares of a step, in one text.

    Arguments:
        texts: what `examine` returned in each, by rank.

    Example:
        >>> first_found(["the loss is nan"])
        'the loss is nan'
        >>> first_found([_NOT_AGAIN, "the loss is nan"])
        'in process 1, the loss is nan'
    """
    for rank, text in enumerate(texts):
        if text != _NOT_AGAIN:
            return text if len(texts) == 1 else f"in process {rank}, {text}"
    return _NOT_AGAIN


@torch.no_grad()
def _site(loss: Loss, batch: Mapping[str, Tensor]) -> str:
    """Return the first site of the programs at which something is not finite."""
    args, kwargs = loss.pair.arguments(batch)
    if loss.own is not None:
        terms = loss.own.trace(*args, **kwargs)
    else:  # Pyro's own objectives draw alike where they have one particle
        with LocalParameters(loss.pair):
            terms = trace_terms(loss.pair.model, loss.pair.guide, args, kwargs)
    return next(_looked_at(terms), "")


def _looked_at(terms: Terms) -> Iterator[str]:
    """Yield what is not finite, in the order in which it is computed."""
    for site in terms.latent.values():
        yield from _said(site, "its draw", site.value)
    for site in terms.latent.values():
        yield from _said(site, "log q", site.log_q)
        yield from _said(site, "log p", site.log_p)
        if site.kl is not None:
            yield from _said(site, "the KL term", site.kl)
    for site in terms.observed.values():
        yield from _said(site, "log p", site.log_p)


def _said(site: Site, what: str, value: Tensor) -> Iterator[str]:
    wrong = value[~value.isfinite()]
    if wrong.numel():
        count = "" if value.numel() == 1 else f" in {wrong.numel()} of {value.numel()} numbers"
        yield f"at site '{site.name}' {what} is {wrong[0].item():g}{count}"
