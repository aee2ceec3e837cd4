"""The importance-weighted bound."""

import math

from torch import Tensor

from pyrovae.objectives.estimators import (
    bounds_without,
    others_mean,
    score_term,
    weigh_draws,
)
from pyrovae.objectives.importance import from_same_draws, importance_weight
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.terms import Terms


class IWAE(Objective):
    r"""The importance-weighted bound, `E[log 1/K sum_k p(x, z_k) / q(z_k | x)]`, z_k ~ q.

    It lies between the ELBO (K = 1) and log p(x), and rises with K. Over an enumerated site's
    values it is averaged under q, outside the logarithm.

    References:
        Burda, Grosse and Salakhutdinov, 2016, arXiv:1509.00519. "stl": Roeder, Wu and Duvenaud,
        2017, arXiv:1703.09194; "dreg": Tucker et al., 2019, arXiv:1810.04152; "score": Williams,
        1992; "vimco": Mnih and Rezende, 2016, arXiv:1602.06725.

    Arguments:
        particles: how many draws each datum gets, K.
        estimator: "reparameterised" differentiates the draws; its signal in the guide falls with K.
            "dreg" does too, leaves out the score of log q, and squares the normalised weights on
            the way into the guide: unbiased, and its signal rises with K. "stl" leaves out the
            score alone, and for K > 1 is biased: its mean in the guide is the gradient of the bound
            plus `E[sum_k w_k grad log q(z_k | x)]`, w_k the normalised weights, which fits q to
            p(z | x). "score" and "vimco" are unbiased, for guides whose draws have no
            gradient: both weigh the gradient of log q by the bound, "score" less the mean of the
            other data's bounds in the batch of one process, "vimco" less the bound without this
            draw. "dreg", "score" and "vimco" are unbiased only where the bound of a datum hangs on
            its own draws alone, so not under batch normalisation in the decoder.

    Raises:
        ValueError: the number of particles is not a positive integer, or is one for "vimco"; or,
            when it is used, "dreg" with an enumerated site, with dropout in the guide, with more
            than one draw, or with discrete draws; or sites that are weighed differently.

    Example:
        >>> IWAE(particles=5)
        IWAE(particles=5)
    """

    formula = "E_q[log 1/K sum_k p(x, z_k) / q(z_k|x)]"
    estimators = ("reparameterised", "stl", "dreg", "score", "vimco")

    def __init__(self, *, particles: int = 50, estimator: str = "reparameterised") -> None:
        super().__init__(particles=particles, estimator=estimator)
        if estimator == "vimco" and particles == 1:
            raise ValueError(
                "IWAE expects at least 2 particles with estimator='vimco', which compares each "
                "with the others; got particles=1, for which estimator='score' fits"
            )

    def __str__(self) -> str:
        biased = self.estimator == "stl" and self.particles > 1
        return super().__str__() + ("; the gradient of its guide is biased" if biased else "")

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the bound of each datum; see `Objective.measure`."""
        terms.require_outer_mass()
        log_weight, scale = importance_weight(terms)
        bound = log_weight.logsumexp(-2, keepdim=True) - math.log(log_weight.shape[-2])
        bound = bound if scale == 1.0 else scale * bound
        if self.estimator == "dreg":
            weigh_draws(terms, log_weight.detach().softmax(-2))
        elif self.estimator in ("score", "vimco"):
            if self.estimator == "vimco":
                baseline = scale * bounds_without(log_weight.detach())
            else:
                baseline = others_mean(terms.expectation(bound.detach()).detach(), dim=-1)
            term = score_term(terms, bound.detach() - baseline)
            bound = bound + term.sum(-2, keepdim=True)
        bound = terms.expectation(bound).squeeze(-2)
        value = bound.detach().mean()
        return Measurement(
            bound=bound, logged={"loss": -value, "iwae": value, **from_same_draws(terms)}
        )
