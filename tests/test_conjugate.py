"""Evidence that is known exactly: conjugate pairs of a prior and a likelihood.

One unknown z stands behind n elements. An encoder that counts them makes the exact posterior, so
that every draw has the weight p(x); one whose posterior is broader must agree within its error.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import transforms
from scipy import special, stats
from torch import Tensor, nn

import pyrovae
from pyrovae.context import Context
from pyrovae.evaluation import log_prob
from pyrovae.heads import Head
from pyrovae.likelihoods import (
    Bernoulli,
    Binomial,
    Categorical,
    Likelihood,
    NegativeBinomial,
    Normal,
    Poisson,
)
from pyrovae.posteriors import Posterior
from pyrovae.priors import Dirichlet, Prior, StandardNormal

pytestmark = pytest.mark.usefixtures("float64")

N = 4  # elements of one x
SAMPLES = 2000


class Law(nn.Module):
    """A decoder or an encoder that is a formula."""

    def __init__(self, formula: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, value: Tensor) -> Tensor:
        return self.formula(value)


def network(formula: Callable[[Tensor], Tensor]) -> Any:
    return lambda in_shape, out_shape: Law(formula)


class LogitBeta(Prior):
    """The logit of a probability that has a beta distribution."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b, self.event_shape = a, b, (1,)

    def forward(self, context: Context) -> Any:
        return logit_beta(torch.tensor([self.a]), torch.tensor([self.b]))


class LogGamma(Prior):
    """The logarithm of a rate that has a gamma distribution."""

    def __init__(self, shape: float, rate: float) -> None:
        super().__init__()
        self.shape, self.rate, self.event_shape = shape, rate, (1,)

    def forward(self, context: Context) -> Any:
        return log_gamma(torch.tensor([self.shape]), torch.tensor([self.rate]))


class Conjugate(Posterior):
    """The posterior whose parameters the encoder writes down, shrunk where it is to be broader."""

    head = Head(numbers=lambda event_shape: (max(2, event_shape[0]),))

    def __init__(self, family: Callable[..., Any], share: float = 1.0) -> None:
        super().__init__()
        self.family, self.share = family, share

    def forward(self, raw: Tensor, context: Context) -> Any:
        numbers = self.share * raw
        if self.family is dist.Dirichlet:
            return dist.Dirichlet(numbers)
        return self.family(*numbers.split(1, -1))


def logit_beta(a: Tensor, b: Tensor) -> Any:
    inverse = transforms.SigmoidTransform().inv
    return dist.TransformedDistribution(dist.Beta(a, b), [inverse]).to_event(1)


def log_gamma(shape: Tensor, rate: Tensor) -> Any:
    inverse = transforms.ExpTransform().inv
    return dist.TransformedDistribution(dist.Gamma(shape, rate), [inverse]).to_event(1)


def vae_of(
    prior: Prior,
    likelihood: Likelihood,
    family: Callable[..., Any],
    encoder: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor],
    share: float,
) -> pyrovae.VAE:
    return pyrovae.VAE(
        prior=prior,
        likelihood=likelihood,
        posterior=Conjugate(family, share),
        encoder=network(encoder),
        decoder=network(decoder),
    )


def repeated(z: Tensor) -> Tensor:
    return z.expand(-1, N)


def beta_binomial(share: float, total: int) -> tuple[pyrovae.VAE, Tensor, np.ndarray]:
    """One probability for all elements: `prod C(n, x_i) B(a + s, b + n N - s) / B(a, b)`."""
    a, b = 1.5, 0.7
    likelihood = Bernoulli((N,)) if total == 1 else Binomial((N,), total_count=total)

    def encoder(seen: Tensor) -> Tensor:  # where they are counts, from -1 to 1
        x = seen if total == 1 else (seen + 1.0) * (total / 2)
        s = x.sum(-1, keepdim=True)
        return torch.cat([a + s, b + total * N - s], -1)

    vae = vae_of(LogitBeta(a, b), likelihood, logit_beta, encoder, repeated, share)
    x = torch.randint(0, total + 1, (12, N)).double()
    s = x.sum(-1).numpy()
    evidence = special.betaln(a + s, b + total * N - s) - special.betaln(a, b)
    return vae, x, evidence + np.log(special.comb(total, x.numpy())).sum(-1)


def gamma_poisson(share: float) -> tuple[pyrovae.VAE, Tensor, np.ndarray]:
    """One rate for all: `b^a G(a + s) / (G(a) (b + N)^(a + s) prod x_i!)`."""
    a, b = 2.0, 0.8

    def encoder(seen: Tensor) -> Tensor:  # which are logarithms, log(1 + x)
        s = seen.expm1().sum(-1, keepdim=True)
        return torch.cat([a + s, torch.full_like(s, b + N)], -1)

    vae = vae_of(LogGamma(a, b), Poisson((N,)), log_gamma, encoder, repeated, share)
    x = torch.poisson(torch.tensor([0.1, 1.0, 5.0, 40.0]).repeat(3).unsqueeze(-1).expand(12, N))
    counts = x.numpy()
    s = counts.sum(-1)
    evidence = a * np.log(b) + special.gammaln(a + s) - special.gammaln(a)
    evidence = evidence - (a + s) * np.log(b + N) - special.gammaln(counts + 1.0).sum(-1)
    return vae, x, evidence


def dirichlet_multinomial(share: float) -> tuple[pyrovae.VAE, Tensor, np.ndarray]:
    """The frequencies of all codes: `B(alpha + counts) / B(alpha)`, for a sequence of codes."""
    alpha, levels = 0.8, 3

    def encoder(x: Tensor) -> Tensor:
        codes = torch.arange(float(levels))
        return alpha + (x.unsqueeze(-1) == codes).double().sum(-2)

    def decoder(z: Tensor) -> Tensor:  # all logits of level 0, then those of level 1, ...
        return z.clamp(min=1e-300).log().repeat_interleave(N, -1)

    prior = Dirichlet(levels, concentration=alpha)
    likelihood = Categorical((N,), levels=levels)
    vae = vae_of(prior, likelihood, dist.Dirichlet, encoder, decoder, share)
    x = torch.randint(0, levels, (12, N)).double()
    counts = (x.unsqueeze(-1) == torch.arange(levels)).sum(-2).numpy()

    def log_beta(given: np.ndarray) -> np.ndarray:
        return special.gammaln(given).sum(-1) - special.gammaln(given.sum(-1))

    return vae, x, log_beta(alpha + counts) - log_beta(np.full(levels, alpha))


def gaussian(share: float) -> tuple[pyrovae.VAE, Tensor, np.ndarray]:
    """One mean for all: normal, of covariance `1 1' + s^2 I`."""
    scale = 0.6
    precision = 1.0 + N / scale**2

    def family(loc: Tensor, variance: Tensor) -> Any:
        return dist.Normal(loc, variance.sqrt()).to_event(1)

    def encoder(x: Tensor) -> Tensor:
        loc = x.sum(-1, keepdim=True) / scale**2 / precision
        return torch.cat([loc / share, torch.full_like(loc, 1.0 / precision / share**2)], -1)

    vae = vae_of(StandardNormal(1), Normal((N,), scale=scale), family, encoder, repeated, share)
    x = 1.2 * torch.randn(12, N)
    covariance = np.ones((N, N)) + scale**2 * np.eye(N)
    return vae, x, stats.multivariate_normal.logpdf(x.numpy(), np.zeros(N), covariance)


MODELS: dict[str, Callable[[float], tuple[pyrovae.VAE, Tensor, np.ndarray]]] = {
    "Beta-Bernoulli": lambda share: beta_binomial(share, 1),
    "beta-binomial": lambda share: beta_binomial(share, 6),
    "Gamma-Poisson": gamma_poisson,
    "Dirichlet-multinomial": dirichlet_multinomial,
    "Gaussian": gaussian,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_exact_posterior_gives_the_exact_evidence(name: str) -> None:
    vae, x, truth = MODELS[name](1.0)
    vae.check({"x": x})
    np.testing.assert_allclose(log_prob(vae, x, samples=7).numpy(), truth, rtol=0.0, atol=1e-9)
    result = pyrovae.evaluate(vae, x, samples=7)
    assert result.log_prob == pytest.approx(truth.mean(), abs=1e-9)
    assert result.elbo == pytest.approx(truth.mean(), abs=1e-9)
    assert result.log_prob_error < 1e-7  # the root of what rounding leaves of a variance


@pytest.mark.parametrize("name", MODELS)
def test_a_broader_posterior_gives_the_evidence_within_its_error(name: str) -> None:
    """Four standard errors, and the bias it states: false alarm below 1e-4 for each model."""
    vae, x, truth = MODELS[name](0.7)
    result = pyrovae.evaluate(vae, x, samples=SAMPLES)
    assert 0.0 < result.log_prob_error < 0.01
    bound = 4.0 * result.log_prob_error + abs(result.log_prob_bias)
    assert abs(result.log_prob - truth.mean()) < bound
    assert result.elbo < truth.mean() - 0.01


def test_a_gamma_mixture_of_poisson_counts_is_negative_binomial() -> None:
    """The evidence of one count is what the likelihood of the family says, of d = 1 / a."""
    a, b = 2.0, 0.8
    counts = np.arange(30.0)
    evidence = a * np.log(b) + special.gammaln(a + counts) - special.gammaln(a)
    evidence = evidence - (a + counts) * np.log(b + 1.0) - special.gammaln(counts + 1.0)
    likelihood = NegativeBinomial((1,), dispersion=1.0 / a)
    raw = torch.full((30, 1), a / b).log()
    scores = likelihood(raw, Context()).log_prob(torch.tensor(counts).unsqueeze(-1))
    np.testing.assert_allclose(scores.numpy(), evidence, rtol=1e-12)
