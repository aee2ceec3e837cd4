"""The semi-amortised posterior: what the encoder says, refined for each datum."""

from collections.abc import Mapping
from dataclasses import replace

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.posteriors.mean_field_normal import MeanFieldNormal
from pyrovae.posteriors.posterior import Posterior, Shape
from pyrovae.posteriors.refining import (
    LocalBound,
    climbed,
    refinement,
    require_count,
    require_inner,
    require_rate,
)


class SemiAmortized(Posterior):
    r"""Another posterior, whose raw numbers take a few steps up the bound of each datum.

        lambda_0 = encoder(x),    lambda_{t+1} = lambda_t + rate grad L(x; lambda_t)

    where L is the bound at fresh draws. Whether a datum takes a step is judged by the mean of its
    bound over draws whose noise is the same for all steps: it does where that does not fall, and
    else halves its rate. So under that noise no step lowers the bound, however many there are. The
    draws of q(z | x) that follow are made of other noise. The encoder learns by the gradient at
    the refined numbers, as if the steps added a constant; the steps give no parameter a gradient.

    Where there is no bound of x, as for the pseudo-inputs of `VampPrior`, nothing is refined.

    References:
        Kim, Wiseman, Miller, Sontag and Rush, 2018, arXiv:1802.02550; the encoder's gradient as in
        Krishnan, Liang and Hoffman, 2018, arXiv:1710.06085.

    Arguments:
        inner: the posterior that is refined, `MeanFieldNormal()` where none is given.
        steps: how many steps are tried.
        rate: the size of a first step.
        particles: how many draws of the bound a step looks at, and is judged by.

    Raises:
        TypeError: `inner` is no posterior.
        ValueError: a number is not positive, or `inner` has nothing to refine.

    Example:
        >>> SemiAmortized(MeanFieldNormal(), steps=3)
        SemiAmortized(MeanFieldNormal(), steps=3)
    """

    def __init__(
        self,
        inner: Posterior | None = None,
        *,
        steps: int = 5,
        rate: float = 0.01,
        particles: int = 8,
    ) -> None:
        super().__init__()
        self.inner = require_inner(self, MeanFieldNormal() if inner is None else inner)
        self.steps = require_count(self, "steps", steps)
        self.rate = require_rate(self, rate)
        self.particles = require_count(self, "particles", particles)
        self.head = self.inner.head

    def bind(self, data_shape: Shape) -> None:
        """Hand the shapes on to the inner posterior."""
        self.inner.event_shape = self.event_shape
        self.inner.bind(data_shape)

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the inner posterior set its starting values."""
        self.inner.prepare(batch)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        if context.bound is not None:
            bound = LocalBound(self.inner, context, particles=self.particles)
            with refinement():
                refined = climbed(bound, raw.detach(), steps=self.steps, rate=self.rate)
            raw = refined + (raw - raw.detach())
        return self.inner(raw, replace(context, bound=None))
