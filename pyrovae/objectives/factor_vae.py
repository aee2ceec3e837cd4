"""FactorVAE: the evidence lower bound less the total correlation of the aggregated posterior."""

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pyrovae.networks import Builder, Network
from pyrovae.objectives.checks import check_number, check_policy
from pyrovae.objectives.objective import Measurement, Objective, Parameters, elbo_split
from pyrovae.objectives.opponents import fixed, required, unseen
from pyrovae.objectives.telling import SIZES, discriminator, told_apart
from pyrovae.objectives.terms import Policy, Terms, particle_mean
from pyrovae.objectives.vectors import latent_draws


class FactorVAE(Objective):
    r"""`ELBO - gamma TC(q(z))`, TC(q(z)) = KL(q(z) || prod_j q(z_j)) of the aggregated posterior.

    A discriminator learns to tell draws z of a batch from the same draws permuted over the batch in
    each dimension by itself. The mean of its logit over z estimates TC. Batch, permutation and
    estimate are those of one process. In validation the discriminator is the one of that moment, so
    that losses of different epochs compare roughly.

    References:
        Kim and Mnih, 2018, arXiv:1802.05983.

    Arguments:
        gamma: the weight of TC.
        network: builds the discriminator from the two shapes; by default
            `MLP((256, 256), activation="leaky_relu")`, the paper has five layers of 1000 units.
        lr: the rate of the discriminator's optimiser, Adam with the paper's betas (0.5, 0.9).
        kl: how the KL term of the ELBO is taken, see `ELBO`.
        particles: how many draws the expectation is averaged over, K.

    Raises:
        ValueError: an argument is out of range; or, when it is used, a latent site is enumerated.

    Example:
        >>> from pyrovae.networks import MLP
        >>> FactorVAE(gamma=5.0, network=MLP((64,)))
        FactorVAE(gamma=5.0, network=MLP((64,)))
    """

    formula = "E_q[log p(x|z)] - KL(q(z|x) || p(z)) - gamma TC(q(z))"

    def __init__(
        self,
        *,
        gamma: float = 10.0,
        network: Network | Builder | None = None,
        lr: float = 1e-4,
        kl: Policy = "auto",
        particles: int = 1,
    ) -> None:
        super().__init__(particles=particles)
        self.gamma = check_number(self, "gamma", gamma, least=0.0)
        self.network = SIZES if network is None else network
        self.lr = check_number(self, "lr", lr, least=0.0)
        self.kl: Policy = check_policy(self, kl)

    def opponent(self, terms: Terms) -> nn.Module:
        """Return a new discriminator of draws like those of a record."""
        return discriminator(self.network, latent_draws(terms), owner="FactorVAE.network")

    def opponent_optimizer(self, parameters: Parameters) -> Optimizer:
        """Return the discriminator's optimiser."""
        return Adam(parameters, lr=self.lr, betas=(0.5, 0.9), fused=True)

    def measure(
        self, terms: Terms, step: Tensor | None = None, *, opponent: nn.Module | None = None
    ) -> Measurement:
        """Return the bound of each datum; see `Objective.measure`."""
        judge = required(self, opponent)
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        kl = particle_mean(terms.expectation(terms.divergence(self.kl)))
        z = latent_draws(terms)
        correlation = particle_mean(fixed(judge, z).squeeze(-1))
        told = told_apart(judge, z, permuted(z.detach()))
        bound = reconstruction - kl - self.gamma * correlation
        return Measurement(
            bound=bound - unseen(particle_mean(told.loss)),
            logged={
                "loss": -bound.detach().mean(),
                **elbo_split(reconstruction, kl),
                "total_correlation": correlation.detach().mean(),
                "discriminator_loss": told.loss.detach().mean(),
                "discriminator_accuracy": told.accuracy,
            },
        )

    def method(self, terms: Terms) -> dict[str, str]:
        """Return for each latent site whether its KL is taken "analytic" or "sampled"."""
        return terms.method(self.kl)


def permuted(z: Tensor) -> Tensor:
    """Return `[particles, batch, numbers]` permuted over the batch in each dimension by itself.

    Example:
        >>> z = torch.arange(6.0).reshape(1, 3, 2)
        >>> permuted(z).sort(dim=1).values.equal(z)
        True
    """
    return z.gather(1, torch.rand_like(z).argsort(dim=1))
