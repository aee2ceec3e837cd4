"""The low-rank normal likelihood: marginals, conditionals, extremes, and that it pays."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import LowRankNormal as Distribution
from pyrovae.likelihoods import LowRankNormal, Normal
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

EVENTS = [(), (1,), (4,), (2, 3), (3, 2, 2)]


def parameters(event: tuple[int, ...], rank: int, batch: tuple[int, ...] = ()) -> list[Any]:
    torch.manual_seed(len(event) + rank)
    shape = (*batch, *event)
    loc, lean = torch.randn(shape).double(), 2.0 * torch.randn(*shape, rank).double()
    return [loc, torch.rand(shape).double() + 0.2, lean]


def covariance(scale: torch.Tensor, lean: torch.Tensor) -> np.ndarray:
    factor = (scale.unsqueeze(-1) * lean).reshape(-1, lean.shape[-1])
    return (torch.diag(scale.flatten().square()) + factor @ factor.mT).numpy()


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_scores_of_the_known_elements_are_their_marginal(event: tuple[int, ...], rank: int) -> None:
    loc, scale, lean = parameters(event, rank)
    truth = covariance(scale, lean)
    for share in (1.0, 0.6, 0.3):
        torch.manual_seed(3)
        observed = torch.rand(event) < share
        made = Distribution(loc, scale, lean, observed=observed, event_dim=len(event))
        x = made.sample((3,))
        known = observed.flatten().numpy()
        scores = made.log_prob(x)
        if not known.any():
            assert torch.equal(scores, torch.zeros(3).double())
            continue
        rows = x.reshape(3, -1).numpy()[:, known]
        expected = stats.multivariate_normal.logpdf(
            rows, loc.flatten().numpy()[known], truth[np.ix_(known, known)]
        )
        np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("event", EVENTS[1:], ids=str)
def test_moments_quantiles_and_draws(event: tuple[int, ...]) -> None:
    """Means and covariances of 40,000 draws within five standard errors: false alarm 1e-4."""
    loc, scale, lean = parameters(event, 2)
    made = Distribution(loc, scale, lean, event_dim=len(event))
    truth = torch.tensor(covariance(scale, lean))
    torch.testing.assert_close(made.variance.flatten(), truth.diagonal())
    at = torch.full(event, 0.9, dtype=torch.float64)
    expected = stats.norm.ppf(0.9, loc.numpy(), made.stddev.numpy())
    np.testing.assert_allclose(made.icdf(at).numpy(), expected, rtol=1e-12)
    torch.manual_seed(4)
    drawn = (made.sample((40_000,)) - loc).flatten(1)
    assert (drawn.mean(0).abs() < 5 * (truth.diagonal() / 40_000).sqrt()).all()
    spread = (truth.diagonal()[:, None] * truth.diagonal() + truth.square()) / 40_000
    assert ((drawn.mT @ drawn / 40_000 - truth).abs() < 5 * spread.sqrt()).all()


@pytest.mark.parametrize("event", EVENTS[1:], ids=str)
def test_the_conditional_of_what_is_missing(event: tuple[int, ...]) -> None:
    """Mean and covariance by the textbook's formula, from the whole covariance."""
    loc, scale, lean = parameters(event, 2, batch=(2,))
    torch.manual_seed(5)
    observed = torch.rand(2, *event) < 0.5
    made = Distribution(loc, scale, lean, observed=observed, event_dim=len(event))
    x = made.sample()
    given = made.conditional(torch.where(observed, x, 99.0))
    assert given.event_shape == event
    for row in range(2):
        known = observed[row].flatten().numpy()
        whole = covariance(scale[row], lean[row])
        cross = whole[np.ix_(~known, known)] @ np.linalg.inv(whole[np.ix_(known, known)])
        deviation = (x - loc)[row].flatten().numpy()
        mean = loc[row].flatten().numpy()[~known] + cross @ deviation[known]
        np.testing.assert_allclose(given.mean[row].flatten().numpy()[~known], mean, rtol=1e-9)
        rest = whole[np.ix_(~known, ~known)] - cross @ whole[np.ix_(known, ~known)]
        found = covariance(given.scale[row], given.lean[row])[np.ix_(~known, ~known)]
        np.testing.assert_allclose(found, rest, rtol=1e-9, atol=1e-12)


def test_shapes_broadcast_and_expand() -> None:
    loc, scale, lean = parameters((4,), 2, batch=(3,))
    made = Distribution(loc, scale, lean)
    x = made.sample((5, 2))
    assert x.shape == (5, 2, 3, 4)
    scores = made.log_prob(x)
    assert scores.shape == (5, 2, 3)
    wide = made.expand((6, 3))
    assert wide.log_prob(x[0, 0]).shape == (6, 3)
    torch.testing.assert_close(wide.log_prob(x[0, 0])[4], made.log_prob(x[0, 0]))
    masked = Distribution(loc, scale, lean, observed=torch.tensor([True, False, True, True]))
    torch.testing.assert_close(masked.expand((6, 3)).log_prob(x[0, 0])[5], masked.log_prob(x[0, 0]))
    assert masked.log_prob(x).shape == (5, 2, 3)


def test_what_is_missing_may_be_anything() -> None:
    loc, scale, lean = (value.requires_grad_() for value in parameters((4,), 2))
    observed = torch.tensor([True, False, True, False])
    made = Distribution(loc, scale, lean, observed=observed, validate_args=False)
    for hole in (1e30, float("inf"), float("nan")):
        x = torch.where(observed, torch.ones(4).double(), hole)
        score = made.log_prob(x)
        torch.testing.assert_close(score, made.log_prob(torch.where(observed, x, 0.0)))
        for gradient in torch.autograd.grad(score, [loc, scale, lean]):
            assert gradient.isfinite().all()
            assert (gradient[~observed] == 0).all()


@pytest.mark.parametrize(("size", "rank"), [(2, 1), (50, 3), (784, 5), (3072, 8)])
def test_float32_at_the_longest_columns(size: int, rank: int) -> None:
    """All V at its bound, its columns nearly the same: the worst there is for the capacitance."""
    torch.manual_seed(6)
    part = LowRankNormal((size,), rank=rank)
    raw = torch.zeros(*part.head.out_shape((size,)))
    raw[2 * size :] = 1e4 + torch.randn(size * rank)
    raw[2 * size] = -1e4
    exact = part(raw.double(), Context())
    x = exact.sample((20,))
    truth = exact.log_prob(x)
    found = part(raw, Context()).log_prob(x.float()).double()
    assert (found - truth).abs().max() < 1e-5 * size + 0.02


def test_structured_residuals_pay() -> None:
    """Residuals that move together, which z is too short for: a diagonal cannot say so."""
    torch.manual_seed(7)
    x = torch.randn(400, 1) * torch.tensor([1.0, 2.0, -1.0, 0.5, 1.0, -2.0])
    x = x + 0.3 * torch.randn(400, 6)
    found = {}
    for likelihood in (LowRankNormal((6,), rank=1), Normal((6,), scale="network")):
        torch.manual_seed(0)
        vae = pyrovae.VAE(
            prior=StandardNormal(1),
            likelihood=likelihood,
            posterior=MeanFieldNormal(),
            encoder=lambda i, o: torch.nn.Linear(i[0], o[0]).requires_grad_(requires_grad=False),
            decoder=MLP((8,)),
        )

        def faster(weights: Any) -> Any:
            return torch.optim.Adam(weights, lr=1e-2)

        pyrovae.fit(vae, x, epochs=25, batch_size=50, seed=0, optimizer=faster)
        found[type(likelihood).__name__] = pyrovae.evaluate(vae, x, samples=20).elbo
    covariance = x.T.cov().double().numpy()
    best = stats.multivariate_normal.logpdf(x.numpy(), x.mean(0).numpy(), covariance).mean()
    assert found["LowRankNormal"] > best - 0.6
    assert found["Normal"] < best - 1.5


@pytest.mark.parametrize("number", [0, -1, 2.0, "2", True, None], ids=str)
def test_bad_ranks(number: Any) -> None:
    with pytest.raises(ValueError, match="rank to be a positive integer"):
        LowRankNormal((2,), rank=number)


def test_it_begins_at_the_spread_of_the_data() -> None:
    torch.manual_seed(8)
    x = 3.0 * torch.randn(200, 2, 3) + 1.0
    made = LowRankNormal((2, 3), rank=2)
    started = made(made.prepare({"x": x}), Context())
    torch.testing.assert_close(started.mean, x.double().mean(0))
    torch.testing.assert_close(started.variance, x.double().var(0, correction=0), rtol=1e-6, atol=0)
