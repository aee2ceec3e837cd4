"""The posterior over relaxed one-hot codes."""

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import RelaxedOneHot, temperature_of
from pyrovae.heads import Head
from pyrovae.posteriors.posterior import Posterior


class RelaxedCategorical(Posterior):
    r"""Independent relaxed one-hot codes, `z_i = softmax((l_i(x) + g_i) / t)`, Gumbel noise g_i.

    It goes with the prior of the same name, and with others on the simplex; with `Categorical`
    there is no bound. The KL has no closed form.

    References:
        Maddison, Mnih and Teh, 2017, arXiv:1611.00712; Jang, Gu and Poole, 2017, arXiv:1611.01144.

    Arguments:
        temperature: t, from 0.001 to 1000. At the prior's temperature q(z | x) can be p(z).

    Raises:
        ValueError: the temperature is out of range.

    Example:
        >>> import torch
        >>> posterior = RelaxedCategorical()
        >>> posterior.event_shape = (3, 10)
        >>> posterior(torch.zeros(5, 30), Context()).rsample().shape
        torch.Size([5, 3, 10])
    """

    head = Head(logits=lambda event: event)

    def __init__(self, *, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature = temperature
        self._temperature = temperature_of("RelaxedCategorical", temperature)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        return RelaxedOneHot(logits, self._temperature).to_event(len(self.event_shape) - 1)
