"""The reconstruction at a given KL."""

import torch
from torch import Tensor

from pyrovae.objectives.checks import check_number, check_policy, check_schedule
from pyrovae.objectives.objective import Measurement, Objective, elbo_split
from pyrovae.objectives.terms import Policy, Terms, particle_mean
from pyrovae.schedules import Schedule


class Capacity(Objective):
    r"""The reconstruction with the KL held at a capacity C.

    `E_q[log p(x | z)] - gamma |mean KL(q(z | x) || p(z)) - C|`, where the mean is over the batch,
    of one process where there are several. Unlike the floor of `ELBO(free_bits=...)` it holds the
    KL from above as well. It is no bound on log p(x); the ELBO is logged beside it.

    References:
        Burgess et al., 2018, arXiv:1804.03599.

    Arguments:
        capacity: C in nats, a number or a schedule of the step, such as
            `Ramp(0, 25, steps=100_000)`, the published one.
        weight: gamma, how strongly the KL is held.
        kl: "analytic" takes the closed form and raises where none exists, "sampled" takes
            `log q - log p` at the draws, "auto" the closed form wherever it exists.
        particles: how many draws the expectation is averaged over, K.

    Raises:
        ValueError: an argument is out of range; or, when it is used, no closed form exists for
            `kl="analytic"`.

    Example:
        >>> from pyrovae.schedules import Ramp
        >>> Capacity(capacity=Ramp(0, 5, steps=100), weight=30.0)
        Capacity(capacity=Ramp(end=5.0, steps=100), weight=30.0)
    """

    formula = "E_q[log p(x|z)] - gamma |mean KL(q(z|x) || p(z)) - C|"

    def __init__(
        self,
        *,
        capacity: float | Schedule = 25.0,
        weight: float = 1000.0,
        kl: Policy = "auto",
        particles: int = 1,
    ) -> None:
        super().__init__(particles=particles)
        self._schedule = check_schedule(self, "capacity", capacity)
        self.capacity = capacity
        self.weight = check_number(self, "weight", weight, least=0.0)
        self.kl: Policy = check_policy(self, kl)

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the reconstruction of each datum less the batch's penalty."""
        capacity = self._schedule.final if step is None else self._schedule(step)
        reconstruction = particle_mean(terms.expectation(terms.log_likelihood))
        kl = terms.expectation(terms.divergence(self.kl)).mean()
        bound = reconstruction - self.weight * (kl - capacity).abs()
        return Measurement(
            bound=bound,
            logged={
                "loss": -bound.detach().mean(),
                **elbo_split(reconstruction, kl),
                "capacity": torch.as_tensor(capacity),
            },
        )

    def method(self, terms: Terms) -> dict[str, str]:
        """Return for each latent site whether its KL is taken "analytic" or "sampled"."""
        return terms.method(self.kl)
