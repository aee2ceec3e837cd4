"""A mixture of discretised logistic distributions, element by element."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyrovae.distributions.discretized_logistic import log_mass, mass_up_to, moment, rounded

Sizes = torch.Size | list[int] | tuple[int, ...]


class DiscretizedLogisticMixture(TorchDistribution):
    r"""A level out of 0..n of the mass `p(x) = sum_k pi_k DiscretizedLogistic(x; m_k, s_k)`.

    References:
        Salimans, Karpathy, Chen and Kingma, 2017, arXiv:1701.05517.

    Arguments:
        logits: the weights' unnormalised logarithms, of shape `[*batch, K]`.
        loc: m, in levels, likewise.
        scale: s, in levels, likewise.
        total_count: the highest level, n.

    Example:
        >>> loc, scale = torch.tensor([1.0, 3.0]), torch.tensor([0.1, 0.1])
        >>> made = DiscretizedLogisticMixture(torch.zeros(2), loc, scale, total_count=4)
        >>> made.log_prob(torch.arange(5.0)).exp()
        tensor([0.0033, 0.4933, 0.0067, 0.4933, 0.0033])
        >>> made.mean.item(), made.icdf(torch.tensor([0.1, 0.9])).tolist()
        (2.0, [1.0, 3.0])
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "logits": constraints.real_vector,
        "loc": constraints.real_vector,
        "scale": constraints.independent(constraints.positive, 1),
    }

    def __init__(
        self,
        logits: Tensor,
        loc: Tensor,
        scale: Tensor,
        *,
        total_count: int,
        validate_args: bool | None = None,
    ) -> None:
        self.logits, self.loc, self.scale = torch.broadcast_tensors(logits, loc, scale)
        self.total_count = total_count
        super().__init__(self.loc.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "DiscretizedLogisticMixture":
        """Return the distribution with its batch shape expanded."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        shape = torch.Size(batch_shape)
        for name in self.arg_constraints:
            value = getattr(self, name)
            setattr(new, name, value.expand(*shape, value.shape[-1]))
        new.total_count = self.total_count
        TorchDistribution.__init__(new, shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The levels."""
        return constraints.integer_interval(0, self.total_count)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the logarithm of the mass, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        masses = log_mass(value.unsqueeze(-1), self.loc, self.scale, self.total_count)
        return torch.logsumexp(torch.log_softmax(self.logits, dim=-1) + masses, dim=-1)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the mass of the levels up to a value."""
        masses = mass_up_to(value.unsqueeze(-1), self.loc, self.scale, self.total_count)
        mass = (self._weights * masses).sum(-1)
        return torch.where(value >= self.total_count, 1.0, mass)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the lowest level up to which there is at least a mass, by bisection."""
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        low = torch.full_like(value, -1.0).expand(shape)
        high = torch.full_like(low, float(self.total_count))
        for _ in range(self.total_count.bit_length()):
            middle = ((low + high) / 2.0).floor()
            enough = self.cdf(middle) >= value
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        return high.clamp(min=0.0)

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients; of each draw only the chosen component is drawn from."""
        weights = torch.distributions.Categorical(logits=self.logits, validate_args=False)
        chosen = weights.sample(torch.Size(sample_shape)).unsqueeze(-1)
        shape = (*chosen.shape[:-1], self.loc.shape[-1])
        loc, scale = (t.expand(shape).gather(-1, chosen) for t in (self.loc, self.scale))
        return rounded(loc.squeeze(-1), scale.squeeze(-1), self.total_count)

    @property
    def mean(self) -> Tensor:
        """The mean, summed over all levels."""
        return (self._weights * moment(self.loc, self.scale, self.total_count)).sum(-1)

    @property
    def variance(self) -> Tensor:
        """The variance, summed over all levels."""
        given = self.loc.double(), self.scale.double(), self.total_count
        weights = torch.softmax(self.logits.double(), dim=-1)
        first, second = ((weights * moment(*given, power=power)).sum(-1) for power in (1, 2))
        return (second - first.square()).clamp(min=0.0).to(self.loc.dtype)

    @property
    def _weights(self) -> Tensor:
        return torch.softmax(self.logits, dim=-1)
