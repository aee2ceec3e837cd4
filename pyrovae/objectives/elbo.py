"""The evidence lower bound, with a weight on the KL term."""

import torch
from torch import Tensor

from pyrovae.numeric import is_count, limit
from pyrovae.objectives.checks import check_number, check_policy, check_schedule
from pyrovae.objectives.estimators import others_mean, score_term
from pyrovae.objectives.free_bits import Group, floored_kl
from pyrovae.objectives.objective import Measurement, Objective, elbo_split
from pyrovae.objectives.terms import PARTICLE_DIM, Policy, Terms, particle_mean
from pyrovae.schedules import Schedule

_SCORED = ("score", "mixed")  # estimators that weigh a score by the bound


class ELBO(Objective):
    r"""The evidence lower bound, `E_q[log p(x | z)] - beta KL(q(z | x) || p(z))`.

    References:
        Kingma and Welling, 2014, arXiv:1312.6114; beta: Higgins et al., 2017; free bits: Kingma et
        al., 2016, arXiv:1606.04934. "stl": Roeder, Wu and Duvenaud, 2017, arXiv:1703.09194;
        "score": Williams, 1992; its baseline: Kool, van Hoof and Welling, 2019, "Buy 4 REINFORCE
        samples, get a baseline for free!".

    Arguments:
        beta: the weight of the KL term, a number or a schedule of the step; zero is legal.
        kl: "analytic" takes the closed form and raises where none exists, "sampled" takes
            `log q - log p` at the draws, "auto" the closed form wherever it exists.
        particles: how many draws the expectation is averaged over, K.
        free_bits: a floor lambda, in nats for each group j of latent dimensions: the KL term
            becomes `sum_j max(lambda, mean of KL_j over the batch)`. The mean is over the batch of
            one process.
        free_bits_group: how many neighbouring dimensions share a floor, or "site" for all of a
            site, which needs no KL that splits into dimensions.
        estimator: "reparameterised" differentiates the draws. "stl" does, and leaves out the score
            of log q, whose mean is zero: at the exact posterior nothing is left to vary. Its KL is
            sampled. "score" takes the bound of each draw times the gradient of log q, for guides
            whose draws have no gradient; its baseline is the mean of the datum's other particles,
            and with one particle that of the other data in the batch of one process. "mixed"
            differentiates the draws that have a gradient, and takes the score of the others, such
            as a class that is drawn. All four are unbiased; "score" and "mixed" only where the
            bound of a datum hangs on its own draws alone, so not under batch normalisation in the
            decoder.

    Raises:
        ValueError: an argument is out of range, or two do not go together; or, when it is used, no
            closed form exists for `kl="analytic"`, or the KL does not split into the groups of
            `free_bits`.

    Example:
        >>> from pyrovae.schedules import Ramp
        >>> ELBO(beta=Ramp(0, 1, steps=100), free_bits=0.1)
        ELBO(beta=Ramp(steps=100), free_bits=0.1)
    """

    formula = "E_q[log p(x|z)] - beta KL(q(z|x) || p(z))"
    estimators = ("reparameterised", "stl", "score", "mixed")

    def __init__(
        self,
        *,
        beta: float | Schedule = 1.0,
        kl: Policy = "auto",
        particles: int = 1,
        free_bits: float = 0.0,
        free_bits_group: Group = 1,
        estimator: str = "reparameterised",
    ) -> None:
        super().__init__(particles=particles, estimator=estimator)
        self.free_bits = check_number(self, "free_bits", free_bits, least=0.0)
        if free_bits_group != "site" and not is_count(free_bits_group):
            raise ValueError(
                f"ELBO expects free_bits_group to be a positive integer{limit(free_bits_group)} or "
                f"'site'; got {free_bits_group!r}"
            )
        if estimator == "stl" and kl == "analytic":
            raise ValueError(
                "ELBO expects kl to be 'auto' or 'sampled' with estimator='stl', which leaves out "
                "the score of a sampled log q; got kl='analytic', which has no such part"
            )
        if estimator in _SCORED and free_bits > 0.0:
            raise ValueError(
                f"ELBO expects free_bits=0 with estimator={estimator!r}, which weighs each draw by "
                f"the bound of its datum: the floor is on a mean over the batch; got {free_bits!r}"
            )
        self._schedule = check_schedule(self, "beta", beta)
        self.beta = beta
        self.kl: Policy = check_policy(self, kl)
        self.free_bits_group: Group = free_bits_group

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the weighted bound of each datum; see `Objective.measure`."""
        beta = self._schedule.final if step is None else self._schedule(step)
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        if not self.needs_densities and any(site.is_point for site in terms.latent.values()):
            value = reconstruction.detach().mean()
            logged = {"loss": -value, "reconstruction": value, "beta": torch.as_tensor(beta)}
            return Measurement(bound=reconstruction, logged=logged)
        divergence = terms.divergence(self._policy)
        kl = particle_mean(terms.expectation(divergence))
        penalty = kl
        if self.free_bits > 0.0:
            floor, group = self.free_bits, self.free_bits_group
            floored = floored_kl(terms, self._policy, floor=floor, group=group)
            penalty = floored.expand_as(kl)
        bound = reconstruction - beta * penalty
        if self.estimator in _SCORED:
            bound = bound + self._score(terms, terms.log_likelihood - beta * divergence)
        return Measurement(
            bound=bound,
            logged={
                "loss": -bound.detach().mean(),
                **elbo_split(reconstruction, kl),
                "beta": torch.as_tensor(beta),
            },
        )

    def method(self, terms: Terms) -> dict[str, str]:
        """Return for each latent site whether its KL is taken "analytic" or "sampled"."""
        return terms.method(self._policy)

    @property
    def needs_densities(self) -> bool:
        """Whether a point has no bound: with a weight of zero it has one, its reconstruction."""
        return self.beta != 0.0 or self.estimator in _SCORED

    @property
    def _policy(self) -> Policy:
        return "sampled" if self.estimator == "stl" else self.kl

    def _score(self, terms: Terms, integrand: Tensor) -> Tensor:
        """Return the score term of the bound of each draw less its baseline, of value zero."""
        signal = integrand.detach()
        mean = terms.expectation(signal).detach()
        baseline = others_mean(mean, dim=PARTICLE_DIM if self.particles > 1 else -1)
        every = self.estimator == "score"
        return particle_mean(terms.expectation(score_term(terms, signal - baseline, every=every)))
