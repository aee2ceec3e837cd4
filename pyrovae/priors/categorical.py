"""The prior over one-hot codes."""

from pyro.distributions.torch_distribution import TorchDistributionMixin

from pyrovae.context import Context
from pyrovae.distributions import OneHot
from pyrovae.priors.prior import Prior
from pyrovae.priors.weights import Weights, code_shape


class Categorical(Prior):
    r"""Independent one-hot codes, `p(z) = prod_i Categorical(z_i; pi_i)`, i = 1..codes.

    One z is `codes` one-hot vectors of `classes` entries each. The classes are equally probable, as
    a standard normal has nothing to learn either; learned weights start there.

    References:
        Jang, Gu and Poole, 2017, arXiv:1611.01144.

    Arguments:
        classes: the number of classes of each code, at least 2.
        codes: the number of codes.
        learned: whether the probabilities pi are learned.

    Raises:
        ValueError: a number is not a count.
        TypeError: `learned` is no boolean.

    Example:
        >>> import torch
        >>> prior = Categorical(10, codes=3)
        >>> prior.event_shape
        (3, 10)
        >>> prior(Context()).log_prob(torch.eye(10)[[4, 7, 7]]).item()  # -3 log 10
        -6.907755374908447
    """

    def __init__(self, classes: int = 10, *, codes: int = 1, learned: bool = False) -> None:
        super().__init__()
        self.classes = classes
        self.codes = codes
        self.learned = learned
        self.event_shape = code_shape(self, classes, codes)
        self.weights = Weights(self, learned=learned, shape=self.event_shape)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        codes: TorchDistributionMixin = OneHot(self.weights()).to_event(1)
        return codes
