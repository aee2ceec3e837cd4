"""The mean of several importance-weighted bounds."""

import math

from torch import Tensor

from pyrovae.numeric import is_count, limit
from pyrovae.objectives.importance import from_same_draws, importance_weight
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.terms import Terms, particle_mean


class MultiplyIWAE(Objective):
    r"""The mean of M importance-weighted bounds of K draws each, MIWAE(M, K).

    `1/M sum_m log 1/K sum_k p(x, z_mk) / q(z_mk | x)`, z_mk ~ q. Its expectation is that of
    `IWAE(particles=K)`, and its value lies between the ELBO and the `IWAE` of the same M K draws.
    At a given number of draws, more groups lower the noise of the encoder's gradient relative to
    its mean, and more particles tighten the bound. Over an enumerated site's values it is averaged
    under q, outside the logarithm.

    References:
        Rainforth et al., 2018, arXiv:1802.04537.

    Arguments:
        particles: how many draws each group has, K.
        groups: how many groups each datum gets, M.

    Raises:
        ValueError: a number is not a positive integer, or their product, the number of draws, is
            too large.

    Example:
        >>> objective = MultiplyIWAE(particles=5, groups=3)
        >>> objective, objective.draws
        (MultiplyIWAE(particles=5, groups=3), 15)
    """

    formula = "E_q[1/M sum_m log 1/K sum_k p(x, z_mk) / q(z_mk|x)]"

    def __init__(self, *, particles: int = 8, groups: int = 8) -> None:
        super().__init__(particles=particles)
        if not is_count(groups):
            raise ValueError(
                f"MultiplyIWAE expects groups to be a positive integer{limit(groups)}; "
                f"got {groups!r}"
            )
        if not is_count(particles * groups):
            raise ValueError(
                f"MultiplyIWAE expects particles * groups, its draws for each datum, to be below "
                f"2**31; got {particles} * {groups}"
            )
        self.groups = groups

    @property
    def draws(self) -> int:
        """How many draws of the guide each datum gets: those of all groups."""
        return self.particles * self.groups

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the bound of each datum; see `Objective.measure`."""
        terms.require_outer_mass()
        log_weight, scale = importance_weight(terms)
        draws = log_weight.shape[-2]
        groups = self.groups if draws > 1 else 1  # one where all sites are enumerated
        if draws % groups:
            raise ValueError(
                f"MultiplyIWAE expects a record of a multiple of groups={groups} draws; "
                f"got one of {draws}"
            )
        # A group takes every M-th draw, so that one of draws spread over a mixture spreads as well.
        grouped = log_weight.unflatten(-2, (-1, groups))
        bounds = scale * (grouped.logsumexp(-3) - math.log(draws // groups))
        bound = particle_mean(terms.expectation(bounds))
        value = bound.detach().mean()
        return Measurement(
            bound=bound, logged={"loss": -value, "multiply_iwae": value, **from_same_draws(terms)}
        )
