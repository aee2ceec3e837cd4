"""The normal prior that depends on a condition."""

from itertools import pairwise

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.heads import Head, positive
from pyrovae.numeric import is_count, limit
from pyrovae.priors.prior import Prior, count, dimension


class ConditionalNormal(Prior):
    r"""A normal whose mean and scale are a network of the condition y.

        p(z | y) = N(z; mu(y), diag sigma(y)^2)

    The condition comes with the context, a vector for each datum; a label comes as a one-hot
    vector. A model without a condition, such as `VAE`, refuses this prior.

    References:
        Sohn, Lee and Yan, 2015, Learning structured output representation using deep conditional
        generative models.

    Arguments:
        dim: the number of latent dimensions.
        condition: the length of the condition y.
        hidden: the widths of the network's hidden layers, each followed by a softplus; none at all
            is one linear map.

    Raises:
        ValueError: a number is not a positive integer; or, when it is used, the context has no
            condition, or one of another shape.

    Example:
        >>> prior = ConditionalNormal(2, condition=3, hidden=(16,))
        >>> prior(Context(condition=torch.eye(3))).sample().shape
        torch.Size([3, 2])
    """

    conditional = True

    def __init__(
        self, dim: int = 32, *, condition: int = 10, hidden: tuple[int, ...] = (100,)
    ) -> None:
        super().__init__()
        self.dim = dim
        self.condition = count(self, "condition", condition)
        self.hidden = _widths(hidden)
        self.event_shape = dimension(self, dim)
        sizes = (condition, *self.hidden)
        layers: list[nn.Module] = []
        for size, next_size in pairwise(sizes):
            layers += [nn.Linear(size, next_size), nn.Softplus()]
        self.network = nn.Sequential(*layers, nn.Linear(sizes[-1], 2 * dim))

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z | y), of the condition's batch shape; see `Prior`."""
        raw = self.network(self._checked(context.condition))
        parameters = _HEAD.unpack(raw, self.event_shape)
        return dist.Normal(parameters["loc"], positive(parameters["scale"])).to_event(1)

    def _checked(self, condition: Tensor | None) -> Tensor:
        """Return the condition in the network's precision, refused where it does not fit."""
        if condition is None:
            raise ValueError(
                f"{self!r} is p(z | y) and needs a condition y, which the context does not have: "
                f"a VAE gives its prior none, a conditional model does (Context(condition=...)); "
                f"as the prior of a VAE, Normal({self.dim}) would fit"
            )
        if not isinstance(condition, Tensor) or condition.shape[-1:] != (self.condition,):
            given = tuple(condition.shape) if isinstance(condition, Tensor) else repr(condition)
            raise ValueError(
                f"{self!r} expects Context.condition to be a tensor of shape "
                f"[*batch, {self.condition}]; got {given}: give labels as one-hot vectors, such as "
                f"torch.nn.functional.one_hot(y, {self.condition})"
            )
        weight: Tensor = next(self.network.parameters())
        return torch.as_tensor(condition, dtype=weight.dtype, device=weight.device)


_HEAD = Head(loc=1, scale=1)


def _widths(hidden: tuple[int, ...]) -> tuple[int, ...]:
    """Return the widths of hidden layers as a tuple, checked to be positive integers."""
    widths = tuple(hidden) if isinstance(hidden, list | tuple) else (hidden,)
    for width in widths:
        if not is_count(width):
            raise ValueError(
                f"ConditionalNormal expects hidden to be positive integers{limit(width)}; "
                f"got {hidden!r}"
            )
    return widths
