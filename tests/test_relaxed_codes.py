"""Relaxed codes against quadrature, torch's densities and the logistic noise they are made of.

Statistical checks use fixed seeds and allow four standard errors: a false alarm in 1.6e4 each.
"""

import warnings
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from cases import POSTERIORS, PRIORS, array, data_for, randomized, small_vae
from torch import Tensor

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import Foreign, OneHot, RelaxedBit, RelaxedOneHot, mixture
from pyrovae.distributions.gumbel import keep, kept, temperature_of
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import (
    BernoulliCode,
    Categorical,
    MeanFieldNormal,
    StraightThroughCategorical,
)
from pyrovae.posteriors import RelaxedBernoulli as RelaxedBernoulliPosterior
from pyrovae.posteriors import RelaxedCategorical as RelaxedCategoricalPosterior
from pyrovae.priors import BernoulliCode as BernoulliCodePrior
from pyrovae.priors import Categorical as CategoricalPrior
from pyrovae.priors import RelaxedBernoulli, RelaxedCategorical, StandardNormal, VampPrior

TEMPERATURES = [0.1, 0.5, 1.0, 2.0]
float64 = pytest.mark.usefixtures("float64")


@float64
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_densities_are_those_of_torch_where_torch_has_one(temperature: float) -> None:
    logits = torch.randn(5, 3)
    relaxed = RelaxedOneHot(logits, temperature)
    z = torch.distributions.Dirichlet(torch.ones(3)).sample((4, 5))
    torchs = dist.RelaxedOneHotCategorical(torch.tensor(temperature), logits=logits)
    torch.testing.assert_close(relaxed.log_prob(z), torchs.log_prob(z), rtol=1e-9, atol=1e-9)
    u = torch.rand(4, 5, 3)
    bits = dist.RelaxedBernoulli(torch.tensor(temperature), logits=logits)
    torch.testing.assert_close(
        RelaxedBit(logits, temperature).log_prob(u), bits.log_prob(u), rtol=1e-9, atol=1e-9
    )


@float64
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_densities_integrate_to_one(temperature: float) -> None:
    """Over the logits of z, in which the integrand is smooth and falls off."""
    line = torch.linspace(-60.0, 60.0, 4001)
    z = line.sigmoid()
    bit = RelaxedBit(torch.tensor(0.7), temperature)
    density = (bit.log_prob(z) + z.log() + (-line).sigmoid().log()).exp()
    assert torch.trapezoid(density, line).item() == pytest.approx(1.0, abs=1e-6)
    line = torch.linspace(-40.0, 40.0, 801)
    pair = torch.cartesian_prod(line, line)
    point = torch.cat([pair, torch.zeros(len(pair), 1)], -1).softmax(-1)
    relaxed = RelaxedOneHot(torch.tensor([0.5, -1.0, 0.2]), temperature)
    density = (relaxed.log_prob(point) + point.log().sum(-1)).exp().reshape(801, 801)
    total = torch.trapezoid(torch.trapezoid(density, line), line)
    assert total.item() == pytest.approx(1.0, abs=1e-5)


@float64
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", ["RelaxedCategorical", "RelaxedBernoulli"])
def test_the_parts_have_the_densities_of_the_cases(name: str, size: int) -> None:
    prior = randomized(PRIORS[name].make(size))
    p = prior(Context())
    z = p.sample((6, 5))
    truth = PRIORS[name].oracle(prior, None, array(z))
    np.testing.assert_allclose(array(p.log_prob(z)), truth, rtol=1e-7)
    p.log_prob(z).sum().backward()
    assert all((parameter.grad != 0).all() for parameter in prior.parameters())
    row = POSTERIORS[f"{name} drawn"]
    posterior = row.make()
    posterior.event_shape = prior.event_shape
    raw = torch.randn(5, *posterior.head.out_shape(prior.event_shape))
    q = posterior(raw, Context())
    z = q.sample((6,))
    truth = row.oracle(posterior, array(raw), array(z))
    np.testing.assert_allclose(array(q.log_prob(z)), truth, rtol=1e-7)


@float64
def test_rounding_a_draw_gives_the_code() -> None:
    """The largest entry is distributed as the code: by what the relaxation is made of."""
    logits = torch.tensor([0.5, -1.0, 0.2])
    draws = RelaxedOneHot(logits, 0.7).sample((20_000,))
    share = torch.bincount(draws.argmax(-1), minlength=3) / 20_000
    mass = OneHot(logits).probs
    assert ((share - mass).abs() < 4.0 * (mass * (1 - mass) / 20_000).sqrt()).all()
    ones = (RelaxedBit(logits, 0.7).sample((20_000,)) > 0.5).double().mean(0)
    mass = logits.sigmoid()
    assert ((ones - mass).abs() < 4.0 * (mass * (1 - mass) / 20_000).sqrt()).all()


@float64
@pytest.mark.parametrize("made", [RelaxedOneHot, RelaxedBit])
def test_the_kept_value_gives_the_density_of_the_draw(made: Any) -> None:
    logits = torch.randn(5, 3, requires_grad=True)
    relaxed = made(logits, 0.8)
    z = relaxed.rsample((7,))
    plain = z.detach().requires_grad_()
    score, again = relaxed.log_prob(z), relaxed.log_prob(plain)
    torch.testing.assert_close(score, again, rtol=1e-8, atol=1e-8)
    (found,) = torch.autograd.grad(score.sum(), logits, retain_graph=True)
    direct, through = torch.autograd.grad(again.sum(), (logits, plain), retain_graph=True)
    (path,) = torch.autograd.grad(z, logits, through)
    torch.testing.assert_close(found, direct + path, rtol=1e-8, atol=1e-8)


def test_what_was_kept_is_forgotten_where_it_no_longer_holds() -> None:
    draw = keep(torch.tensor([0.5]), torch.zeros(1))
    assert kept(draw) is not None
    assert kept(draw + 0.0) is None
    draw.add_(0.1)
    assert kept(draw) is None
    leaf = keep(torch.tensor([0.5]), torch.zeros(1)).requires_grad_()
    assert kept(leaf) is None
    bit = RelaxedBit(torch.zeros(1), 1.0)
    with torch.inference_mode():
        assert bit.log_prob(bit.sample()).isfinite().all()


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("pattern", [(1e4, -1e4, 1e4), (-1e4, 1e4, 0.0), (1e4,) * 3, (0.0,) * 3])
@pytest.mark.parametrize("made", [RelaxedOneHot, RelaxedBit])
def test_value_and_gradient_are_finite_in_float32(
    made: Any, pattern: tuple[float, ...], temperature: float
) -> None:
    logits = torch.tensor(pattern).requires_grad_()
    q, p = made(logits, temperature), made(torch.zeros(3), 0.5)
    z = q.rsample((50,))
    score = q.log_prob(z) - p.log_prob(z)
    assert score.dtype == torch.float32
    assert score.isfinite().all()
    assert q.support.check(z).all()
    (score.sum() + z.square().sum()).backward()
    assert logits.grad.isfinite().all()
    corner = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)  # not a draw: nothing was kept
    logits.grad = None
    made(logits, temperature).log_prob(corner).sum().backward()
    assert logits.grad.isfinite().all()
    assert corner.grad.isfinite().all()


def test_the_density_at_a_corner_is_as_in_double_precision() -> None:
    """In float32 the entries of z are zero, and log p agrees to the digits of its own size."""
    logits = torch.tensor([3.0, -2.0, 0.5])
    torch.manual_seed(3)
    z = RelaxedOneHot(logits, 0.02).rsample((200,))
    assert (z == 0.0).any()
    exact = RelaxedOneHot(logits.double(), 0.02)
    made = keep(z.double(), kept(z).double())  # type: ignore[union-attr]
    score = RelaxedOneHot(logits, 0.02).log_prob(z)
    torch.testing.assert_close(score.double(), exact.log_prob(made), rtol=1e-5, atol=1e-3)


def test_many_classes_stay_on_the_simplex() -> None:
    torch.manual_seed(0)
    relaxed = RelaxedOneHot(5.0 * torch.randn(20, 1000), 1.5)
    assert relaxed.support.check(relaxed.sample((20,))).all()


@float64
def test_batches_broadcast_and_expand() -> None:
    for made, event in ((RelaxedOneHot, 1), (RelaxedBit, 0)):
        relaxed = made(torch.randn(5, 2, 3), 0.6).to_event(2 - event)
        for larger in (relaxed.expand((4, 5)), made(torch.randn(4, 5, 2, 3), 0.6)):
            assert larger.rsample((2,)).shape == (2, 4, 5, 2, 3)
        z = relaxed.rsample((6,))
        assert relaxed.log_prob(z).shape == (6, 5)
        torch.testing.assert_close(relaxed.expand((6, 5)).log_prob(z), relaxed.log_prob(z))
        empty = made(torch.zeros(0, 3), 0.6, validate_args=False)
        assert empty.log_prob(empty.rsample()).shape == ((0,) if event else (0, 3))


@float64
@pytest.mark.parametrize("made", [RelaxedOneHot, RelaxedBit])
def test_a_mixture_reads_what_was_kept(made: Any) -> None:
    """Two times one component is the component, also where z is rounded to its corners."""
    logits = 200.0 * torch.randn(3)
    one = made(logits.float(), 0.1)
    one = one if made is RelaxedOneHot else one.to_event(1)
    two = made(logits.float().expand(2, 3), 0.1)
    two = two if made is RelaxedOneHot else two.to_event(1)
    z = one.sample((7,))
    mixed = mixture(torch.zeros(2), two)
    torch.testing.assert_close(
        mixed.log_prob(z), one.log_prob(z).to(mixed.log_prob(z)), rtol=1e-5, atol=0.0
    )
    assert (
        type(mixture(torch.zeros(2), dist.Laplace(torch.zeros(2), 1.0))) is dist.MixtureSameFamily
    )
    assert Foreign(one).log_prob(z).shape == (7,)


def test_temperatures_out_of_range_are_named() -> None:
    for wrong in (0.0, -1.0, 1e-4, 1e4, float("nan"), float("inf"), True, "1"):
        with pytest.raises(ValueError, match="RelaxedBernoulli expects temperature to be a number"):
            temperature_of("RelaxedBernoulli", wrong)
    for part in (
        lambda: RelaxedCategorical(3, temperature=0.0),
        lambda: RelaxedBernoulli(3, temperature=0.0),
        lambda: RelaxedCategoricalPosterior(temperature=0.0),
        lambda: RelaxedBernoulliPosterior(temperature=0.0),
        lambda: StraightThroughCategorical(temperature=0.0),
    ):
        with pytest.raises(ValueError, match=r"(Categorical|Bernoulli) expects temperature"):
            part()


# ---------------------------------------------------------------------------------------- models

PAIRS: dict[str, Any] = {
    "one-hot": lambda: (
        RelaxedCategorical(3, codes=2, learned=True),
        RelaxedCategoricalPosterior(temperature=0.6),
    ),
    "bits": lambda: (RelaxedBernoulli(4, learned=True), RelaxedBernoulliPosterior(temperature=0.6)),
}


@pytest.mark.parametrize(
    ("prior", "posterior", "fitting"),
    [
        (CategoricalPrior(3), RelaxedCategoricalPosterior(), "a prior .* such as RelaxedCategor"),
        (BernoulliCodePrior(3), RelaxedBernoulliPosterior(), "a prior .* such as RelaxedBernou"),
        (RelaxedCategorical(3), Categorical(), "a posterior .* such as RelaxedCategorical"),
        (RelaxedBernoulli(3), BernoulliCode(), "a posterior .* such as RelaxedBernoulli"),
        (RelaxedCategorical(3), StraightThroughCategorical(), "a prior .* such as Categorical"),
        (RelaxedBernoulli(3), MeanFieldNormal(), "outside the prior's .* such as RelaxedBernoulli"),
        (RelaxedCategorical(3), MeanFieldNormal(), "posterior .* such as RelaxedCategorical"),
    ],
    ids=repr,
)
def test_what_is_no_bound_is_refused(prior: Any, posterior: Any, fitting: str) -> None:
    with pytest.raises(ValueError, match=fitting) as raised:
        small_vae(prior, posterior)
    assert f"prior {prior!r} and posterior {posterior!r} do not fit" in str(raised.value)


@pytest.mark.parametrize("prior", [StandardNormal(3), VampPrior(3, components=2)], ids=repr)
def test_bits_between_zero_and_one_fit_what_has_a_density_there(prior: Any) -> None:
    vae = small_vae(prior, RelaxedBernoulliPosterior())
    assert ELBO().loss(vae.model, vae.guide, data_for(vae)) > 0.0


@float64
@pytest.mark.parametrize("kind", PAIRS)
def test_the_bound_is_one(kind: str) -> None:
    """Bounds rise with K to log p(x), which draws from the prior estimate without a posterior."""
    vae = randomized(small_vae(*PAIRS[kind]()), spread=0.3)
    x = data_for(vae, n=4)
    with torch.no_grad():
        torch.manual_seed(4)
        bounds = [
            IWAE(particles=k)
            .measure(IWAE(particles=k).trace(vae.model, vae.guide, x.repeat(500, 1, 1, 1)))
            .bound.mean()
            for k in (1, 5)
        ]
        z = vae.prior(Context()).sample((100_000,))
        given = vae.decode(z.unsqueeze(1)).log_prob(x)
        weight = (given - given.max(0).values).exp()
        truth = weight.mean(0).log() + given.max(0).values
        error = (weight.std(0) / weight.mean(0)).max().item() / 100_000**0.5
    assert error < 0.02, "the check would see nothing"
    with warnings.catch_warnings(action="ignore"):  # the posterior is not trained
        result = pyrovae.evaluate(vae, x, samples=5000)
    assert bounds[0] < bounds[1] < truth.mean() + 4.0 * error
    assert abs(result.log_prob - truth.mean().item()) < 4.0 * (error + result.log_prob_error)
    splits = result.kl_per_dimension
    assert (splits is not None) == (kind == "bits")
    assert result.active_units is None


@pytest.mark.parametrize("kind", PAIRS)
def test_training_raises_the_bound(kind: str) -> None:
    vae = randomized(small_vae(*PAIRS[kind]()))
    x = data_for(randomized(small_vae()), n=30)
    for objective in (ELBO(), ELBO(free_bits=0.05), IWAE(particles=3)):
        loss = objective(vae.model, vae.guide)
        optimizer = torch.optim.Adam(vae.parameters(), lr=0.02)
        values: list[Tensor] = []
        for _ in range(20):
            torch.manual_seed(1)
            optimizer.zero_grad()
            value = loss(x)
            value.backward()
            optimizer.step()
            values.append(value.detach())
        assert values[-1] < values[0]
    assert vae.sample(2).shape == (2, 1, 4, 3)
    assert vae.reconstruct(x[:3]).shape == (3, 1, 4, 3)
    with pytest.raises(ValueError, match="has no closed form"):
        ELBO(kl="analytic")(vae.model, vae.guide)(x)
