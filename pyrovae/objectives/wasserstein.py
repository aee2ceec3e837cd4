"""The objective of the Wasserstein autoencoder."""

import torch
from torch import Tensor

from pyrovae.distances import MMD, Distance
from pyrovae.objectives.checks import check_schedule
from pyrovae.objectives.matching import check_matching, distance_to_prior, matched_site
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.terms import Terms, particle_mean
from pyrovae.schedules import Schedule

_DISTANCE = MMD()


class Wasserstein(Objective):
    r"""The Wasserstein autoencoder's, `E_q[log p(x | z)] - weight D(q(z), p(z))`.

    D compares the aggregated posterior `q(z) = mean of q(z | x) over x` with the prior, as the
    draws of a batch with as many draws of the prior. No density of z is read, so a point will do as
    posterior (`Deterministic`), and draws for one datum are free to lie apart from the prior. With
    `-log p(x | z)` as cost it is the relaxed transport cost of the model to the data. It is no
    bound on log p(x).

    The draws are those of a batch of one process, or with `gather` of all processes, whose
    gradients then flow back to each. A larger batch is a better estimate of D. A prior with
    parameters learns where it has reparameterised draws; others, such as mixtures, stay as they
    are. The prior of a condition is compared over all conditions of the batch together.

    References:
        Tolstikhin, Bousquet, Gelly and Schoelkopf, 2018, arXiv:1711.01558; with the sliced
        Wasserstein distance: Kolouri, Pope, Martin and Rohde, 2018, arXiv:1804.01947.

    Arguments:
        distance: D, one of `pyrovae.distances`.
        weight: the weight of D, lambda, in nats for a unit of D; a number or a schedule.
        particles: how many draws of z each datum gets; D is averaged over them.
        gather: whether D compares the draws of all processes together. The step is then not
            compiled where there are several.

    Raises:
        TypeError: `distance` is no distance.
        ValueError: a number is out of range; or, when it is used, there are several latent sites,
            or z is discrete.

    Example:
        >>> from pyrovae.distances import SlicedWasserstein
        >>> Wasserstein(distance=SlicedWasserstein(projections=20), weight=5.0)
        Wasserstein(distance=SlicedWasserstein(projections=20), weight=5.0)
    """

    formula = "E_q[log p(x|z)] - weight D(q(z), p(z))"

    def __init__(
        self,
        *,
        distance: Distance = _DISTANCE,
        weight: float | Schedule = 10.0,
        particles: int = 1,
        gather: bool = False,
    ) -> None:
        super().__init__(particles=particles)
        check_matching(self, distance, gather)
        self._schedule = check_schedule(self, "weight", weight)
        self.distance = distance
        self.weight = weight
        self.gather = gather

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the objective of each datum; see `Objective.measure`."""
        weight = self._schedule.final if step is None else self._schedule(step)
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        distance = distance_to_prior(terms, self.distance, gather=self.gather)
        bound = reconstruction - weight * distance
        logged = {"loss": -bound.detach().mean(), "reconstruction": reconstruction.detach().mean()}
        if not any(site.is_point for site in terms.latent.values()):
            kl = terms.expectation(terms.divergence("auto")).detach().mean()
            logged |= {"elbo": logged["reconstruction"] - kl, "kl": kl}
        logged |= {"distance": distance.detach(), "weight": torch.as_tensor(weight)}
        return Measurement(bound=bound, logged=logged)

    def method(self, terms: Terms) -> dict[str, str]:
        """Return for each latent site how the KL that is logged is taken; a point has none."""
        site = matched_site(terms)
        return {} if site.is_point else terms.method("auto")

    @property
    def needs_densities(self) -> bool:
        """Whether a point has no such objective: it has one."""
        return False

    @property
    def least_rows(self) -> int:
        """How many rows the distance needs."""
        return self.distance.least
