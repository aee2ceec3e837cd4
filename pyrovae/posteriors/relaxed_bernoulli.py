"""The posterior over relaxed bits."""

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import RelaxedBit, temperature_of
from pyrovae.heads import Head
from pyrovae.posteriors.posterior import Posterior


class RelaxedBernoulli(Posterior):
    r"""Independent relaxed bits, `z_j = sigmoid((l_j(x) + e_j) / t)`, logistic noise e_j.

    It goes with the prior of the same name; with `BernoulliCode` there is no bound. The KL has no
    closed form.

    References:
        Maddison, Mnih and Teh, 2017, arXiv:1611.00712.

    Arguments:
        temperature: t, from 0.001 to 1000. At the prior's temperature q(z | x) can be p(z).

    Raises:
        ValueError: the temperature is out of range.

    Example:
        >>> import torch
        >>> posterior = RelaxedBernoulli()
        >>> posterior.event_shape = (4,)
        >>> posterior(torch.zeros(5, 4), Context()).rsample().shape
        torch.Size([5, 4])
    """

    head = Head(logits=1)

    def __init__(self, *, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature = temperature
        self._temperature = temperature_of("RelaxedBernoulli", temperature)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        return RelaxedBit(logits, self._temperature).to_event(len(self.event_shape))
