"""The prior over relaxed bits."""

from pyro.distributions.torch_distribution import TorchDistributionMixin

from pyrovae.context import Context
from pyrovae.distributions import RelaxedBit, temperature_of
from pyrovae.priors.prior import Prior, dimension
from pyrovae.priors.weights import Weights


class RelaxedBernoulli(Prior):
    r"""Independent relaxed bits, `z_j = sigmoid((logit pi_j + e_j) / t)`, logistic noise e_j.

    With the posterior of the same name the ELBO is a bound of this model's own log p(x): both
    densities are on (0, 1). A relaxed draw has no density under `BernoulliCode`.

    References:
        Maddison, Mnih and Teh, 2017, arXiv:1611.00712.

    Arguments:
        dim: the number of bits.
        temperature: t, from 0.001 to 1000: towards zero z is ever closer to 0 and 1.
        learned: whether the probabilities pi are learned; else, and at the start, they are 1/2.

    Raises:
        ValueError: the dimension is not a positive integer, or the temperature out of range.
        TypeError: `learned` is no boolean.

    Example:
        >>> RelaxedBernoulli(4)(Context()).sample((7,)).shape
        torch.Size([7, 4])
    """

    def __init__(self, dim: int = 32, *, temperature: float = 0.5, learned: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.temperature = temperature
        self.learned = learned
        self.event_shape = dimension(self, dim)
        self._temperature = temperature_of("RelaxedBernoulli", temperature)
        self.weights = Weights(self, learned=learned, shape=self.event_shape)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        return RelaxedBit(self.weights(), self._temperature).to_event(1)
