"""Labels: settings and small steps that the models of labels share."""

from typing import Any, Literal

import torch
from pyro.poutine.runtime import InferDict
from torch import Tensor

from pyrovae.distributions import Codes
from pyrovae.likelihoods import Likelihood
from pyrovae.models.checks import claim, require_attributes, require_part
from pyrovae.numeric import is_count, is_finite, limit

Inference = Literal["enumerated", "reparameterised", "relaxed", "score"]


def require_target(model: Any, target: Any) -> Likelihood:
    """Return the likelihood of y, bound to the model.

    Raises:
        TypeError: it is no likelihood.
        ValueError: it belongs to another model, or is one of several classes for each datum.
    """
    likelihood: Likelihood = require_part("target", target, Likelihood)
    require_attributes(likelihood, "event_shape", "head")
    shape = tuple(likelihood.event_shape)
    if likelihood.codes and shape:
        raise ValueError(
            f"{type(model).__name__} expects target to be of one class for each datum, of shape "
            f"(), such as Categorical((), levels=10); got {likelihood!r}"
        )
    event_shape = tuple(model.likelihood.event_shape)
    claim(likelihood, shape, event_shape)
    likelihood.bind(event_shape)
    return likelihood


def check_weight(model: Any, label_weight: float) -> float:
    """Return the weight of a known label, or raise ValueError where it is out of range."""
    if not is_finite(label_weight) or label_weight < 0.0:
        raise ValueError(
            f"{type(model).__name__} expects label_weight to be a finite number of at least 0; "
            f"got {label_weight!r}"
        )
    return label_weight


def is_learned(owner: str, target_prior: str) -> bool:
    """Return whether p(y) is learned, or raise ValueError where that is not said."""
    if target_prior not in ("fixed", "learned"):
        raise ValueError(
            f"{owner} expects target_prior to be 'fixed' or 'learned'; got {target_prior!r}"
        )
    return target_prior == "learned"


def check_warmup(owner: str, warmup: int) -> int:
    """Return a number of training steps, or raise ValueError where it is none."""
    if not is_count(warmup, least=0):
        raise ValueError(
            f"{owner} expects warmup to be a number of training steps{limit(warmup)}, 0 for none; "
            f"got {warmup!r}"
        )
    return warmup


def check_labels(target: Any, y: Tensor, *, rows: int) -> None:
    """Raise ValueError where labels are not of a target's kind, or out of range.

    Arguments:
        target: the model's `Target`.
        y: the labels.
        rows: how many there should be.
    """
    likelihood = target.likelihood
    shape = (rows, *likelihood.event_shape)
    if tuple(y.shape) != shape:
        raise ValueError(
            f"{likelihood!r} expects y of shape [{', '.join(map(str, shape))}]; got {list(y.shape)}"
        )
    if target.levels is None and not y.is_floating_point():
        raise ValueError(
            f"{likelihood!r} expects y to be real numbers, nan where unknown; got "
            f"{y.dtype}: convert it with .float()"
        )
    value, known = target.known(y)
    right = target.given(target.raw).support.check(value)
    right = right.flatten(1).all(-1) if right.dim() > 1 else right
    wrong = known & ~right
    if not y.is_floating_point():
        wrong = wrong | (~known & (y != -1))
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        kinds = "" if target.levels is None else f", classes 0 to {target.levels - 1}"
        raise ValueError(
            f"{likelihood!r} cannot score y[{row}] = {y[row].tolist()}{kinds}; unknown labels are "
            f"-1, or nan in floating numbers"
        )


def settled_inference(target: Any, given: Any, inference: Inference | None) -> Inference:
    """Return how an unknown y is inferred, or raise ValueError where it cannot be so.

    Arguments:
        target: the likelihood of y.
        given: a distribution that it returned.
        inference: the way that was asked for, None for the first one that is possible.
    """
    possible: list[Inference] = []
    if given.has_enumerate_support:
        possible.append("enumerated")
    if given.has_rsample:
        possible.append("reparameterised")
    if isinstance(given, Codes):
        possible.append("relaxed")
    possible.append("score")
    if inference is None:
        return possible[0]
    if inference not in possible:
        raise ValueError(
            f"target {target!r} expects inference to be one of {', '.join(map(repr, possible))}; "
            f"got {inference!r}"
        )
    return inference


def infer_of(part: Any) -> InferDict:
    """Return what Pyro is told of the site of a posterior."""
    return {"enumerate": "parallel"} if part.enumerated else {}


def rows_of(x: Tensor | None, y: Tensor | None) -> int:
    """Return how many data a program is run for: those given, or one."""
    given = y if x is None else x
    return 1 if given is None else len(given)


def require_count(n: int) -> int:
    """Return a number of draws, or raise ValueError where it is none."""
    if not is_count(n, least=0):
        raise ValueError(f"sample expects n to be a whole number of draws{limit(n)}; got {n!r}")
    return n


def prior_draws(p: Any, rows: int) -> Tensor:
    """Return one draw of a prior for each row, which it may hang on."""
    drawn: Tensor = p.sample(torch.Size(() if p.batch_shape else (rows,)))
    return drawn
