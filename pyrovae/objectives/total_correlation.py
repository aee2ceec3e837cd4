"""The decomposed bound of beta-TCVAE, with a weight on the total correlation."""

import torch
from torch import Tensor

from pyrovae.numeric import is_count, limit
from pyrovae.objectives.aggregate import (
    Sampling,
    aggregated_site,
    crossed_per_dimension,
    log_prior_per_dimension,
    log_weights,
    mixed,
)
from pyrovae.objectives.checks import check_number, check_schedule
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.terms import Site, Terms, particle_mean
from pyrovae.schedules import Schedule


class TotalCorrelation(Objective):
    r"""The bound of beta-TCVAE, which weighs the three parts of the mean KL apart.

        E_q[log p(x | z)] - alpha I(x; z) - beta TC(q(z)) - gamma sum_d KL(q(z_d) || p(z_d))

    with the aggregated posterior q(z), the mean of q(z | x) over the data, the mutual information
    `I(x; z) = E[log q(z | x) - log q(z)]` and the total correlation
    `TC = E[log q(z) - sum_d log q(z_d)]`. All are estimated at the draws; the three parts always
    add up to the sampled KL, so with three weights of one this is the ELBO.

    The densities q(z) and q(z_d) of a draw are estimated from the batch, that of one process; the
    cost is of order batch^2 x dimensions for each particle.

    References:
        Chen, Li, Grosse and Duvenaud, 2018, arXiv:1802.04942.

    Arguments:
        alpha: the weight of the mutual information.
        beta: the weight of the total correlation, a number or a schedule of the step.
        gamma: the weight of the KL of each dimension.
        sampling: how a batch of M rows stands for N data. "weighted" gives each row 1/(N M), which
            has the gradient of the plain mean; but every logarithm comes out too small by between
            log M and log N nats, so that mutual information and total correlation are logged too
            large, and the KL of dimensions too small. "stratified" gives the datum that z is drawn
            from 1/N and the others the rest, which is unbiased for q(z).
        size: the number of data, N. None lets the batch stand for the data: both kinds of sampling
            are then the plain mean over the batch, and the mutual information at most log M.
        particles: how many draws each datum gets, K.

    Raises:
        ValueError: an argument is out of range; or, when it is used, posterior and prior do not
            both factorise over the dimensions of one latent site.

    Example:
        >>> TotalCorrelation(beta=4.0, sampling="stratified", size=60000)
        TotalCorrelation(beta=4.0, sampling='stratified', size=60000)
    """

    formula = "E_q[log p(x|z)] - alpha I(x; z) - beta TC(q(z)) - gamma sum_d KL(q(z_d) || p(z_d))"

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        beta: float | Schedule = 6.0,
        gamma: float = 1.0,
        sampling: Sampling = "weighted",
        size: int | None = None,
        particles: int = 1,
    ) -> None:
        super().__init__(particles=particles)
        self._schedule = check_schedule(self, "beta", beta)
        if sampling not in ("weighted", "stratified"):
            raise ValueError(
                f"TotalCorrelation expects sampling to be 'weighted' or 'stratified'; "
                f"got {sampling!r}"
            )
        if size is not None and not is_count(size):
            raise ValueError(
                f"TotalCorrelation expects size to be None or a positive "
                f"integer{limit(size)}, the number of data; got {size!r}"
            )
        self.alpha = check_number(self, "alpha", alpha, least=0.0)
        self.beta = beta
        self.gamma = check_number(self, "gamma", gamma, least=0.0)
        self.sampling: Sampling = sampling
        self.size = size

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the weighted bound of each datum; see `Objective.measure`."""
        beta = self._schedule.final if step is None else self._schedule(step)
        site = aggregated_site(terms, "TotalCorrelation")
        information, correlation, dimensions = (
            particle_mean(terms.expectation(part)) for part in self._parts(site)
        )
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        penalty = self.alpha * information + beta * correlation + self.gamma * dimensions
        bound = reconstruction - penalty
        kl = (information + correlation + dimensions).detach().mean()
        value = reconstruction.detach().mean()
        return Measurement(
            bound=bound,
            logged={
                "loss": -bound.detach().mean(),
                "elbo": value - kl,
                "reconstruction": value,
                "kl": kl,
                "mutual_information": information.detach().mean(),
                "total_correlation": correlation.detach().mean(),
                "dimension_kl": dimensions.detach().mean(),
                "beta": torch.as_tensor(beta),
            },
        )

    def _parts(self, site: Site) -> tuple[Tensor, Tensor, Tensor]:
        """Return mutual information, total correlation and KL of dimensions at each draw."""
        split, log_prior = crossed_per_dimension(site), log_prior_per_dimension(site)
        if split is None or log_prior is None:
            raise ValueError(
                f"TotalCorrelation takes the KL apart into dimensions, but at site '{site.name}' "
                f"the posterior or the prior does not factorise over dimensions; use factorised "
                f"parts such as MeanFieldNormal with StandardNormal, or ELBO(beta=...)"
            )
        weights = log_weights(split.shape[-2], sampling=self.sampling, size=self.size, like=split)
        log_q = mixed(split.sum(-1), weights)
        log_q_dimensions = mixed(split, weights, event_dim=1).sum(-1)
        return (
            site.log_q - log_q,
            log_q - log_q_dimensions,
            log_q_dimensions - log_prior.sum(-1),
        )
