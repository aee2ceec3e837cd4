"""The Student t likelihood, for real numbers with outliers."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import SoundStudentT
from pyrovae.heads import Head
from pyrovae.likelihoods.learned import (
    MOST,
    Choice,
    begun,
    learned,
    number_of,
    settled_start,
    stacked,
)
from pyrovae.likelihoods.likelihood import Likelihood, Shape, shape_of, spread_of

_ABOVE = 1.0  # the least degrees of freedom: a mean needs more
_START = 5.0  # where the degrees of freedom that are learned begin


class StudentT(Likelihood):
    r"""Independent Student t elements, whose tails are those of a power.

        p(x | z) = prod_i c / s_i (1 + y_i^2 / v)^(-(v + 1) / 2),    y_i = (x_i - mu_i(z)) / s_i,
        c = Gamma((v + 1) / 2) / (Gamma(v / 2) sqrt(v pi))

    An outlier costs its logarithm, where under a normal it costs its square. It is a normal for
    many degrees of freedom v; the variance is `s^2 v / (v - 2)` above two, and infinite below.

    References:
        In a variational autoencoder: Takahashi, Iwata, Yamanaka, Yamada and Yagi, 2018,
        doi:10.24963/ijcai.2018/374.

    Arguments:
        event_shape: the shape of one x.
        scale: s: a positive number, or "shared" for one learned number, "element" for one learned
            number for each element, "network" for one predicted for each element.
        df: the degrees of freedom v, likewise. All lie above one, so that there is a mean.

    Raises:
        ValueError: the shape is not one of positive integers, or another argument none of the four.

    Example:
        >>> made = StudentT((1,), df=2)(torch.zeros(1), Context())
        >>> round(made.log_prob(torch.zeros(1)).exp().item(), 6)  # 1 / sqrt(8)
        0.353553
        >>> StudentT((4,), scale="element", df="network").head
        Head(loc=1, df=1)
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        scale: float | Choice = 1.0,
        df: float | Choice = _START,
    ) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.scale = scale
        self.df = df
        needs = learned(self, "scale", scale) | learned(self, "df", df, above=_ABOVE, most=MOST)
        self.head = Head(loc=1, **needs)
        begun(self, "df", torch.full(self.event_shape, _START), above=_ABOVE)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        df = number_of(self, "df", parameters, above=_ABOVE)
        scale = number_of(self, "scale", parameters)
        return self.over_elements(SoundStudentT(df, parameters["loc"], scale), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean and the spread of the data, and at v = 5; see `Likelihood`."""
        loc, variance = spread_of(batch)
        df = settled_start(self, "df", torch.full_like(loc, _START))
        scale = (variance * (df - 2.0).clamp(min=0.5) / df).sqrt()
        raw = [loc, *begun(self, "scale", scale), *begun(self, "df", df, above=_ABOVE)]
        return stacked(self, raw)
