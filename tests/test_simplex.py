"""Parts over a simplex: the Laplace approximation, the KL, the edge, and draws with gradients.

Statistical checks are within five standard errors at fixed seeds: a false alarm in 2e6 each.
"""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import data_for, small_vae
from torch import Tensor

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import EdgeDirichlet, SoftmaxNormal
from pyrovae.objectives import ELBO, IWAE, analytic_kl
from pyrovae.posteriors import LogisticNormal as LogisticNormalPosterior
from pyrovae.priors import Dirichlet, LogisticNormal


def log_ratio_normal(made: SoftmaxNormal) -> dist.MultivariateNormal:
    """The normal of log(z_k / z_K), with its matrix."""
    loc = made.loc[..., :-1] - made.loc[..., -1:]
    variance = made.scale.square()
    covariance = torch.diag_embed(variance[..., :-1]) + variance[..., -1:, None]
    return dist.MultivariateNormal(loc, covariance)


def softmax_normal(seed: int, *batch: int, size: int = 4) -> SoftmaxNormal:
    generator = torch.Generator().manual_seed(seed)
    loc, raw = torch.randn(2, *batch, size, generator=generator)
    return SoftmaxNormal(loc, raw.exp())


def test_the_prior_is_the_laplace_approximation(float64: Any) -> None:
    """Mode and curvature of the Dirichlet's density in the log-ratios, by autograd."""
    prior = LogisticNormal(4, concentration="learned")
    torch.nn.init.normal_(prior.raw_concentration)
    made = prior(Context())
    dirichlet = torch.distributions.Dirichlet(made.scale.square().reciprocal().detach())

    def density(ratios: Tensor) -> Tensor:
        logs = torch.log_softmax(torch.cat([ratios, torch.zeros(1)]), 0)
        return dirichlet.log_prob(logs.exp()) + logs.sum()

    normal = log_ratio_normal(made)
    mode = normal.loc.detach()
    gradient = torch.autograd.functional.jacobian(density, mode)
    assert gradient.abs().max() < 1e-12
    curvature = -torch.autograd.functional.hessian(density, mode)
    torch.testing.assert_close(curvature.inverse(), normal.covariance_matrix)


def test_kl_is_that_of_the_log_ratios(float64: Any) -> None:
    q, p = softmax_normal(0, 5), softmax_normal(1)
    expected = torch.distributions.kl_divergence(log_ratio_normal(q), log_ratio_normal(p))
    torch.testing.assert_close(analytic_kl(q, p), expected)
    torch.testing.assert_close(analytic_kl(q, q), torch.zeros(5))
    whole = [dist.Normal(made.loc, made.scale).to_event(1) for made in (q, p)]
    assert (analytic_kl(q, p) < torch.distributions.kl_divergence(*whole)).all()


def test_a_common_shift_is_nothing(float64: Any) -> None:
    q = softmax_normal(0)
    moved = SoftmaxNormal(q.loc + 3.0, q.scale)
    z = q.sample((5,))
    torch.testing.assert_close(q.log_prob(z), moved.log_prob(z))
    assert analytic_kl(q, moved).abs() < 1e-12


def test_kl_equals_monte_carlo() -> None:
    torch.manual_seed(0)
    q, p = softmax_normal(2, 3), softmax_normal(3)
    z = q.sample((20000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / len(z) ** 0.5
    assert ((ratio.mean(0) - analytic_kl(q, p)).abs() < 5 * error).all()


def test_a_dirichlet_prior_is_sampled_and_says_so() -> None:
    vae = small_vae(prior=Dirichlet(3), posterior=LogisticNormalPosterior())
    x = data_for(vae)
    assert analytic_kl(vae.encode(x), vae.prior(Context())) is None
    with pytest.raises(ValueError, match=r"SoftmaxNormal.*EdgeDirichlet.*no closed form"):
        ELBO(kl="analytic")(vae.model, vae.guide)(x)


@pytest.mark.parametrize("name", ["softmax", "dirichlet"])
def test_the_edge_is_finite_in_value_and_gradient(name: str) -> None:
    """What was rounded to zero has a score, and the gradient of the parameters is finite."""
    parameter = torch.tensor([0.5, 1.0, 30.0], requires_grad=True)
    made = SoftmaxNormal(parameter.log(), parameter) if name == "softmax" else None
    made = made or EdgeDirichlet(parameter)
    z = torch.tensor([[0.0, 0.0, 1.0], [1e-45, 1e-30, 1.0], [0.0, 0.5, 0.5]], requires_grad=True)
    score = made.log_prob(z)
    score.sum().backward()
    assert score.isfinite().all()
    assert parameter.grad.isfinite().all()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_draws_at_the_edge_have_finite_gradients(scale: float) -> None:
    torch.manual_seed(0)
    loc = torch.tensor([[300.0, 0.0, -300.0], [1e4, 0.0, 9e3]], requires_grad=True)
    spread = torch.full((2, 3), scale, requires_grad=True)
    q, p = SoftmaxNormal(loc, spread), Dirichlet(3, concentration=0.01)(Context())
    z = q.rsample((50,))
    assert (z == 0).any()
    (q.log_prob(z) - p.log_prob(z)).sum().backward()
    assert loc.grad.isfinite().all()
    assert spread.grad.isfinite().all()


def test_where_nothing_is_rounded_it_is_torchs_dirichlet(float64: Any) -> None:
    concentration = torch.tensor([[0.5, 2.0, 3.0], [1.0, 1.0, 9.0]])
    ours, theirs = EdgeDirichlet(concentration), torch.distributions.Dirichlet(concentration)
    z = theirs.sample((6,))
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z))
    assert type(ours.expand((4, 2))) is EdgeDirichlet
    assert ours.expand((4, 2)).rsample((5,)).shape == (5, 4, 2, 3)


def test_the_gradient_of_dirichlet_draws(float64: Any) -> None:
    """Of E[z_1^2] = a_1 (a_1 + 1) / (s (s + 1)), s the sum of a, by autograd of the formula."""
    torch.manual_seed(1)
    a = torch.tensor([0.4, 1.5, 0.8], requires_grad=True)
    total = a.sum()
    (truth,) = torch.autograd.grad(a[0] * (a[0] + 1) / (total * (total + 1)), a)
    rows = a.detach().expand(40000, 3).clone().requires_grad_()
    (found,) = torch.autograd.grad(EdgeDirichlet(rows).rsample()[:, 0].square().sum(), rows)
    assert ((found.mean(0) - truth).abs() < 5 * found.std(0) / 200).all()


def test_leading_dimensions() -> None:
    q = softmax_normal(0, 2)
    wide = q.expand((5, 2))
    assert (wide.batch_shape, wide.event_shape) == ((5, 2), (4,))
    assert wide.rsample((3,)).shape == (3, 5, 2, 4)
    assert wide.log_prob(q.sample()).shape == (5, 2)
    with pyro.validation_enabled(False):  # torch cannot validate an empty batch
        assert softmax_normal(0, 0).rsample().shape == (0, 4)


@pytest.mark.parametrize("made", [Dirichlet, LogisticNormal])
def test_refusals(made: Any) -> None:
    with pytest.raises(ValueError, match=r"dim of at least 2.*got 1"):
        made(1)
    for wrong in (0.0, -1.0, float("nan"), "learn", True, None):
        with pytest.raises(ValueError, match="concentration"):
            made(3, concentration=wrong)
    assert repr(made(3, concentration="learned")).endswith("(3, concentration='learned')")


def test_a_posterior_over_vectors_does_not_fit() -> None:
    with pytest.raises(ValueError, match="over points of a simplex, the posterior over vectors"):
        small_vae(prior=Dirichlet(3), posterior="MeanFieldNormal")


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.parametrize("prior", [Dirichlet(5), LogisticNormal(5, concentration="learned")])
def test_a_model_trains_by_iwae_and_is_evaluated(prior: Any) -> None:
    torch.manual_seed(0)
    vae = small_vae(prior=prior, posterior=LogisticNormalPosterior())
    x = data_for(small_vae(), 40)
    loss = IWAE(particles=4)(vae.model, vae.guide)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        torch.manual_seed(1)
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < losses[0] - 1.0
    result = pyrovae.evaluate(vae, x, samples=50)
    assert result.elbo <= result.log_prob
    assert result.active_units is None
