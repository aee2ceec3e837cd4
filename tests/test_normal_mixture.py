"""The mixture posterior: gradients by every parameter, and draws spread over the components.

Statistical checks are within five standard errors at fixed seeds: a false alarm in 2e6 each.
"""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import array, data_for, small_vae
from scipy import special
from torch import Tensor

import pyrovae
from pyrovae.distributions import PathwiseNormalMixture
from pyrovae.distributions.mixture_paths import _between, _by_logits, component_scores
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import NormalMixture
from pyrovae.priors import StandardNormal


def parameters(dim: int, *, uneven: bool = True, count: int = 3) -> list[Tensor]:
    """Logits, means and scales of components that overlap."""
    generator = torch.Generator().manual_seed(dim)
    loc = 0.7 * torch.randn(count, dim, generator=generator)
    spread = torch.rand(count, dim, generator=generator)
    scale = 0.5 + spread if uneven else torch.full((count, dim), 0.5)
    return [torch.randn(count, generator=generator), loc, scale]


def agrees(
    start: list[Tensor], function: Callable[[Tensor], Tensor], truth: list[Tensor], draws: int
) -> None:
    """Compare the mean gradient of independent draws, each with parameters of its own."""
    rows = [t.expand(draws, *t.shape).clone().requires_grad_() for t in start]
    found = torch.autograd.grad(function(PathwiseNormalMixture(*rows).rsample()).sum(), rows)
    for each, true in zip(found, truth, strict=True):
        error = each.std(0) / draws**0.5
        assert (error < 0.05).all(), "the check would see nothing"
        assert ((each.mean(0) - true).abs() < 5 * error).all()


@pytest.mark.parametrize("uneven", [True, False])
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_gradients_against_a_closed_form(dim: int, uneven: bool, float64: Any) -> None:
    """Of E[cos(a.z + c)], which is a sum over components."""
    torch.manual_seed(0)
    start = parameters(dim, uneven=uneven)
    slope = torch.randn(dim, generator=torch.Generator().manual_seed(1))
    exact = [t.clone().requires_grad_() for t in start]
    logits, loc, scale = exact
    damped = (-0.5 * (slope * scale).square().sum(-1)).exp()
    value = (logits.softmax(-1) * damped * (loc @ slope + 0.4).cos()).sum()
    truth = list(torch.autograd.grad(value, exact))
    agrees(start, lambda z: (z @ slope + 0.4).cos(), truth, 50000)


def test_gradients_against_differences_of_quadrature(float64: Any) -> None:
    """In two dimensions, of a function that is none of products."""
    torch.manual_seed(0)
    line = torch.linspace(-9, 9, 301)
    grid = torch.cartesian_prod(line, line)

    def function(z: Tensor) -> Tensor:
        return torch.tanh(z[..., 0] * z[..., 1] + z[..., 0]) + 0.3 * z[..., 1].square()

    start = parameters(2)
    values = function(grid)

    def expectation(changed: list[Tensor]) -> float:
        density = PathwiseNormalMixture(*changed).log_prob(grid).exp()
        return ((density * values).sum() * (18 / 300) ** 2).item()

    truth = []
    for which, tensor in enumerate(start):
        slopes = torch.empty(tensor.numel())
        for entry in range(tensor.numel()):
            ends = []
            for step in (1e-4, -1e-4):
                changed = [t.clone() for t in start]
                changed[which].view(-1)[entry] += step
                ends.append(expectation(changed))
            slopes[entry] = (ends[0] - ends[1]) / 2e-4
        truth.append(slopes.reshape(tensor.shape))
    agrees(start, function, truth, 50000)


@pytest.mark.parametrize("dim", [1, 3])
def test_density_against_a_mixture_of_torch(dim: int, float64: Any) -> None:
    logits, loc, scale = parameters(dim)
    made = PathwiseNormalMixture(logits, loc, scale)
    truth = torch.distributions.MixtureSameFamily(
        dist.Categorical(logits=logits), dist.Normal(loc, scale).to_event(1)
    )
    z = 3.0 * torch.randn(4, 5, dim)
    torch.testing.assert_close(made.log_prob(z), truth.log_prob(z))
    torch.testing.assert_close(made.mean, truth.mean)
    torch.testing.assert_close(made.variance, truth.variance)


def apart(logits: Tensor) -> PathwiseNormalMixture:
    """A mixture so far apart that a draw tells its component."""
    loc = 100.0 * torch.arange(logits.shape[-1]).unsqueeze(-1).expand(*logits.shape, 1)
    return PathwiseNormalMixture(logits, loc, torch.ones(loc.shape))


def component(draws: Tensor) -> Tensor:
    return (draws.squeeze(-1) / 100.0).round()


@pytest.mark.parametrize("by", ["expand", "shape", "both"])
def test_each_component_gets_its_share_to_within_one(by: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(50, 4)
    q = apart(logits)
    if by == "expand":
        draws = q.expand((12, 50)).rsample()
    elif by == "shape":
        draws = q.sample((12,))
    else:
        draws = q.expand((3, 50)).rsample((4,)).flatten(0, 1)
    counts = torch.stack([(component(draws) == k).sum(0) for k in range(4)], -1)
    assert ((counts - 12 * logits.softmax(-1)).abs() < 1.0 + 1e-4).all()
    order = component(draws).T
    assert (order[0] != order[1]).any()


def test_the_law_of_each_particle_is_the_mixture() -> None:
    """Over many data, each particle by itself takes the components by their weights."""
    torch.manual_seed(0)
    logits = torch.tensor([0.5, -0.5, 0.0])
    chosen = component(apart(logits.expand(20000, 3)).sample((4,)))
    for k, share in enumerate(logits.softmax(-1)):
        error = (share * (1 - share) / 20000).sqrt()
        assert (((chosen == k).float().mean(1) - share).abs() < 5 * error).all()


def test_spread_particles_lower_the_variance_and_keep_the_mean(float64: Any) -> None:
    """Against independent draws, made as data of their own; the ratio here is about 0.07."""
    torch.manual_seed(0)
    logits, loc, scale = parameters(2)
    loc = 3.0 * loc
    repeated = 4000

    def mean_of(draws: Tensor) -> Tensor:
        return draws.tanh().sum(-1).mean(0)

    q = PathwiseNormalMixture(*(t.expand(repeated, *t.shape) for t in (logits, loc, 0.3 * scale)))
    spread = mean_of(q.sample((8,)))
    flat = PathwiseNormalMixture(
        *(t.expand(8, repeated, *t.shape) for t in (logits, loc, 0.3 * scale))
    )
    independent = mean_of(flat.sample())
    assert spread.var() < 0.5 * independent.var()
    error = ((spread.var() + independent.var()) / repeated).sqrt()
    assert (spread.mean() - independent.mean()).abs() < 5 * error


def linear_vae() -> pyrovae.VAE:
    torch.manual_seed(1)
    vae = small_vae(
        prior=StandardNormal(2),
        posterior=NormalMixture(components=3),
        likelihood=Normal((3,), scale=0.8),
        encoder=MLP(()),
        decoder=MLP(()),
    )
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.normal_(std=0.5)
    return vae


def test_the_mean_weight_of_iwae_is_unbiased_for_the_evidence(float64: Any) -> None:
    """E[exp(bound)] = p(x), a normal's density for a linear decoder, though draws are dependent."""
    vae = linear_vae().double()
    x = data_for(vae, 2)
    offset = vae.decode(torch.zeros(2)).mean
    weight = torch.stack([vae.decode(row).mean for row in torch.eye(2)]) - offset
    covariance = weight.mT @ weight + 0.64 * torch.eye(3)
    truth = dist.MultivariateNormal(offset, covariance).log_prob(x).exp().detach()
    many = 4000
    torch.manual_seed(0)
    for row, evidence in zip(x, truth, strict=True):
        with torch.no_grad():
            q = vae.encode(row.expand(many, 3))
            z = q.sample((4,))
            joint = vae.decode(z).log_prob(row) + StandardNormal(2).double()(
                pyrovae.context.Context()
            ).log_prob(z)
            means = (joint - q.log_prob(z)).exp().mean(0)
        error = means.std() / many**0.5
        assert error < 0.1 * evidence
        assert (means.mean() - evidence).abs() < 5 * error
        assert means.log().mean() < evidence.log()


@pytest.mark.parametrize("dim", [1, 2, 20])
def test_equal_components_have_finite_gradients(dim: int) -> None:
    rows = [torch.zeros(7, 3), torch.zeros(7, 3, dim), torch.ones(7, 3, dim)]
    for row in rows:
        row.requires_grad_()
    q = PathwiseNormalMixture(*rows)
    found = torch.autograd.grad(q.rsample((5,)).square().sum(), rows)
    assert found[0].abs().max() < 1e-5
    assert all(g.isfinite().all() for g in found)


def test_extreme_components_have_finite_gradients() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.0, 1e4, -1e4, 1e4]).requires_grad_()
    loc = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0], [1e4, 0.0]]).requires_grad_()
    scale = torch.tensor([[1e-4, 1e4], [1e4, 1e-4], [1e4, 1e4], [1e-4, 1e-4]]).requires_grad_()
    q = PathwiseNormalMixture(logits, loc, scale)
    z = q.rsample((500,))
    (q.log_prob(z) + 0.5 * z.square().sum(-1)).sum().backward()
    assert all(t.grad.isfinite().all() for t in (logits, loc, scale))


def test_float32_follows_float64_where_scales_differ_by_thousands() -> None:
    """A sum of exponents of which one is huge must not swallow the others."""
    torch.manual_seed(0)
    rows = [
        torch.tensor([0.0, 0.5]),
        torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.5]]),
        torch.tensor([[1.0, 1e-4, 1.0], [1e-4, 2.0, 1e-4]]),
    ]
    z = PathwiseNormalMixture(*rows).sample((200,))
    pull = torch.randn(200, 3)
    found = []
    for dtype in (torch.float32, torch.float64):
        logits, loc, scale = (t.to(dtype).expand(200, *t.shape) for t in rows)
        log_q = component_scores(z.to(dtype), logits, loc, scale).logsumexp(-1)
        found.append(_by_logits(z.to(dtype), pull.to(dtype), logits, loc, scale, log_q))
    torch.testing.assert_close(found[0].double(), found[1], rtol=1e-2, atol=1e-4)


def test_differences_in_the_tail_keep_their_digits(float64: Any) -> None:
    """By SciPy; torch's own function loses them."""
    upper, lower = torch.tensor([9.0, -8.0, 0.3]), torch.tensor([8.0, -9.0, -0.2])
    ends = [
        special.ndtr(array(t))
        for t in (torch.tensor([-8.0, -8.0, 0.3]), torch.tensor([-9.0, -9.0, -0.2]))
    ]
    truth = torch.as_tensor(ends[0] - ends[1])
    torch.testing.assert_close(_between(upper, lower), truth, rtol=1e-12, atol=0.0)


def test_leading_dimensions() -> None:
    logits, loc, scale = parameters(2)
    q = PathwiseNormalMixture(logits, loc, scale).expand((2,))
    wide = q.expand((5, 2))
    assert (wide.batch_shape, wide.event_shape) == ((5, 2), (2,))
    assert wide.rsample((4, 3)).shape == (4, 3, 5, 2, 2)
    assert wide.log_prob(q.sample()).shape == (5, 2)
    assert q.sample((0,)).shape == (0, 2, 2)
    with pyro.validation_enabled(False):  # torch cannot validate an empty batch
        empty = PathwiseNormalMixture(torch.zeros(0, 3), torch.zeros(0, 3, 2), torch.ones(0, 3, 2))
        assert empty.rsample((4,)).shape == (4, 0, 2)


def test_refusals() -> None:
    for wrong in (0, -1, 2.0, True, None):
        with pytest.raises(ValueError, match="components to be a positive integer"):
            NormalMixture(components=wrong)
    assert repr(NormalMixture(components=7)) == "NormalMixture(components=7)"


@pytest.mark.parametrize("prior", ["StandardNormal", "VampPrior"])
@pytest.mark.parametrize("components", [1, 4])
def test_a_model_trains_and_is_evaluated(prior: str, components: int) -> None:
    torch.manual_seed(0)
    vae = small_vae(prior=prior, posterior=NormalMixture(components=components))
    x = data_for(small_vae(), 40)
    for objective in (ELBO(particles=3), IWAE(particles=4)):
        loss = objective(vae.model, vae.guide)
        optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
        losses = []
        for _ in range(20):
            torch.manual_seed(1)
            optimizer.zero_grad()
            value = loss(x)
            value.backward()
            optimizer.step()
            losses.append(value.item())
        assert losses[-1] < losses[0]
    result = pyrovae.evaluate(vae, x, samples=50)
    assert result.elbo <= result.log_prob
    assert math.isfinite(result.log_prob)
