"""The base of the families on a sphere that are symmetric about a direction."""

from abc import ABC
from typing import Any, Self

import torch
from pyro.distributions import constraints
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor

from pyrovae.distributions.hyperspherical_uniform import Sizes, require_sphere


class AboutADirection(TorchDistribution, ABC):
    """A distribution on the unit sphere of R^dim with a mean direction and a concentration.

    Arguments:
        loc: the mean direction m, of length one, of shape `[*batch, dim]`.
        concentration: k, positive, of shape `[*batch]`.

    Raises:
        ValueError: there is no such sphere, or a parameter lies outside its bounds.
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "loc": constraints.sphere,
        "concentration": constraints.positive,
    }
    support = constraints.sphere
    has_rsample = True

    def __init__(
        self, loc: Tensor, concentration: Tensor, *, validate_args: bool | None = None
    ) -> None:
        require_sphere(type(self).__name__, loc.shape[-1] if loc.dim() else 0)
        batch = torch.broadcast_shapes(loc.shape[:-1], concentration.shape)
        self.loc = loc.expand(batch + loc.shape[-1:])
        self.concentration = concentration.expand(batch)
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> Self:
        """Return the distribution with its batch shape expanded."""
        batch = torch.Size(batch_shape)
        loc = self.loc.expand(batch + self.event_shape)
        made = type(self)(loc, self.concentration.expand(batch), validate_args=False)
        made._validate_args = self._validate_args
        return made
