"""The importance-weighted bound."""

import math

from torch import Tensor

from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.terms import Terms


class IWAE(Objective):
    r"""The importance-weighted bound, `E[log 1/K sum_k p(x, z_k) / q(z_k | x)]`, z_k ~ q.

    It lies between the ELBO (K = 1) and log p(x), and rises with K. Over an enumerated site's
    values it is averaged under q, outside the logarithm.

    References:
        Burda, Grosse and Salakhutdinov, 2016, arXiv:1509.00519.

    Arguments:
        particles: how many draws each datum gets, K.

    Raises:
        ValueError: the number of particles is not a positive integer.

    Example:
        >>> IWAE(particles=5)
        IWAE(particles=5)
    """

    formula = "E_q[log 1/K sum_k p(x, z_k) / q(z_k|x)]"

    def __init__(self, *, particles: int = 50) -> None:
        super().__init__(particles=particles)

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the bound of each datum; see `Objective.measure`."""
        terms.require_outer_mass()
        log_weight = terms.log_weight
        bound = log_weight.logsumexp(-2, keepdim=True) - math.log(log_weight.shape[-2])
        bound = terms.expectation(bound).squeeze(-2)
        reconstruction = terms.expectation(terms.log_likelihood.detach()).mean()
        elbo = terms.expectation(log_weight.detach()).mean()
        value = bound.detach().mean()
        return Measurement(
            bound=bound,
            logged={
                "loss": -value,
                "iwae": value,
                "elbo": elbo,
                "reconstruction": reconstruction,
                "kl": reconstruction - elbo,
            },
        )
