"""A likelihood of standardised data, as one of the data themselves."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.distributions import constraints

from pyrovae.context import Context
from pyrovae.distributions import Stretched
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of
from pyrovae.likelihoods.normal import Normal


class Standardized(Likelihood):
    r"""Data whose standardised elements follow a likelihood: `x_i = a_i + s_i u_i, u ~ p(u | z)`.

    a and s are the mean and the standard deviation of each element, taken once from the training
    data; where the likelihood is one of positive numbers, a is zero and s the mean. A constant
    element keeps s of one. Networks work on u, which lies around zero with a spread of one; draws
    and means are of x, and so is the density: `log p(x | z) = log p(u | z) - sum_i log s_i`.

    Arguments:
        likelihood: p(u | z), of real or of positive numbers.

    Raises:
        TypeError: it is no likelihood.
        ValueError: its data are neither all real nor all positive numbers.

    Example:
        >>> score = Standardized(Normal((2,)))
        >>> score.spread.copy_(torch.tensor([1.0, 10.0]))
        tensor([ 1., 10.])
        >>> score(torch.zeros(2), Context()).stddev
        tensor([ 1., 10.])
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, likelihood: Likelihood | None = None) -> None:
        super().__init__()
        likelihood = Normal((1,), scale="element") if likelihood is None else likelihood
        if not isinstance(likelihood, Likelihood):
            raise TypeError(
                f"Standardized expects a likelihood such as Normal((3,)); got {likelihood!r}"
            )
        self.likelihood = likelihood
        self.event_shape: Shape = tuple(likelihood.event_shape)
        self.head = likelihood.head
        self.fits_data = likelihood.fits_data
        self._moves = _is_real(likelihood)
        self.register_buffer("centre", torch.zeros(self.event_shape))
        self.register_buffer("spread", torch.ones(self.event_shape))

    @property
    def fill(self) -> Tensor:  # type: ignore[override]
        """What stands in for missing entries of x."""
        return self.centre + self.spread * self.likelihood.fill

    def bind(self, latent_shape: Shape) -> None:
        """Tell the likelihood within; see `Likelihood`."""
        self.likelihood.bind(latent_shape)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        x = None if context.x is None else (context.x - self.centre) / self.spread
        base = self.likelihood(raw, replace(context, x=x))
        return Stretched(base, self.centre, self.spread, observed=context.observed)

    def given(self, raw: Tensor, x: Tensor, context: Context) -> TorchDistributionMixin:
        """Return what the likelihood within says of missing entries; see `Likelihood`."""
        base = self.likelihood.given(raw, (x - self.centre) / self.spread, context)
        return Stretched(base, self.centre, self.spread)

    def inputs(self, x: Tensor) -> Tensor:
        """Return u as an encoder sees it; see `Likelihood`."""
        return self.likelihood.inputs((x - self.centre) / self.spread)

    def typical(self, x_given_z: TorchDistributionMixin) -> Tensor:
        """Return the value that stands for p(x | z); see `Likelihood`."""
        base: TorchDistributionMixin = x_given_z.base_dist
        return self.centre + self.spread * self.likelihood.typical(base)

    def quantile(self, x_given_z: TorchDistributionMixin, probability: Tensor | float) -> Tensor:
        """Return the quantiles of u, moved and stretched; see `Likelihood`."""
        base: TorchDistributionMixin = x_given_z.base_dist
        return self.centre + self.spread * self.likelihood.quantile(base, probability)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """Take the moments of the data, and begin where the likelihood does; see `Likelihood`."""
        mean = mean_of(batch)
        if self._moves:
            # the mean of squares minus the squared mean would lose small spreads far from zero
            centred = {**batch, "x": batch["x"].double() - mean}
            spread = mean_of(centred, power=2).sqrt()
            self.centre.copy_(mean)
        else:
            spread = mean
        least = 1e-10 * mean.abs().clamp(min=1e-20)
        self.spread.copy_(torch.where(spread > least, spread, 1.0))
        u = (batch["x"] - self.centre.double()) / self.spread.double()
        return self.likelihood.prepare({**batch, "x": u.to(self.spread.dtype)})

    def coded(self) -> Tensor:
        """Return which elements are codes; see `Likelihood`."""
        return self.likelihood.coded()

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return self.likelihood.remedy()


def _is_real(likelihood: Likelihood) -> bool:
    """Return whether data are real numbers, false where they are positive ones."""
    if torch.empty(0).is_meta:  # of an outline, which has no numbers
        return True
    with torch.no_grad():
        raw = torch.zeros(likelihood.head.out_shape(tuple(likelihood.event_shape)))
        support = likelihood(raw, Context()).support
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    if support is constraints.real:
        return True
    lowest = getattr(support, "lower_bound", None)
    ends = hasattr(support, "upper_bound")
    if not isinstance(lowest, int | float) or lowest != 0 or ends or support.is_discrete:
        raise ValueError(
            f"Standardized stretches real or positive numbers, and {likelihood!r} is for "
            f"{support}; score these as they are"
        )
    return False
