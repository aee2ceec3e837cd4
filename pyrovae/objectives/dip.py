"""DIP: the ELBO with the covariance of the aggregated posterior drawn to the identity."""

from typing import Any, Literal

from torch import Tensor
from torch.distributions import Independent

from pyrovae.objectives.aggregate import aggregated_site
from pyrovae.objectives.checks import check_number, check_policy
from pyrovae.objectives.draws import family_of
from pyrovae.objectives.objective import Measurement, Objective, elbo_split
from pyrovae.objectives.terms import Policy, Site, Terms, particle_mean


class DIP(Objective):
    r"""The ELBO less a penalty on a covariance C of the latent dimensions (DIP-VAE).

        E_q[log p(x | z)] - KL(q(z | x) || p(z))
            - off_diagonal sum_{d != e} C_de^2 - diagonal sum_d (C_dd - 1)^2

    Kind "I" takes the covariance over data of the posterior mean, `C = Cov[mu(x)]`; kind "II" that
    of the aggregated posterior, `C = E[Sigma(x)] + Cov[mu(x)]`. The target, the identity, is the
    covariance of a standard normal prior. C is that of the batch of one process, divided by its
    number of rows.

    References:
        Kumar, Sattigeri and Balakrishnan, 2018, arXiv:1711.00848.

    Arguments:
        kind: "I" or "II".
        diagonal: the weight of the variances.
        off_diagonal: the weight of the covariances.
        kl: as of `ELBO`.
        particles: how many draws each datum gets, K.

    Raises:
        ValueError: an argument is out of range; or, when it is used, the posterior has no mean in
            closed form, or for kind "II" no covariance.

    Example:
        >>> DIP(kind="II", diagonal=1.0)
        DIP(kind='II', diagonal=1.0)
    """

    formula = (
        "E_q[log p(x|z)] - KL(q(z|x) || p(z)) - off_diagonal sum_{d!=e} C_de^2 "
        "- diagonal sum_d (C_dd - 1)^2"
    )

    def __init__(
        self,
        *,
        kind: Literal["I", "II"] = "I",
        diagonal: float = 10.0,
        off_diagonal: float = 5.0,
        kl: Policy = "auto",
        particles: int = 1,
    ) -> None:
        super().__init__(particles=particles)
        if kind not in ("I", "II"):
            raise ValueError(f"DIP expects kind to be 'I' or 'II'; got {kind!r}")
        self.kind: Literal["I", "II"] = kind
        self.diagonal = check_number(self, "diagonal", diagonal, least=0.0)
        self.off_diagonal = check_number(self, "off_diagonal", off_diagonal, least=0.0)
        self.kl: Policy = check_policy(self, kl)

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the penalised bound of each datum; see `Objective.measure`."""
        covariance = self._covariance(aggregated_site(terms, "DIP"))
        variances = covariance.diagonal()
        off_diagonal = covariance.square().sum() - variances.square().sum()
        diagonal = (variances - 1.0).square().sum()
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        kl = particle_mean(terms.expectation(terms.divergence(self.kl)))
        penalty = self.off_diagonal * off_diagonal + self.diagonal * diagonal
        bound = reconstruction - kl - penalty
        return Measurement(
            bound=bound,
            logged={
                "loss": -bound.detach().mean(),
                **elbo_split(reconstruction, kl),
                "off_diagonal": off_diagonal.detach(),
                "diagonal": diagonal.detach(),
            },
        )

    def method(self, terms: Terms) -> dict[str, str]:
        """Return for each latent site whether its KL is taken "analytic" or "sampled"."""
        return terms.method(self.kl)

    def _covariance(self, site: Site) -> Tensor:
        """Return C of the batch, of shape `[dimensions, dimensions]`."""
        q: Any = site.guide
        if q.support.is_discrete:
            raise ValueError(
                f"DIP draws the variances of z to one, but at site '{site.name}' z is discrete; "
                f"use a posterior such as MeanFieldNormal() or FullRankNormal()"
            )
        size = q.event_shape.numel()
        try:
            means = q.mean.reshape(-1, size)  # a row comes once for each particle, all alike
        except (NotImplementedError, AttributeError) as error:
            raise self._refusal(site, "mean") from error
        centred = means - means.mean(0)
        covariance = centred.mT @ centred / len(centred)
        return covariance + self._spread(site, q, size) if self.kind == "II" else covariance

    def _spread(self, site: Site, q: Any, size: int) -> Tensor:
        """Return the mean covariance of the posterior of a datum."""
        if isinstance(q, Independent) and not q.base_dist.event_shape:
            try:
                return q.variance.reshape(-1, size).mean(0).diag()
            except NotImplementedError as error:
                raise self._refusal(site, "covariance") from error
        if getattr(q, "covariance_matrix", None) is None:
            raise self._refusal(site, "covariance")
        spread: Tensor = q.covariance_matrix.reshape(-1, size, size).mean(0)
        return spread

    def _refusal(self, site: Site, moment: str) -> ValueError:
        other = "" if moment == "mean" else ", or DIP(kind='I'), which reads the mean alone"
        return ValueError(
            f"DIP(kind={self.kind!r}) reads the {moment} of q(z | x), but at site '{site.name}' "
            f"{family_of(site.guide)} has none in closed form; use a posterior such as "
            f"MeanFieldNormal() or FullRankNormal(){other}"
        )
