"""A normal with an atom at zero: a spike and a slab."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Normal, constraints
from torch.nn.functional import logsigmoid

Sizes = torch.Size | list[int] | tuple[int, ...]


class SpikesAndSlabs(constraints.Constraint):
    """Numbers whose zeros are an atom: densities are by counting at zero and by volume elsewhere.

    Example:
        >>> SpikesAndSlabs().check(torch.tensor([0.0, 1.5, float("nan")]))
        tensor([ True,  True, False])
    """

    kind = "spikes and slabs"

    def check(self, value: Tensor) -> Tensor:
        """Return for each element whether it is a finite number."""
        return value.isfinite()

    def __repr__(self) -> str:
        return "zero, as an atom, and real numbers"


class SpikedNormal(TorchDistribution):
    r"""`z = b u` with a gate `b ~ Bernoulli(g)` and a slab `u ~ N(m, s^2)`, element by element.

    Its density by the counting measure at zero plus Lebesgue's elsewhere is `1 - g` at zero and
    `g N(z; m, s^2)` elsewhere. Draws have hard gates, so that zeros are exact.

    The gradient of a draw by m and s is exact. By the logit l of g it is, with f' the derivative at
    the draw, `1/2 (1 - P(b)) u f'`: the trapezoid rule's estimate of
    `dE[f]/dl = g (1 - g) E[f(u) - f(0)]`, of which the two ends are seen with probabilities g and
    1 - g. It is unbiased where f is at most quadratic in each gate, such as the log-likelihood of
    a linear decoder with normal noise; otherwise it is biased, by the third derivative of f. There
    is no temperature. The score of a draw, by this class, is linear in each gate, and its gradient
    is exact: a draw carries its gates and slabs along, for the density jumps at zero, which the
    draw alone does not tell.

    References:
        Tonolini, Jensen and Murray-Smith, 2020, Variational sparse coding, UAI; the trapezoid rule
        for discrete draws: Liu, Dong, Liu, Yu and Gao, 2023, arXiv:2304.08612.

    Arguments:
        logits: the logits l of the gates, of shape `[*batch]`.
        loc: the slabs' means m, likewise.
        scale: the slabs' standard deviations s, likewise.

    Example:
        >>> made = SpikedNormal(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(1.0))
        >>> made.log_prob(torch.tensor([0.0, 1.0]))  # log 1/2, and less 1/2 log(2 pi)
        tensor([-0.6931, -1.6121])
        >>> made.mean.item()
        0.5
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "logits": constraints.real,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = SpikesAndSlabs()
    has_rsample = True

    def __init__(
        self, logits: Tensor, loc: Tensor, scale: Tensor, *, validate_args: bool | None = None
    ) -> None:
        self.logits, self.loc, self.scale = torch.broadcast_tensors(logits, loc, scale)
        super().__init__(self.logits.shape, validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "SpikedNormal":
        """Return the distribution with its batch shape expanded."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        shape = torch.Size(batch_shape)
        for name in self.arg_constraints:
            setattr(new, name, getattr(self, name).expand(shape))
        TorchDistribution.__init__(new, shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        """The mean, `g m`."""
        return torch.sigmoid(self.logits) * self.loc

    @property
    def variance(self) -> Tensor:
        """The variance, `g s^2 + g (1 - g) m^2`."""
        share = torch.sigmoid(self.logits)
        off = torch.sigmoid(-self.logits)
        return share * (self.scale.square() + off * self.loc.square())

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        logits = self.logits.expand(shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        slab = self.loc + self.scale * noise
        hard = torch.rand(shape, dtype=logits.dtype, device=logits.device) < logits.sigmoid()
        weight = 0.5 * torch.where(hard, -logits, logits).sigmoid().detach()
        gate = hard.to(slab.dtype) + weight * (logits - logits.detach())
        draw = gate * slab
        if draw.requires_grad:
            draw._pyrovae_gates = gate, slab
        return draw

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        spike, open_gate = logsigmoid(-self.logits), logsigmoid(self.logits)
        normal = Normal(self.loc, self.scale, validate_args=False)
        kept = getattr(value, "_pyrovae_gates", None)
        if kept is None:
            return torch.where(value == 0, spike, open_gate + normal.log_prob(value))
        gate, slab = kept
        return (1.0 - gate) * spike + gate * (open_gate + normal.log_prob(slab))
