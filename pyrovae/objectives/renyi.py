"""Renyi's variational bounds, one for each order."""

from torch import Tensor

from pyrovae.numeric import is_finite
from pyrovae.objectives.importance import from_same_draws, importance_weight, power_mean
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.terms import Terms

LARGEST_ORDER = 1e6  # beyond it a bound is the largest or the smallest weight to all digits


class Renyi(Objective):
    r"""The variational Renyi bound of order alpha, in place of the KL another divergence of q.

    `L_alpha = 1/(1 - alpha) log E_q[(p(x, z) / q(z | x))^(1 - alpha)]`, estimated by
    `1/(1 - alpha) log 1/K sum_k w_k^(1 - alpha)` with w_k = p(x, z_k) / q(z_k | x), z_k ~ q. It
    falls as alpha rises: alpha = 0 is log p(x), and its estimate `IWAE`; alpha = 1 is the ELBO, as
    a limit that is taken exactly; between the two, and above, it is a lower bound. With a negative
    alpha it is an upper bound, and its estimate, which lies below it by an amount that falls with
    K, is on neither side of log p(x) for sure. Very large orders of either sign come to the
    smallest and the largest of the weights. Over an enumerated site's values it is averaged under
    q, outside the logarithm.

    References:
        Li and Turner, 2016, arXiv:1602.02311.

    Arguments:
        alpha: the order.
        particles: how many draws each datum gets, K.

    Raises:
        ValueError: the order is not within a million of zero, or the number of particles is not a
            positive integer.

    Example:
        >>> Renyi(alpha=0.3, particles=5)
        Renyi(alpha=0.3, particles=5)
    """

    formula = "1/(1 - alpha) log E_q[(p(x, z) / q(z|x))^(1 - alpha)]"

    def __init__(self, *, alpha: float = 0.5, particles: int = 50) -> None:
        super().__init__(particles=particles)
        if not is_finite(alpha) or abs(alpha) > LARGEST_ORDER:
            raise ValueError(
                f"Renyi expects alpha to be a number from -1e6 to 1e6; got {alpha!r}; for the "
                f"largest weight take alpha=-1e6, for the smallest alpha=1e6"
            )
        self.alpha = alpha

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the bound of each datum; see `Objective.measure`."""
        terms.require_outer_mass()
        log_weight, scale = importance_weight(terms)
        bound = scale * power_mean(log_weight, 1.0 - self.alpha, keepdim=True)
        bound = terms.expectation(bound).squeeze(-2)
        value = bound.detach().mean()
        return Measurement(
            bound=bound, logged={"loss": -value, "renyi": value, **from_same_draws(terms)}
        )
