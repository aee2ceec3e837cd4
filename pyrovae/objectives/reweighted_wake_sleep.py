"""Reweighted wake-sleep: the model follows the importance-weighted bound, the guide its weights."""

import math

from torch import Tensor

from pyrovae.objectives.estimators import score_term
from pyrovae.objectives.importance import from_same_draws, importance_weight
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.terms import Terms


class ReweightedWakeSleep(Objective):
    r"""Reweighted wake-sleep: the model raises a bound, and the guide fits p(z | x).

    With draws `z_k ~ q(z | x)` and their normalised weights w_k, in proportion to
    `p(x, z_k) / q(z_k | x)`, the model moves along `sum_k w_k grad log p(x, z_k)`, the gradient of
    `IWAE`, and the guide along `sum_k w_k grad log q(z_k | x)`, which lowers
    `KL(p(z | x) || q(z | x))`. No draw is differentiated, so that any guide that can be drawn from
    and scored is legal. The bound is what is logged; the guide does not raise it, and the weights
    make its gradient biased, by a share of order 1/K.

    These are the two wake phases. There is no sleep phase, which fits the guide to draws x of the
    model: those can be far from the data while the model is poor, and Le et al. find that the
    guide is as good without it.

    References:
        Bornschein and Bengio, 2015, arXiv:1406.2751; Le et al., 2019, arXiv:1805.10469.

    Arguments:
        particles: how many draws each datum gets, K. With one the guide learns nothing.

    Raises:
        ValueError: the number of particles is not an integer of at least 2; or, when it is used, a
            site of the guide is enumerated, and has an exact gradient elsewhere.

    Example:
        >>> print(ReweightedWakeSleep(particles=5).formula)
        model: E_q[log 1/K sum_k p(x, z_k) / q(z_k|x)]; guide: -KL(p(z|x) || q(z|x))
    """

    formula = "model: E_q[log 1/K sum_k p(x, z_k) / q(z_k|x)]; guide: -KL(p(z|x) || q(z|x))"
    estimators = ("wake",)

    def __init__(self, *, particles: int = 50) -> None:
        super().__init__(particles=particles, estimator="wake")
        if particles == 1:
            raise ValueError(
                "ReweightedWakeSleep expects at least 2 particles, which it weighs against one "
                "another; got particles=1"
            )

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the bound of each datum; see `Objective.measure`."""
        names = [site.name for site in terms.enumerated]
        if names:
            raise ValueError(
                f"ReweightedWakeSleep draws every latent site, and the guide enumerates {names}, "
                f"whose gradient is exact under ELBO and IWAE; use one of them"
            )
        log_weight, scale = importance_weight(terms)
        weight = log_weight.detach().softmax(-2)
        bound = scale * (log_weight.logsumexp(-2) - math.log(log_weight.shape[-2]))
        value = bound.detach().mean()
        for site in terms.latent.values():  # the bound would have the guide lower its weights
            bound = bound + (weight * (site.log_q - site.log_q.detach())).sum(-2)
        bound = bound + score_term(terms, scale * weight).sum(-2)
        return Measurement(
            bound=bound, logged={"loss": -value, "iwae": value, **from_same_draws(terms)}
        )
