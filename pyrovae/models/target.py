"""Target: the label y of a datum, known in some rows, as the models of labels treat it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from pyro.poutine.runtime import InferDict
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.context import Context
from pyrovae.distributions import (
    Codes,
    PartlyKnown,
    StraightThroughOneHot,
    Weighted,
    temperature_of,
)
from pyrovae.likelihoods import Likelihood
from pyrovae.models.labels import (
    Inference,
    check_labels,
    check_warmup,
    is_learned,
    require_target,
    settled_inference,
)
from pyrovae.networks import Builder, Folded, Network
from pyrovae.objectives import analytic_kl, kl_rule
from pyrovae.scopes import validation


class Target(nn.Module):
    """What a model knows of its label: p(y), how y enters a network, and how it is inferred.

    The likelihood of y stays the model's own; here is what is made of it.

    Arguments:
        model: the model, of which the likelihood says how a network sees x.
        target: the likelihood of y given raw numbers.
        classifier: builds the network from x to these.
        inference: how an unknown y is inferred, None for what suits the target.
        temperature: of relaxed draws.
        prior: whether the raw numbers of p(y) are "fixed" or "learned".
        beside: the shape of what the classifier gets beside x, None for nothing.
        warmup: training steps in which the gradient of the bound into q(y | x) of rows without a
            label rises from zero to its full size; its value stays the same.

    Raises:
        TypeError: an argument is no such part.
        ValueError: a setting is out of range, or y cannot be inferred so.
    """

    raw: Tensor
    passes: Tensor
    likelihood: Likelihood

    def __init__(
        self,
        model: Any,
        *,
        target: Likelihood,
        classifier: Network | Builder,
        inference: Inference | None = None,
        temperature: float = 0.5,
        prior: str = "fixed",
        beside: tuple[int, ...] | None = None,
        warmup: int = 0,
    ) -> None:
        super().__init__()
        owner = type(model).__name__
        likelihood = require_target(model, target)
        object.__setattr__(self, "likelihood", likelihood)  # a module of the model, not of this one
        self.temperature = temperature_of(owner, temperature)
        self.learned = is_learned(owner, prior)
        self.warmup = check_warmup(owner, warmup)
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        shape = likelihood.head.out_shape(tuple(likelihood.event_shape))
        if self.learned:
            self.raw = nn.Parameter(torch.zeros(shape))
        else:
            self.register_buffer("raw", torch.zeros(shape))
        with validation(enabled=False):  # an outline of a model has no numbers to look at
            given = self.given(self.raw)
        self.levels: int | None = getattr(given, "levels", None)
        self.inference = settled_inference(likelihood, given, inference)
        width = math.prod(likelihood.event_shape) if self.levels is None else self.levels
        self.condition_shape = (width,)
        self.classifier_network = Folded(
            classifier,
            tuple(model.likelihood.event_shape),
            shape,
            owner="the classifier",
            condition_shape=beside,
        )

    @property
    def infer(self) -> InferDict:
        """What Pyro is told of the site."""
        return {"enumerate": "parallel"} if self.inference == "enumerated" else {}

    def prior(self, y: Tensor | None = None) -> TorchDistributionMixin:
        """Return p(y), whose draws are the known labels where some are given."""
        p = self._inferred(self.given(self.raw))
        if y is None:
            return p
        value, known = self.known(y)
        return PartlyKnown(p, self._as_drawn(value), known)

    def posterior(self, raw: Tensor, y: Tensor | None) -> TorchDistributionMixin:
        """Return q(y | x), with all mass on a label where it is known.

        Arguments:
            raw: the classifier's output.
            y: the labels, or None where none is known.
        """
        q = self._inferred(self.given(self._warmed(raw)))
        if y is None:
            return q
        value, known = self.known(y)
        return PartlyKnown(q, self._as_drawn(value), known)

    def scored(self, raw: Tensor, y: Tensor, *, weight: float) -> tuple[Weighted, Tensor]:
        """Return q(y | x) to be scored at known labels by a weight, and the labels.

        Arguments:
            raw: the classifier's output.
            y: the labels.
            weight: what a known label counts.
        """
        value, known = self.known(y)
        return Weighted(self.given(raw), known.to(raw.dtype) * weight), value

    def known(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return labels with a value of the support where they are unknown, and which are known."""
        depth = len(self.likelihood.event_shape)
        if y.is_floating_point():
            known = ~y.isnan()
            known = known.flatten(y.dim() - depth).all(-1) if depth else known
        else:
            known = y >= 0
        rows = known.reshape(known.shape + (1,) * depth)
        fill = torch.as_tensor(self.likelihood.fill, dtype=self.raw.dtype, device=y.device)
        return torch.where(rows, y.to(self.raw.dtype), fill), known

    def embedded(self, y: Tensor) -> Tensor:
        """Return y as a network sees it, of shape `[*batch, *condition_shape]`.

        Arguments:
            y: a value of the site, enumerated, drawn or known.
        """
        if self.levels is None:
            inputs = self.likelihood.inputs(y)
            depth = len(self.likelihood.event_shape)
            return inputs.flatten(inputs.dim() - depth) if depth else inputs.unsqueeze(-1)
        if self.inference == "relaxed":
            return y
        codes = torch.arange(self.levels, device=y.device)
        return (y.unsqueeze(-1) == codes).to(self.raw.dtype)

    def classified(
        self, inputs: Tensor, observed: Tensor | None = None, *, beside: Tensor | None = None
    ) -> Tensor:
        """Return the raw numbers of q(y | x), given x as a network sees it and what is beside."""
        raw: Tensor = self.classifier_network(inputs, observed=observed, condition=beside)
        return raw

    def given(self, raw: Tensor) -> Any:
        """Return the distribution of y given raw numbers, as y stands in data."""
        return self.likelihood(raw, Context())

    def drawn(self, rows: int, y: Tensor | float | None = None) -> Tensor:
        """Return labels for so many rows: y, or draws of p(y) for None."""
        if y is not None:
            return self.completed(y, torch.Size((rows,)))
        labels: Tensor = self.given(self.raw).sample(torch.Size((rows,)))
        return labels

    def completed(
        self,
        y: Tensor | float | None,
        batch: torch.Size,
        classify: Callable[[], TorchDistributionMixin] | None = None,
    ) -> Tensor:
        """Return labels, with what stands for q(y | x) where they are unknown.

        Arguments:
            y: labels of shape `[*batch, *event_shape]`, or one for all, or None.
            batch: the batch shape.
            classify: makes q(y | x); None where every label must be known.

        Raises:
            ValueError: a label is of another shape, out of range, or unknown and cannot be.
        """
        shape = torch.Size(self.likelihood.event_shape)
        unknown = torch.full(shape, torch.nan)
        labels = torch.as_tensor(unknown if y is None else y, device=self.raw.device)
        if self.levels is None:
            labels = labels.to(self.raw.dtype)
        if labels.shape not in (shape, batch + shape):
            raise ValueError(
                f"{self.likelihood!r} expects y to be one label, or labels of shape "
                f"{list(batch + shape)}; got {list(labels.shape)}"
            )
        labels = labels.expand(batch + shape)
        self.check(labels.reshape(batch.numel(), *shape), rows=batch.numel())
        value, known = self.known(labels)
        if bool(known.all()):
            return value
        if classify is None:
            raise ValueError(f"{self.likelihood!r} expects a known label y; got {y!r}")
        rows = known.reshape(known.shape + (1,) * len(shape))
        return torch.where(rows, value, self.likelihood.typical(classify()))

    def code(self, y: Tensor) -> Tensor:
        """Return known labels as a network sees them, `[*batch, *condition_shape]`."""
        return self.embedded(self._as_drawn(y))

    @torch.no_grad()
    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Set the starting values of p(y), and the classifier's offset, from known labels.

        Of classes both begin uniform: which labels are known says little of how often a class
        occurs.
        """
        y = batch.get("y")
        if y is None or self.levels is not None:
            return
        value, known = self.known(y)
        if bool(known.any()):
            start = self.likelihood.prepare({"x": value[known]})
            if start is not None:
                self.classifier_network.offset.copy_(start)
                if self.raw.requires_grad or not self.learned:  # what is frozen stays
                    self.raw.copy_(start)

    def check(self, y: Tensor, *, rows: int) -> None:
        """Raise ValueError where labels are not of this kind, or out of range."""
        check_labels(self, y, rows=rows)

    def _warmed(self, raw: Tensor) -> Tensor:
        """Return the classifier's output with its gradient of this step.

        Steps are counted here, as batch normalisation counts them, so that it works in any loop.
        """
        if self.warmup == 0 or not (self.training and torch.is_grad_enabled()):
            return raw
        share = (self.passes / self.warmup).clamp(max=1.0)
        self.passes.add_(1)
        return share * raw + (1.0 - share) * raw.detach()

    def _inferred(self, given: Any) -> Any:
        """Return the distribution of y, as the site draws it."""
        if self.inference != "relaxed":
            return given
        return StraightThroughOneHot(given.logits, self.temperature)

    def _as_drawn(self, value: Tensor) -> Tensor:
        if self.inference != "relaxed":
            return value
        codes = torch.arange(self.levels or 0, device=value.device)
        return (value.unsqueeze(-1) == codes).to(self.raw.dtype)


@kl_rule(Codes, Codes)
def _codes(q: Codes, p: Codes) -> Tensor:
    """Sum `q_k (log q_k - log p_k)`; no logarithm is infinite."""
    return (q.probs * (q.logits - p.logits)).sum(-1)


@kl_rule(PartlyKnown, Distribution)
def _partly_known(q: PartlyKnown, p: Distribution) -> Tensor | None:
    """Of a known row it is `-log p(v)`, of the others that of the distribution there."""
    divergence = analytic_kl(q.base_dist, p)
    if divergence is None:
        return None
    return torch.where(q.known, -p.log_prob(q.value), divergence)
