"""The objective of the InfoVAE."""

import torch
from torch import Tensor

from pyrovae.distances import MMD, Distance
from pyrovae.numeric import is_finite
from pyrovae.objectives.checks import check_policy
from pyrovae.objectives.matching import check_matching, distance_to_prior, matched_site
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.terms import Policy, Terms, particle_mean
from pyrovae.schedules import Schedule, as_schedule

_DISTANCE = MMD()


class InfoVAE(Objective):
    r"""The ELBO with a weight on the information between x and z.

        E_q[log p(x | z)] - (1 - alpha) KL(q(z | x) || p(z)) - (alpha + lambda - 1) D(q(z), p(z))

    The mean KL is the mutual information `I_q(x; z)` plus `KL(q(z) || p(z))`. Of these the first is
    weighed by `1 - alpha`; to the second, D adds a pull of the aggregated posterior to the prior.
    With alpha = 0 and lambda = 1 it is the ELBO. With alpha = 1 no density is read, and it is
    `Wasserstein(weight=lambda)`. For alpha above zero it is no bound on log p(x).

    The draws that D compares are those of a batch of one process, or with `gather` of all
    processes. A prior with parameters learns by the KL, and by D where its draws have gradients.

    References:
        Zhao, Song and Ermon, 2017, arXiv:1706.02262.

    Arguments:
        alpha: the weight that is taken from the mutual information, at most 1.
        weight: the weight of the aggregated posterior's distance, lambda, a number or a schedule;
            `alpha + lambda` is at least 1.
        distance: D, one of `pyrovae.distances`.
        kl: "analytic" takes the closed form and raises where none exists, "sampled" takes
            `log q - log p` at the draws, "auto" the closed form wherever it exists.
        particles: how many draws of z each datum gets; D is averaged over them.
        gather: whether D compares the draws of all processes together. The step is then not
            compiled where there are several.

    Raises:
        TypeError: `distance` is no distance.
        ValueError: a number is out of range; or, when it is used, there are several latent sites,
            or z is discrete.

    Example:
        >>> InfoVAE(alpha=0.5, weight=20.0)
        InfoVAE(alpha=0.5, weight=20.0)
    """

    formula = (
        "E_q[log p(x|z)] - (1 - alpha) KL(q(z|x) || p(z)) - (alpha + weight - 1) D(q(z), p(z))"
    )

    def __init__(
        self,
        *,
        alpha: float = 0.0,
        weight: float | Schedule = 10.0,
        distance: Distance = _DISTANCE,
        kl: Policy = "auto",
        particles: int = 1,
        gather: bool = False,
    ) -> None:
        super().__init__(particles=particles)
        check_matching(self, distance, gather)
        if not is_finite(alpha) or alpha > 1.0:
            raise ValueError(f"InfoVAE expects alpha of at most 1; got {alpha!r}")
        self._schedule = as_schedule(weight)
        for end in (self._schedule.final, getattr(self._schedule, "start", self._schedule.final)):
            if alpha + end < 1.0:
                raise ValueError(
                    f"InfoVAE expects alpha + weight of at least 1, or it would draw the "
                    f"aggregated posterior away from the prior; got alpha={alpha!r}, "
                    f"weight={weight!r}"
                )
        self.alpha = alpha
        self.weight = weight
        self.distance = distance
        self.kl: Policy = check_policy(self, kl)
        self.gather = gather

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the objective of each datum; see `Objective.measure`."""
        weight = self._schedule.final if step is None else self._schedule(step)
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        distance = distance_to_prior(terms, self.distance, gather=self.gather)
        bound = reconstruction - (self.alpha + weight - 1.0) * distance
        logged = {}
        if not any(site.is_point for site in terms.latent.values()):
            kl = particle_mean(terms.expectation(terms.divergence(self.kl)))
            if self.needs_densities:
                bound = bound - (1.0 - self.alpha) * kl
            means = reconstruction.detach().mean(), kl.detach().mean()
            logged = {"elbo": means[0] - means[1], "kl": means[1]}
        logged |= {
            "loss": -bound.detach().mean(),
            "reconstruction": reconstruction.detach().mean(),
            "distance": distance.detach(),
            "weight": torch.as_tensor(weight),
        }
        return Measurement(bound=bound, logged=logged)

    def method(self, terms: Terms) -> dict[str, str]:
        """Return for each latent site how its KL is taken; a point has none."""
        site = matched_site(terms)
        return {} if site.is_point else terms.method(self.kl)

    @property
    def needs_densities(self) -> bool:
        """Whether a point has no such objective: with alpha of one it has."""
        return self.alpha != 1.0

    @property
    def least_rows(self) -> int:
        """How many rows the distance needs."""
        return self.distance.least
