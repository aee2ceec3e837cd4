"""The posterior over one-hot codes that are drawn, with the gradient of a relaxed draw."""

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import StraightThroughOneHot, temperature_of
from pyrovae.heads import Head
from pyrovae.posteriors.posterior import Posterior


class StraightThroughCategorical(Posterior):
    r"""Independent one-hot codes, `q(z | x) = prod_i Categorical(z_i; pi_i(x))`, drawn exactly.

    A draw is one-hot, and its gradient that of `softmax((l_i(x) + g_i) / t)` with the same Gumbel
    noise g_i. So every value of a bound is right, and the gradient of what is averaged over draws,
    such as log p(x | z), is biased; that of the KL in closed form is exact. Where the codes are few
    enough, `Categorical` has no noise and no bias.

    References:
        Jang, Gu and Poole, 2017, arXiv:1611.01144, section 2.2.

    Arguments:
        temperature: t of the gradient, from 0.001 to 1000: towards zero the bias falls and the
            variance rises.

    Raises:
        ValueError: the temperature is out of range.

    Example:
        >>> import torch
        >>> posterior = StraightThroughCategorical()
        >>> posterior.event_shape = (3, 10)
        >>> posterior(torch.zeros(5, 30), Context()).rsample().sum().item()
        15.0
    """

    head = Head(logits=lambda event: event)

    def __init__(self, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature
        self._temperature = temperature_of("StraightThroughCategorical", temperature)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        codes: TorchDistributionMixin = StraightThroughOneHot(logits, self._temperature).to_event(
            len(self.event_shape) - 1
        )
        return codes
