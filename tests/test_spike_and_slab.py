"""The spike and slab: its KL, its gates, its gradients, and brute force over all gates.

Statistical checks are within five standard errors at fixed seeds: a false alarm in 2e6 each.
"""

from itertools import product
from typing import Any

import pyro
import pytest
import torch
from cases import data_for, small_vae
from torch import Tensor
from torch.distributions import MultivariateNormal

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import SpikedNormal
from pyrovae.likelihoods import Normal
from pyrovae.models.fitting import kind_of
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE, analytic_kl
from pyrovae.posteriors import SpikeAndSlab as SpikeAndSlabPosterior
from pyrovae.priors import SpikeAndSlab


def spiked(seed: int, *shape: int) -> SpikedNormal:
    generator = torch.Generator().manual_seed(seed)
    logits, loc, raw = torch.randn(3, *shape, generator=generator)
    return SpikedNormal(logits, loc, raw.exp())


def test_mass_is_the_atom_and_an_integral(float64: Any) -> None:
    q = spiked(0, 4)
    line = torch.linspace(-40, 40, 100000).unsqueeze(-1)  # an even number leaves zero out
    slabs = torch.trapezoid(q.log_prob(line).exp(), line, dim=0)
    atom = q.log_prob(torch.zeros(4)).exp()
    torch.testing.assert_close(atom + slabs, torch.ones(4))
    torch.testing.assert_close(atom, torch.sigmoid(-q.logits))


def test_kl_against_quadrature(float64: Any) -> None:
    q, p = spiked(1, 5), spiked(2, 5)
    line = torch.linspace(-60, 60, 200000).unsqueeze(-1)
    at_zero = q.log_prob(torch.zeros(5)).exp()
    ratio = q.log_prob(line) - p.log_prob(line)
    integral = torch.trapezoid(q.log_prob(line).exp() * ratio, line, dim=0)
    atom = at_zero * (at_zero / p.log_prob(torch.zeros(5)).exp()).log()
    torch.testing.assert_close(analytic_kl(q, p), atom + integral)
    torch.testing.assert_close(analytic_kl(q.to_event(1), p.to_event(1)), (atom + integral).sum())


def test_kl_equals_monte_carlo() -> None:
    torch.manual_seed(0)
    q, p = spiked(3, 2, 3).to_event(1), spiked(4, 3).to_event(1)
    z = q.sample((20000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / len(z) ** 0.5
    assert ((ratio.mean(0) - analytic_kl(q, p)).abs() < 5 * error).all()


def test_the_gates_frequencies_and_moments() -> None:
    torch.manual_seed(0)
    q = spiked(5, 4)
    draws = q.sample((20000,))
    share = q.logits.sigmoid()
    error = (share * (1 - share) / 20000).sqrt()
    assert (((draws != 0).float().mean(0) - share).abs() < 5 * error).all()
    assert ((draws.mean(0) - q.mean).abs() < 5 * q.stddev / 20000**0.5).all()
    torch.testing.assert_close(draws.var(0), q.variance, rtol=0.15, atol=0.0)


def gradients(q: SpikedNormal, function: Any, draws: int) -> tuple[list[Tensor], list[Tensor]]:
    """Mean and standard error of the gradient of E[f] by logits, loc and scale."""
    rows = [
        t.detach().expand(draws, *t.shape).clone().requires_grad_()
        for t in (q.logits, q.loc, q.scale)
    ]
    found = torch.autograd.grad(function(SpikedNormal(*rows).rsample()).sum(), rows)
    return [g.mean(0) for g in found], [g.std(0) / draws**0.5 for g in found]


def test_the_gradient_is_exact_for_a_quadratic_function(float64: Any) -> None:
    """Of E[(a.z - c)^2] by the formula of its value: the gates' gradient is unbiased."""
    torch.manual_seed(0)
    q = spiked(6, 3)
    slope, centre = torch.tensor([1.0, -2.0, 0.5]), 0.7
    exact = [t.clone().requires_grad_() for t in (q.logits, q.loc, q.scale)]
    made = SpikedNormal(*exact)
    value = (slope.square() * made.variance).sum() + ((slope * made.mean).sum() - centre).square()
    truth = torch.autograd.grad(value, exact)
    found = gradients(q, lambda z: ((slope * z).sum(-1) - centre).square(), 100000)
    for mean, error, true in zip(*found, truth, strict=True):
        assert ((mean - true).abs() < 5 * error).all()


def test_the_gradient_of_a_sampled_kl_is_exact(float64: Any) -> None:
    """The density jumps at zero, so a draw that did not tell of its gates would miss the gates."""
    torch.manual_seed(0)
    q, p = spiked(7, 3), spiked(8, 3)
    exact = [t.clone().requires_grad_() for t in (q.logits, q.loc, q.scale)]
    truth = torch.autograd.grad(analytic_kl(SpikedNormal(*exact), p).sum(), exact)
    rows = [t.detach().expand(100000, 3).clone().requires_grad_() for t in exact]
    made = SpikedNormal(*rows)
    z = made.rsample()
    found = torch.autograd.grad((made.log_prob(z) - p.log_prob(z)).sum(), rows)
    for each, true in zip(found, truth, strict=True):
        assert ((each.mean(0) - true).abs() < 5 * each.std(0) / 100000**0.5).all()


def test_a_score_is_the_same_with_and_without_the_gates() -> None:
    torch.manual_seed(0)
    logits = torch.zeros(200, requires_grad=True)
    q = SpikedNormal(logits, torch.tensor(0.3), torch.tensor(2.0))
    z = q.rsample()
    assert 50 < (z == 0).sum() < 150
    torch.testing.assert_close(q.log_prob(z), q.log_prob(z.detach()))


def linear_vae(noise: float = 0.6) -> pyrovae.VAE:
    torch.manual_seed(3)
    vae = small_vae(
        prior=SpikeAndSlab(3, slab_share=0.3),
        posterior=SpikeAndSlabPosterior(),
        likelihood=Normal((4,), scale=noise),
        decoder=MLP(()),
        encoder=MLP(()),
    )
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.normal_()
    return vae


def test_log_prob_against_all_gates_and_the_elbo_below_it(float64: Any) -> None:
    """With a linear decoder each of the 2^3 sets of gates leaves a normal x; p(x) is their sum."""
    vae = linear_vae().double()
    x = data_for(vae, 6)
    weight = torch.stack([vae.decode(row).mean for row in torch.eye(3)]) - (
        offset := vae.decode(torch.zeros(3)).mean
    )
    joint = []
    for gates in product((0.0, 1.0), repeat=3):
        kept = torch.tensor(gates).unsqueeze(-1) * weight
        covariance = kept.mT @ kept + 0.36 * torch.eye(4)
        prior = vae.prior(Context()).base_dist
        mass = torch.where(
            torch.tensor(gates) > 0, prior.logits.sigmoid(), (-prior.logits).sigmoid()
        )
        joint.append(mass.log().sum() + MultivariateNormal(offset, covariance).log_prob(x))
    truth = torch.stack(joint).logsumexp(0).detach()
    torch.manual_seed(0)
    z = vae.prior(Context()).sample((200000,))
    weights = vae.decode(z).log_prob(x.unsqueeze(1)).exp()
    error = weights.std(-1) / z.shape[0] ** 0.5
    assert ((weights.mean(-1) - truth.exp()).abs() < 5 * error).all()

    q, prior = vae.encode(x), vae.prior(Context()).base_dist
    base = q.base_dist
    residual = x - offset - base.mean @ weight
    spread = base.variance @ weight.square()  # E|x - Wz|^2 for independent dimensions
    expected = (
        -0.5 * (residual.square() + spread) / 0.36 - 0.5 * torch.tensor(6.283185307 * 0.36).log()
    )
    exact = expected.sum(-1) - analytic_kl(base, prior).sum(-1)
    assert (exact <= truth).all()
    loss = ELBO(particles=20000)(vae.model, vae.guide)
    with torch.no_grad():
        value = -loss(x) / len(x)
    assert value.item() == pytest.approx(exact.mean().item(), rel=0.03)
    per_dimension = analytic_kl(base, prior)
    assert per_dimension.shape == (6, 3)


def test_leading_dimensions_and_kind() -> None:
    q = spiked(0, 2, 3).to_event(1)
    wide = q.expand((5, 2))
    assert (wide.batch_shape, wide.rsample((4,)).shape) == ((5, 2), (4, 5, 2, 3))
    assert wide.log_prob(q.sample()).shape == (5, 2)
    assert kind_of(q) == "spikes and slabs"
    with pyro.validation_enabled(False):  # torch cannot validate an empty batch
        assert spiked(0, 0, 3).rsample().shape == (0, 3)


def test_refusals() -> None:
    for wrong in (0.0, 1.0, -0.1, float("nan"), "half", True, None):
        with pytest.raises(ValueError, match="slab_share to be a number between 0 and 1"):
            SpikeAndSlab(3, slab_share=wrong)
    with pytest.raises(ValueError, match="over spikes and slabs, the posterior over vectors"):
        small_vae(prior=SpikeAndSlab(3), posterior="MeanFieldNormal")
    assert repr(SpikeAndSlab(3, slab_share=0.1)) == "SpikeAndSlab(3, slab_share=0.1)"


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.parametrize(
    "objective", [ELBO(free_bits=0.01), ELBO(kl="sampled"), IWAE(particles=4)], ids=repr
)
def test_a_model_trains_and_is_evaluated(objective: Any) -> None:
    torch.manual_seed(0)
    vae = small_vae(prior=SpikeAndSlab(4, slab_share="learned"), posterior=SpikeAndSlabPosterior())
    x = data_for(small_vae(), 40)
    loss = objective(vae.model, vae.guide)
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
    assert len(result.kl_per_dimension) == 4
