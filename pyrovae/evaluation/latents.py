"""Latents: what a model's posterior says of z where a label y is latent beside it.

A label is no latent dimension: what is said of z is its mean over y ~ q(y | x), and y itself is
left out of what is counted.
"""

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

import torch
from pyro.distributions import Categorical, MixtureSameFamily
from pyro.distributions.torch_distribution import TorchDistributionMixin
from pyro.poutine.runtime import InferDict
from torch import Tensor

from pyrovae.evaluation.label_mixture import LabelMixture
from pyrovae.models import Model
from pyrovae.objectives import Site, Terms

_LABEL = "y"  # the site of a label, by the convention of the models of labels


def is_label(model: Any, site: Site) -> bool:
    """Return whether a site is the label of one of our models, and not a part of z."""
    return site.name == _LABEL and isinstance(model, Model) and hasattr(model, "classify")


def latent_sites(model: Any, terms: Terms) -> list[Site]:
    """Return the latent sites of a record but for a label.

    Arguments:
        model: the model of the record; None for programs that are not our own.
        terms: the record.
    """
    return [site for site in terms.latent.values() if not is_label(model, site)]


def latent_means(model: Any, terms: Terms, *, rows: int) -> list[Tensor | None]:
    """Return the posterior mean of each datum at each latent site but a label.

    Arguments:
        model: the model of the record; None for programs that are not our own.
        terms: the record.
        rows: how many data there are.

    Returns:
        For each site a tensor of shape `[rows, size]`, None where its posterior has no mean.
    """
    return [_mean(terms, site, rows) for site in latent_sites(model, terms)]


def without_label(model: Any, terms: Terms) -> Terms:
    """Return a record in which an enumerated label is summed out of what hangs on it.

    Where a site z has the label y for a parent, it becomes one of `sum_y q(y | x) q(z | x, y)`, at
    a draw of its own, against `sum_y p(y) p(z | y)`; only what is said of z by itself holds in it.
    A record without an enumerated label is returned as it is.

    Arguments:
        model: the model of the record; None for programs that are not our own.
        terms: the record, of one particle.
    """
    labels = [site for site in terms.enumerated if is_label(model, site)]
    if not labels:
        return terms
    (label,) = labels
    latent = {site.name: _marginal(site, label) for site in latent_sites(model, terms)}
    return Terms(latent=latent, observed=terms.observed)


def label_alone(model: Any, message: Any) -> InferDict:
    """Return what Pyro is told of a site for a label to be enumerated, and all others drawn."""
    apart = message["name"] == _LABEL and isinstance(model, Model) and hasattr(model, "classify")
    values = apart and getattr(message["fn"], "has_enumerate_support", False)
    return {"enumerate": "parallel" if values else "sequential"}


def posterior(model: Any, batch: Mapping[str, Tensor]) -> TorchDistributionMixin:
    """Return q(z | x), with a latent class y summed out: `sum_y q(y | x) q(z | x, y)`.

    Where y is no class, or no latent variable of the model, it is what `encode` returns of x, or of
    x and y for a model of x given y.

    Arguments:
        model: a model with `encode`.
        batch: x of shape `[batch, *event_shape]`, and what else there is.
    """
    told = hasattr(model, "classify") or "y" not in signature(model.encode).parameters
    names = ("x", "observed") if told else ("x", "observed", "y")
    batch = {name: batch[name] for name in names if name in batch}
    levels = getattr(getattr(model, "label", None), "levels", None)
    if levels is None or not hasattr(model, "classify"):
        plain: TorchDistributionMixin = model.encode(**batch)
        return plain
    rows = len(batch["x"])
    each = {
        name: value.unsqueeze(1).expand(rows, levels, *value.shape[1:])
        for name, value in batch.items()
    }
    classes = torch.arange(levels, device=batch["x"].device).expand(rows, levels)
    parts = model.encode(**each, y=classes)
    parts = parts.expand((rows, levels)) if parts.batch_shape != (rows, levels) else parts
    return MixtureSameFamily(Categorical(logits=model.classify(**batch).logits), parts)


def _mean(terms: Terms, site: Site, rows: int) -> Tensor | None:
    q: Any = site.guide
    try:
        mean: Tensor | None = None if q is None else q.mean
    except (NotImplementedError, AttributeError):
        return None
    if mean is None:
        return None
    drawn = len(terms.latent) > 1 and not terms.enumerated  # it may hang on another site's draw
    if terms.enumerated and not site.is_enumerated:
        mean = terms.expectation(mean, event_dim=len(q.event_shape))
    each = mean.reshape(-1, rows, q.event_shape.numel())
    return each.mean(0) if drawn else each[0]


def _marginal(site: Site, label: Site) -> Site:
    """Return a site of its mixture over the values of a label, at a draw of it."""
    q, p = (
        message and {**message, "fn": _mixture(message["fn"], own["fn"], label.value), "infer": {}}
        for message, own in ((site.guided, label.guided), (site.modelled, label.modelled))
        if own is not None
    )
    value = site.value if q is None else q["fn"].sample()
    return replace(site, value=value, guided=q, modelled=p, held=None)


def _mixture(fn: Any, label: Any, values: Tensor) -> Any:
    """Return a distribution with the label summed out, itself where it does not hang on it."""
    if len(fn.batch_shape) < values.dim() - len(label.event_shape):
        return fn
    return LabelMixture(fn, label.log_prob(values))
