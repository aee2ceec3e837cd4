"""GECO: the smallest KL that a reconstruction as good as asked for leaves."""

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pyrovae.objectives.checks import check_number, check_policy
from pyrovae.objectives.objective import Measurement, Objective, Parameters, elbo_split
from pyrovae.objectives.opponents import required, unseen
from pyrovae.objectives.terms import Policy, Terms, particle_mean

_PRICE = 10.0  # nats of KL for each nat that is missing, in validation
_LARGEST = 14.0  # of the logarithm of the multiplier, either way: about a million


class GECO(Objective):
    r"""`min KL(q(z | x) || p(z))` subject to `E_q[log p(x | z)] >= target`, by a multiplier.

    The loss is the Lagrangian `KL + multiplier (target - E_q[log p(x | z)])`. The multiplier's
    logarithm rises along the constraint `target - E_q[log p(x | z)]`, by Adam, whose first moment
    is the moving average of the constraint and whose second makes the pace the same at any scale
    of it. In fit the average is over the batches of all processes.

    The Lagrangian moves with its multiplier, so validation reads `KL + 10 max(0, constraint)`
    instead, which compares epochs; the constraint is there the mean over a batch.

    References:
        Rezende and Viola, 2018, arXiv:1810.00597.

    Arguments:
        target: the reconstruction E_q[log p(x | z)] to reach, in nats per datum.
        multiplier: the multiplier to begin with.
        lr: the largest change of its logarithm in a step, nearly.
        decay: how much of the moving average is kept at a step, in [0, 1).
        kl: how the KL is taken, see `ELBO`.
        particles: how many draws the expectation is averaged over, K.

    Raises:
        ValueError: an argument is out of range, or there is no target.

    Example:
        >>> GECO(target=-90.0)
        GECO(target=-90.0)
    """

    formula = "-KL(q(z|x) || p(z)) subject to E_q[log p(x|z)] >= target"

    def __init__(
        self,
        *,
        target: float | None = None,
        multiplier: float = 1.0,
        lr: float = 0.01,
        decay: float = 0.9,
        kl: Policy = "auto",
        particles: int = 1,
    ) -> None:
        super().__init__(particles=particles)
        if target is None:
            raise ValueError(
                "GECO expects target, the E_q[log p(x|z)] to reach in nats per datum; got none: "
                "it depends on the data, so take it from a run with ELBO(), whose log calls it "
                "reconstruction"
            )
        self.target = check_number(self, "target", target)
        self.multiplier = check_number(self, "multiplier", multiplier, above=0.0)
        self.lr = check_number(self, "lr", lr, least=0.0)
        self.decay = check_number(self, "decay", decay, least=0.0, below=1.0)
        self.kl: Policy = check_policy(self, kl)

    def opponent(self, terms: Terms) -> nn.Module:
        """Return a new multiplier."""
        return _Multiplier(self.multiplier)

    def opponent_optimizer(self, parameters: Parameters) -> Optimizer:
        """Return the multiplier's optimiser."""
        return Adam(parameters, lr=self.lr, betas=(self.decay, 0.99), fused=True)

    def measure(
        self, terms: Terms, step: Tensor | None = None, *, opponent: nn.Module | None = None
    ) -> Measurement:
        """Return the negative Lagrangian of each datum; see `Objective.measure`."""
        logarithm = required(self, opponent)()
        multiplier = logarithm.detach().clamp(-_LARGEST, _LARGEST).exp()
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        kl = particle_mean(terms.expectation(terms.divergence(self.kl)))
        constraint = self.target - reconstruction
        if step is None:
            missing = constraint.mean().clamp(min=0.0).expand_as(constraint)
            bound = -kl - _PRICE * missing
        else:
            bound = -kl - multiplier * constraint
        driven = _within(logarithm, constraint).detach() * logarithm
        return Measurement(
            bound=bound + unseen(driven),
            logged={
                "loss": -bound.detach().mean(),
                **elbo_split(reconstruction, kl),
                "constraint": constraint.detach().mean(),
                "multiplier": multiplier,
            },
        )

    def method(self, terms: Terms) -> dict[str, str]:
        """Return for each latent site whether its KL is taken "analytic" or "sampled"."""
        return terms.method(self.kl)


class _Multiplier(nn.Module):
    """The logarithm of a multiplier, as a parameter."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(start).log())

    def forward(self) -> Tensor:
        return self.log


def _within(logarithm: Tensor, constraint: Tensor) -> Tensor:
    """Return the constraint, and zero where it would drive the multiplier beyond its limits.

    It would rise for ever where the target cannot be met.
    """
    outwards = logarithm * constraint.mean() > 0.0
    return constraint * ~(outwards & (logarithm.abs() > _LARGEST))
