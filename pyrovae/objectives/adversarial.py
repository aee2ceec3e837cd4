"""The adversarial autoencoder: a discriminator's distance in place of the KL term."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Adam, Optimizer

from pyrovae.networks import Builder, Network
from pyrovae.objectives.checks import check_number, check_schedule
from pyrovae.objectives.matching import matched_site, prior_draws
from pyrovae.objectives.objective import Measurement, Objective, Parameters
from pyrovae.objectives.opponents import fixed, required, unseen
from pyrovae.objectives.telling import SIZES, discriminator, told_apart
from pyrovae.objectives.terms import Terms, particle_mean
from pyrovae.objectives.vectors import latent_draws, vectors
from pyrovae.schedules import Schedule


class Adversarial(Objective):
    r"""`E_q[log p(x | z)] - weight JS(q(z), p(z))`, the distance of Jensen and Shannon on z.

    A discriminator D learns to tell draws z of a batch from draws of the prior. The logged distance
    is what its cross-entropy says of it, `log 2 - cross-entropy`, a lower bound. Its gradient
    vanishes where D is sure, so the model follows the one of `-E_q[log(1 - D(z))]` in its place,
    which leads to the same solution. Only draws are read, so `Deterministic` is a legal posterior;
    the prior is drawn from as it is, and parameters of its own are not trained. The batch is that
    of one process. In validation the discriminator is the one of that moment, so that losses of
    different epochs compare roughly.

    References:
        Makhzani et al., 2015, arXiv:1511.05644; Tolstikhin et al., 2018, arXiv:1711.01558, WAE-GAN;
        the gradient: Goodfellow et al., 2014, arXiv:1406.2661.

    Arguments:
        weight: the weight of the distance, a number or a schedule.
        network: builds the discriminator from the two shapes; by default
            `MLP((256, 256), activation="leaky_relu")`.
        lr: the rate of the discriminator's optimiser, Adam with betas (0.5, 0.9).
        particles: how many draws the expectation is averaged over, K.

    Raises:
        ValueError: an argument is out of range; or, when it is used, a latent site is enumerated,
            or there are several.

    Example:
        >>> Adversarial(weight=10.0)
        Adversarial(weight=10.0, network=MLP((256, 256), activation='leaky_relu'))
    """

    formula = "E_q[log p(x|z)] - weight JS(q(z), p(z))"

    def __init__(
        self,
        *,
        weight: float | Schedule = 1.0,
        network: Network | Builder | None = None,
        lr: float = 1e-3,
        particles: int = 1,
    ) -> None:
        super().__init__(particles=particles)
        self._schedule = check_schedule(self, "weight", weight)
        self.weight = weight
        self.network = SIZES if network is None else network
        self.lr = check_number(self, "lr", lr, least=0.0)

    @property
    def needs_densities(self) -> bool:
        """Whether a point has no bound: draws are enough."""
        return False

    def opponent(self, terms: Terms) -> nn.Module:
        """Return a new discriminator of draws like those of a record."""
        return discriminator(self.network, latent_draws(terms), owner="Adversarial.network")

    def opponent_optimizer(self, parameters: Parameters) -> Optimizer:
        """Return the discriminator's optimiser."""
        return Adam(parameters, lr=self.lr, betas=(0.5, 0.9), fused=True)

    def measure(
        self, terms: Terms, step: Tensor | None = None, *, opponent: nn.Module | None = None
    ) -> Measurement:
        """Return the bound of each datum; see `Objective.measure`."""
        judge = required(self, opponent)
        weight = self._schedule.final if step is None else self._schedule(step)
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        site = matched_site(terms)
        z = vectors(site, site.value)
        told = told_apart(judge, z, vectors(site, prior_draws(site).detach()))
        distance = math.log(2.0) - particle_mean(told.loss)
        caught = particle_mean(softplus(fixed(judge, z).squeeze(-1)))
        bound = reconstruction - weight * (distance.detach() + unseen(caught))
        mean = reconstruction.detach().mean()
        return Measurement(
            bound=bound - unseen(particle_mean(told.loss)),
            logged={
                "loss": -bound.detach().mean(),
                "reconstruction": mean,
                "jensen_shannon": distance.detach().mean(),
                "weight": torch.as_tensor(weight),
                "discriminator_loss": told.loss.detach().mean(),
                "discriminator_accuracy": told.accuracy,
            },
        )
