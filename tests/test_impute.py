"""impute and score: exact conditionals of a Gaussian, and that what is known stays as it is."""

import copy
import math
import warnings
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from cases import LIKELIHOODS, data_for, randomized, small_vae
from torch import Tensor, nn

import pyrovae
from pyrovae.evaluation import Imputation, evaluate, impute, log_prob, score
from pyrovae.evaluation import imputing as imputing_module
from pyrovae.evaluation.resampling import Resampled
from pyrovae.heads import raw_of
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal
from pyrovae.priors import Categorical, StandardNormal

LATENT, SIZE, ROWS, SCALE = 2, 6, 200, 0.5
QUIET = pytest.mark.filterwarnings("ignore:poor importance weights")


class Encoder(nn.Module):
    """The mean of p(z | x_known) of the linear model, and its scales, too wide by a factor."""

    takes_observed = True

    def __init__(self, weight: Tensor, bias: Tensor, wide: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.wide = wide

    def forward(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        known = torch.ones_like(x) if observed is None else observed.to(x)
        rows = known.unsqueeze(-1) * self.weight  # [batch, SIZE, LATENT]
        precision = torch.eye(LATENT) + rows.mT @ self.weight / SCALE**2
        target = rows.mT @ (x - self.bias).unsqueeze(-1) / SCALE**2
        covariance = torch.linalg.inv(precision)
        scale = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        loc = (covariance @ target).squeeze(-1)
        return torch.cat([loc, raw_of(self.wide * scale)], -1)


def parameters() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(SIZE, LATENT, generator=generator), torch.linspace(-1.0, 1.0, SIZE)


def linear(*, wide: float = 1.3) -> pyrovae.VAE:
    """x = W z + b + noise, so that x is jointly normal, and an imperfect posterior."""
    weight, bias = parameters()
    vae = pyrovae.VAE(
        prior=StandardNormal(LATENT),
        likelihood=Normal((SIZE,), scale=SCALE),
        posterior=MeanFieldNormal(),
        encoder=lambda i, o: Encoder(weight, bias, wide),
        decoder=MLP(()),
    )
    layer = vae.decoder_network.network[1]
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return vae


def holes(rows: int = ROWS, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Draws of the linear model, and which entries are known: two at least of each row."""
    weight, bias = parameters()
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, LATENT, generator=generator)
    x = z @ weight.T + bias + SCALE * torch.randn(rows, SIZE, generator=generator)
    order = torch.rand(rows, SIZE, generator=generator).argsort(-1)
    count = torch.randint(2, SIZE, (rows, 1), generator=generator)
    return x, order < count


def conditional(x: Tensor, observed: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and scale of the missing entries, and log p(x_known), by the normal's own formulas."""
    weight, bias = (part.double().numpy() for part in parameters())
    covariance = weight @ weight.T + SCALE**2 * np.eye(SIZE)
    mean, spread, density = x.double().numpy().copy(), np.zeros(x.shape), np.zeros(len(x))
    for row, known in enumerate(observed.numpy()):
        inner = covariance[np.ix_(known, known)]
        apart = x[row].double().numpy()[known] - bias[known]
        gain = covariance[np.ix_(~known, known)] @ np.linalg.inv(inner)
        mean[row, ~known] = bias[~known] + gain @ apart
        rest = covariance[np.ix_(~known, ~known)] - gain @ covariance[np.ix_(known, ~known)]
        spread[row, ~known] = np.sqrt(np.diag(rest))
        _, log_det = np.linalg.slogdet(inner)
        square = apart @ np.linalg.solve(inner, apart)
        density[row] = -0.5 * (square + log_det + known.sum() * math.log(2 * math.pi))
    return mean, spread, density


# ---------------------------------------------------------------------------- against the truth


@pytest.fixture(scope="module")
def gaussian() -> dict[str, Any]:
    with torch.random.fork_rng(devices=[]):
        vae = linear()
        x, observed = holes()
        batch = {"x": torch.where(observed, x, torch.nan), "observed": observed}
        made = impute(vae, batch, draws=199, samples=1000)
    return {"vae": vae, "x": x, "observed": observed, "batch": batch, "made": made}


def test_imputed_means_are_the_conditional_means(gaussian: dict[str, Any]) -> None:
    """By far the largest of some 500 errors: 6 standard errors, of which one in 1e6 runs fails."""
    made, x, observed = gaussian["made"], gaussian["x"], gaussian["observed"]
    mean, spread, _ = conditional(x, observed)
    error = spread / np.sqrt(made.ess.numpy())[:, None]
    assert (np.abs(made.mean.numpy() - mean) <= 6 * error + 1e-5).all()
    truth, holes_ = x.numpy(), ~observed.numpy()
    ours = np.square(made.filled.numpy() - truth)[holes_].mean()
    optimum = np.square(mean - truth)[holes_].mean()
    assert abs(ours / optimum - 1.0) < 0.02
    np.testing.assert_allclose(made.spread.numpy()[holes_], spread[holes_], rtol=0.15)


def test_draws_follow_the_conditional_distribution(gaussian: dict[str, Any]) -> None:
    """Of 90 % intervals 88 to 92 % hold the truth; so do they in each of four thousand holes."""
    made = gaussian["made"]
    mean, spread, _ = conditional(gaussian["x"], gaussian["observed"])
    holes_ = ~gaussian["observed"].numpy()
    deviation = ((made.draws.numpy() - mean) / np.where(holes_, spread, 1.0))[:, holes_]
    assert abs(deviation.mean()) < 0.02
    assert deviation.std() == pytest.approx(1.0, abs=0.02)


def test_intervals_cover_as_they_claim() -> None:
    """2000 rows with some 5000 holes, of which coverage has a standard error below 0.6 %."""
    x, observed = holes(2000, seed=9)
    made = impute(linear(), {"x": x, "observed": observed}, draws=199, samples=200)
    lower, upper = made.interval(0.9)
    inside = ((lower <= x) & (x <= upper))[~observed]
    assert len(inside) > 4500
    assert 0.88 <= float(inside.double().mean()) <= 0.92


def test_log_prob_of_what_is_known_is_exact_within_its_error(gaussian: dict[str, Any]) -> None:
    _, _, density = conditional(gaussian["x"], gaussian["observed"])
    found = score(gaussian["vae"], gaussian["batch"], samples=1000)
    apart = np.abs(found.log_prob.double().numpy() - density)
    error = found.error.double().numpy()
    result = evaluate(gaussian["vae"], gaussian["batch"], samples=1000)
    assert abs(result.log_prob - density.mean()) < 3 * result.log_prob_error + 1e-4
    # of 200 rows, 0.54 are expected outside of three errors; more than 5 in 1 of 20 000 runs
    assert (apart > 3 * error + 1e-4).sum() <= 5
    assert result.log_prob == pytest.approx(float(found.log_prob.double().mean()), abs=1e-5)
    assert result.log_prob_error == pytest.approx(
        float(found.error.double().square().sum().sqrt()) / ROWS, rel=1e-4
    )
    assert result.ess == pytest.approx(float(found.ess.mean()), rel=1e-4)


def test_the_exact_posterior_has_even_weights() -> None:
    vae = linear(wide=1.0)
    x, _ = holes(20)
    observed = torch.zeros(20, SIZE, dtype=torch.bool)
    observed[:, 0] = False  # nothing is known, so that the posterior is the prior
    made = impute(vae, {"x": x, "observed": observed}, samples=50)
    torch.testing.assert_close(made.ess, torch.full((20,), 50.0))
    assert not made.poor.any()


@QUIET
def test_codes_are_averaged_exactly() -> None:
    """With every value of z there is, the mean is a sum over them, without any noise."""
    vae = randomized(small_vae(prior=Categorical(1, categories=3), likelihood="Normal"))
    assert vae.posterior.enumerated
    x = data_for(vae)
    observed = torch.rand(x.shape) < 0.6
    made = impute(vae, {"x": x, "observed": observed}, draws=3, samples=7)
    z = torch.eye(3).unsqueeze(1)
    with torch.no_grad():
        x_given_z = vae.decode(z.unsqueeze(1))
        element = x_given_z.base_dist.log_prob(x)
        weight = (element * observed).flatten(2).sum(-1) + vae.prior(pyrovae_context()).log_prob(
            z
        ).unsqueeze(-1)
        mean = (weight.softmax(0)[..., None, None, None] * x_given_z.mean).sum(0)
    torch.testing.assert_close(made.mean[~observed], mean[~observed])
    assert made.ess.tolist() == [7.0] * len(x)
