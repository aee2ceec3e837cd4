"""The prior over binary codes."""

from pyro.distributions.torch_distribution import TorchDistributionMixin

from pyrovae.context import Context
from pyrovae.distributions import BinaryCodes
from pyrovae.priors.prior import Prior, dimension
from pyrovae.priors.weights import Weights


class BernoulliCode(Prior):
    r"""Independent bits, `p(z) = prod_j Bernoulli(z_j; pi_j)`.

    References:
        Mnih and Gregor, 2014, arXiv:1402.0030.

    Arguments:
        dim: the number of bits.
        learned: whether the probabilities pi are learned; else, and at the start, they are 1/2.

    Raises:
        ValueError: the dimension is not a positive integer.
        TypeError: `learned` is no boolean.

    Example:
        >>> import torch
        >>> BernoulliCode(4)(Context()).log_prob(torch.ones(4)).exp().item()
        0.0625
    """

    def __init__(self, dim: int = 10, *, learned: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.learned = learned
        self.event_shape = dimension(self, dim)
        self.weights = Weights(self, learned=learned, shape=self.event_shape)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        return BinaryCodes.of(self.weights())
