"""Discrete codes against brute force: masses, divergences, bounds and their gradients, refusals.

Statistical checks use fixed seeds and allow four standard errors: a false alarm in 1.6e4 each.
"""

import math
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from cases import data_for, randomized, small_vae
from pyro.infer import SVI, TraceEnum_ELBO
from scipy import special
from torch import Tensor

import pyrovae
from pyrovae.distributions import BinaryCodes, LogitsBernoulli, OneHot, StraightThroughOneHot
from pyrovae.distributions.every_word import every_word
from pyrovae.evaluation import log_prob
from pyrovae.objectives import ELBO, IWAE, analytic_kl
from pyrovae.posteriors import (
    BernoulliCode,
    Categorical,
    MeanFieldNormal,
    StraightThroughCategorical,
)
from pyrovae.priors import BernoulliCode as BernoulliCodePrior
from pyrovae.priors import Categorical as CategoricalPrior
from pyrovae.priors import StandardNormal, VampPrior

pytestmark = pytest.mark.usefixtures("float64")

CODES = {
    "one-hot": lambda: (CategoricalPrior(3, codes=2, learned=True), Categorical()),
    "binary": lambda: (BernoulliCodePrior(4, learned=True), BernoulliCode()),
}


def coded(kind: str, *, posterior: Any = None) -> Any:
    prior, enumerated = CODES[kind]()
    return randomized(small_vae(prior, posterior or enumerated))


def space(kind: str) -> Tensor:
    """Every z, written out by hand."""
    if kind == "binary":
        bits = [[i >> 3 & 1, i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(16)]
        return torch.tensor(bits, dtype=torch.float64)
    eye = torch.eye(3)
    return torch.stack([torch.stack([eye[i], eye[j]]) for i in range(3) for j in range(3)])


def log_masses(kind: str, logits: Tensor) -> Tensor:
    """Log-probability of every z under logits `[batch, *event_shape]`, of shape `[values, batch]`.

    Written with logarithms of probabilities, not with the package's distributions.
    """
    z = space(kind).unsqueeze(1)
    if kind == "binary":
        ones = 1.0 / (1.0 + (-logits).exp())
        return torch.where(z == 1.0, ones, 1.0 - ones).log().sum(-1)
    probs = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return (z * probs.log()).sum((-2, -1))


def logits_of(vae: Any, x: Tensor) -> Tensor:
    """What the encoder makes of x, in the shape of z."""
    logits: Tensor = vae.encoder_network(x).reshape(len(x), *vae.prior.event_shape)
    return logits


def brute_force(vae: Any, kind: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log p(x, z), log q(z | x) and log p(x | z) of every z, `[values, batch]`."""
    log_q = log_masses(kind, logits_of(vae, x))
    log_p = log_masses(kind, vae.prior.weights.logits.unsqueeze(0))
    raw = vae.decoder_network(space(kind)).flatten(1).unsqueeze(1)
    flat = x.flatten(1)
    probs = 1.0 / (1.0 + (-raw).exp())
    given = torch.where(flat == 1.0, probs, 1.0 - probs).log().sum(-1)
    return log_p + given, log_q, given


# --------------------------------------------------------------------------------- distributions


def test_every_word_counts_in_order() -> None:
    words = every_word(3, 4, like=torch.zeros(()))
    assert words.tolist() == [list(np.unravel_index(i, (3,) * 4)) for i in range(81)]
    assert every_word(2, 12, like=torch.zeros(())).shape == (4096, 12)
    with pytest.raises(ValueError, match=r"2\*\*13 = 8192 values .*at most 4096"):
        every_word(2, 13, like=torch.zeros(()))
    with pytest.raises(ValueError, match=r"10\*\*500 values"):
        every_word(10, 500, like=torch.zeros(()))


def made(kind: str, batch: tuple[int, ...], scale: float = 1.0) -> Any:
    shape = (*batch, 4) if kind == "binary" else (*batch, 2, 3)
    logits = scale * torch.randn(shape)
    return BinaryCodes.of(logits) if kind == "binary" else OneHot(logits).to_event(1)


@pytest.mark.parametrize("batch", [(), (5,), (2, 5)])
@pytest.mark.parametrize("kind", CODES)
def test_values_masses_moments_and_entropy(kind: str, batch: tuple[int, ...]) -> None:
    codes = made(kind, batch)
    values = codes.enumerate_support(expand=False)
    ones = (1,) * len(batch)
    assert torch.equal(values.reshape(space(kind).shape), space(kind))
    assert values.shape == (len(values), *ones, *codes.event_shape)
    assert codes.enumerate_support().shape == (len(values), *batch, *codes.event_shape)
    assert codes.has_enumerate_support
    assert not codes.has_rsample
    log_mass = codes.log_prob(values)
    mass = log_mass.exp()
    torch.testing.assert_close(mass.sum(0), torch.ones(batch))
    weighted = mass.reshape(*mass.shape, *(1,) * len(codes.event_shape))
    mean = (weighted * values).sum(0)
    torch.testing.assert_close(codes.mean, mean)
    torch.testing.assert_close(codes.variance, (weighted * values.square()).sum(0) - mean.square())
    torch.testing.assert_close(codes.entropy(), -(mass * log_mass).sum(0))


@pytest.mark.parametrize("kind", [*CODES, "straight-through"])
def test_draws_follow_the_masses(kind: str) -> None:
    if kind == "straight-through":
        codes = StraightThroughOneHot(torch.randn(2, 3), 0.7).to_event(1)
        draws = codes.rsample((20_000,))
        kind = "one-hot"
    else:
        codes = made(kind, ())
        draws = codes.sample((20_000,))
    dims = tuple(range(2, 2 + len(codes.event_shape)))
    counts = (draws.unsqueeze(1) == space(kind)).all(dims if len(dims) > 1 else -1)
    if counts.dim() > 2:
        counts = counts.all(-1)
    share = counts.double().mean(0)
    mass = codes.log_prob(space(kind)).exp()
    assert counts.sum() == 20_000, "a draw that is no code"
    error = (mass * (1 - mass) / 20_000).sqrt()
    assert ((share - mass).abs() < 4.5 * error).all()


@pytest.mark.parametrize("kind", CODES)
def test_the_kl_is_that_of_brute_force(kind: str) -> None:
    q, p = made(kind, (5,)), made(kind, ())
    values = q.enumerate_support(expand=False)
    log_q, log_p = q.log_prob(values), p.log_prob(values)
    truth = (log_q.exp() * (log_q - log_p)).sum(0)
    torch.testing.assert_close(analytic_kl(q, p), truth)
    each = analytic_kl(q.base_dist, p.base_dist)
    torch.testing.assert_close(each.sum(-1), truth)


@pytest.mark.parametrize("value", [1e4, -1e4])
@pytest.mark.parametrize("kind", CODES)
def test_codes_are_finite_in_float32(kind: str, value: float) -> None:
    shape = (4,) if kind == "binary" else (2, 3)
    pattern = torch.tensor([value, -value, 0.0, value, value, -value])
    logits = pattern[: math.prod(shape)].reshape(shape).float().requires_grad_()
    other = (-logits).detach().flip(-1)
    if kind == "binary":
        q, p = BinaryCodes.of(logits), BinaryCodes.of(other)
    else:
        q, p = OneHot(logits).to_event(1), OneHot(other).to_event(1)
    log_q = q.log_prob(q.enumerate_support())
    kl = analytic_kl(q, p)
    total = (log_q.exp() * (log_q - p.log_prob(q.enumerate_support()))).sum()
    torch.testing.assert_close(kl, total, rtol=1e-5, atol=1e-5)
    (kl + total + q.entropy() + log_q.sum()).backward()
    assert logits.grad.isfinite().all()


def test_no_kl_of_pyros_own_bits_is_changed() -> None:
    q, p = (pyro.distributions.Bernoulli(logits=torch.tensor(value)) for value in (50.0, -1e4))
    assert analytic_kl(q, p).isinf()  # torch's answer, whose probability is rounded to zero
    ours = [LogitsBernoulli(logits=torch.tensor(value)) for value in (50.0, -1e4)]
    assert analytic_kl(*ours).item() == pytest.approx(1e4)


def test_a_straight_through_draw_is_exact_and_its_gradient_relaxed() -> None:
    logits = torch.randn(50, 3, requires_grad=True)
    weight = torch.randn(50, 3)
    torch.manual_seed(5)
    z = StraightThroughOneHot(logits, 0.7).rsample()
    assert torch.equal(z.sort(-1).values, torch.tensor([0.0, 0.0, 1.0]).expand(50, 3))
    (found,) = torch.autograd.grad((z * weight).sum(), logits)
    torch.manual_seed(5)
    noise = -(-torch.rand(50, 3).log()).log()
    soft = ((logits.log_softmax(-1) + noise) / 0.7).softmax(-1)
    (expected,) = torch.autograd.grad((soft * weight).sum(), logits)
    torch.testing.assert_close(found, expected)


# ---------------------------------------------------------------------------------------- bounds


def gradients(vae: Any, value: Tensor) -> list[Tensor]:
    named = dict(vae.named_parameters())
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    assert all(gradient is not None for gradient in found), list(named)
    return list(found)


OBJECTIVES = [
    ELBO(),
    ELBO(kl="analytic"),
    ELBO(kl="sampled"),
    ELBO(particles=3),
    ELBO(kl="sampled", particles=3),
    IWAE(particles=1),
    IWAE(particles=4),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("kind", CODES)
def test_the_bound_and_its_gradient_are_those_of_brute_force(kind: str, objective: Any) -> None:
    """The mean over z is outside the logarithm, so that IWAE has nothing to gain."""
    vae = coded(kind)
    x = data_for(vae)
    joint, log_q, _ = brute_force(vae, kind, x)
    truth = -(log_q.exp() * (joint - log_q)).sum()
    found = objective(vae.model, vae.guide)(x)
    torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradients(vae, found), gradients(vae, truth), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", CODES)
def test_pyros_enumeration_agrees(kind: str) -> None:
    vae = coded(kind)
    x = data_for(vae)
    pyros: Any = TraceEnum_ELBO(max_plate_nesting=1)
    ours = ELBO().loss(vae.model, vae.guide, x)
    assert pyros.loss(vae.model, vae.guide, x) == pytest.approx(ours, rel=1e-10)
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 0.02}), TraceEnum_ELBO())
    losses = [svi.step(x) for _ in range(25)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", CODES)
def test_the_exact_posterior_closes_the_gap(kind: str) -> None:
    """Of a decoder that reads one code (or bit), p(z | x) factorises, and the encoder can be it."""
    prior, posterior = CODES[kind]()
    x = torch.tensor([[1.0], [0.0]])

    class FirstOnly(torch.nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return (z.flatten(-2)[..., :3] * torch.tensor([2.0, -1.0, 0.3])).sum(-1, keepdim=True)

    class FirstBit(torch.nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return 2.0 * z[..., :1] - 0.4

    class Exact(torch.nn.Module):
        """log p(x | first) + log p(first) as logits, and the prior's for what x does not tell."""

        def forward(self, x: Tensor) -> Tensor:
            logits = prior.weights.logits.detach()
            sign = 2.0 * x - 1.0
            if kind == "binary":
                one, zero = (torch.nn.functional.logsigmoid(sign * raw) for raw in (1.6, -0.4))
                return torch.cat([logits[:1] + one - zero, logits[1:].expand(len(x), 3)], -1)
            raw = torch.tensor([2.0, -1.0, 0.3])
            first = logits[0] + torch.nn.functional.logsigmoid(sign * raw)
            return torch.cat([first, logits[1].expand(len(x), 3)], 1)

    vae = pyrovae.VAE(
        prior=prior,
        posterior=posterior,
        likelihood=pyrovae.likelihoods.Bernoulli((1,)),
        encoder=lambda given, wanted: Exact(),
        decoder=lambda given, wanted: FirstBit() if kind == "binary" else FirstOnly(),
    )
    with torch.no_grad():
        prior.weights.logits.normal_()
    joint, _, _ = brute_force(vae, kind, x)
    evidence = joint.logsumexp(0)
    bound = ELBO().trace(vae.model, vae.guide, x)
    torch.testing.assert_close(ELBO().measure(bound).bound, evidence, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", CODES)
def test_evaluate_sums_the_codes_out(kind: str) -> None:
    vae = coded(kind)
    x = data_for(vae)
    with torch.no_grad():
        joint, log_q, given = brute_force(vae, kind, x)
    result = pyrovae.evaluate(vae, x, samples=7)
    assert result.log_prob == pytest.approx(joint.logsumexp(0).mean().item(), rel=1e-10)
    assert result.elbo == pytest.approx((log_q.exp() * (joint - log_q)).sum(0).mean().item())
    assert result.reconstruction == pytest.approx((log_q.exp() * given).sum(0).mean().item())
    assert result.log_prob_error == pytest.approx(0.0, abs=1e-6)
    torch.testing.assert_close(log_prob(vae, x, samples=3), joint.logsumexp(0))
    if kind == "binary":
        assert result.kl_per_dimension.shape == (4,)
        assert result.kl_per_dimension.sum().item() == pytest.approx(result.kl)
    else:
        assert result.kl_per_dimension is None  # it splits into codes, which are no dimensions


@pytest.mark.parametrize("kl", ["auto", "sampled"])
@pytest.mark.parametrize("kind", CODES)
def test_free_bits_floor_each_code(kind: str, kl: Any) -> None:
    vae = coded(kind)
    x = data_for(vae)
    logits, weights = logits_of(vae, x), vae.prior.weights.logits
    if kind == "binary":
        q, p = torch.sigmoid(logits), torch.sigmoid(weights)
        each = q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()
    else:
        q, p = logits.softmax(-1), weights.softmax(-1)
        each = (q * (q / p).log()).sum(-1)
    _, log_q, given = brute_force(vae, kind, x)
    floor = each.mean(0).median().item()  # so that some are below
    penalty = each.mean(0).clamp(min=floor).sum()
    truth = -((log_q.exp() * given).sum() - len(x) * penalty)
    found = ELBO(free_bits=floor, kl=kl)(vae.model, vae.guide)(x)
    torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-10)


def test_straight_through_values_are_right() -> None:
    """Bound and evidence are those of the discrete model: the draws are codes."""
    vae = coded("one-hot", posterior=StraightThroughCategorical())
    x = data_for(vae, n=3)
    with torch.no_grad():
        joint, log_q, _ = brute_force(vae, "one-hot", x)
        exact = (log_q.exp() * (joint - log_q)).sum(0)
        torch.manual_seed(8)
        for objective in (ELBO(particles=4000), ELBO(kl="sampled", particles=4000)):
            terms = objective.trace(vae.model, vae.guide, x)
            draws = terms.log_likelihood - terms.divergence(objective.kl)
            error = draws.std(0) / 4000**0.5
            assert ((objective.measure(terms).bound - exact).abs() < 4.0 * error).all()
        result = log_prob(vae, x, samples=20_000)
    evidence = joint.logsumexp(0)
    weight = (joint - log_q - evidence).exp()  # of mean one
    error = ((log_q.exp() * weight.square()).sum(0) - 1.0).div(20_000).sqrt()
    assert ((result - evidence).abs() < 4.0 * error).all()
    divergence = terms.latent["z"].kl
    torch.testing.assert_close(
        divergence[0],
        (
            log_q.exp()
            * (
                log_q
                - log_masses("one-hot", vae.prior.weights.logits.unsqueeze(0)).expand_as(log_q)
            )
        ).sum(0),
    )


@pytest.mark.parametrize("kind", CODES)
def test_what_a_model_offers_works_with_codes(kind: str) -> None:
    vae = coded(kind)
    x = data_for(vae)
    q = vae.encode(x)
    torch.testing.assert_close(
        q.mean,
        logits_of(vae, x).sigmoid() if kind == "binary" else logits_of(vae, x).softmax(-1),
    )
    assert vae.sample(3).shape == (3, 1, 4, 3)
    assert vae.sample(0, mean=True).shape == (0, 1, 4, 3)
    assert vae.reconstruct(x).shape == x.shape
    assert vae.decode(q.mean).mean.shape == x.shape


def test_a_vamp_prior_is_a_mixture_of_codes() -> None:
    vae = randomized(small_vae(VampPrior(4, components=3), BernoulliCode()))
    x = data_for(vae)
    components = log_masses("binary", vae.encoder_network(vae.prior.pseudo_inputs))
    log_p = special.logsumexp(components.detach().numpy(), axis=1) - math.log(3)
    log_q = log_masses("binary", vae.encoder_network(x)).detach().numpy()
    kl = (np.exp(log_q) * (log_q - log_p[:, None])).sum(0)
    terms = ELBO().trace(vae.model, vae.guide, x)
    found = terms.expectation(terms.divergence("auto"))
    np.testing.assert_allclose(found.detach().numpy()[0], kl, rtol=1e-9)


# -------------------------------------------------------------------------------------- refusals


def test_too_many_values_are_refused_when_the_model_is_built() -> None:
    with pytest.raises(ValueError, match=r"4\*\*7 = 16384 .* StraightThroughCategorical") as raised:
        small_vae(CategoricalPrior(4, codes=7), Categorical())
    assert "Categorical(4, codes=7)" in str(raised.value)
    with pytest.raises(ValueError, match=r"2\*\*13 = 8192 .* such as RelaxedBernoulli"):
        small_vae(BernoulliCodePrior(13), BernoulliCode())
    small_vae(CategoricalPrior(4, codes=7), StraightThroughCategorical())


@pytest.mark.parametrize(
    ("prior", "posterior", "words"),
    [
        (CategoricalPrior(3), BernoulliCode(), "such as Categorical, .* such as BernoulliCode"),
        (BernoulliCodePrior(3), StraightThroughCategorical(), "prior .* such as Categorical"),
        (StandardNormal(3), BernoulliCode(), "such as MeanFieldNormal, .* such as BernoulliCode"),
        (BernoulliCodePrior(3), MeanFieldNormal(), "such as BernoulliCode, .*StandardNormal"),
    ],
    ids=repr,
)
def test_a_refusal_names_both_and_what_would_fit(prior: Any, posterior: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        small_vae(prior, posterior)
    assert f"prior {prior!r} and posterior {posterior!r} do not fit" in str(raised.value)


def test_arguments_out_of_range_are_named() -> None:
    for classes in (1, 0, 2.0, True, "3"):
        with pytest.raises(ValueError, match="Categorical expects classes to be an integer"):
            CategoricalPrior(classes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Categorical expects codes to be a positive"):
        CategoricalPrior(3, codes=0)
    with pytest.raises(ValueError, match="BernoulliCode expects dim"):
        BernoulliCodePrior(0)
    with pytest.raises(TypeError, match="BernoulliCode expects learned to be True or False"):
        BernoulliCodePrior(2, learned=1)  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("kind", [*CODES, "straight-through"])
def test_training_raises_the_bound(kind: str) -> None:
    posterior = StraightThroughCategorical() if kind == "straight-through" else None
    vae = coded("binary" if kind == "binary" else "one-hot", posterior=posterior)
    x = data_for(coded("binary"), n=30)
    for objective in (ELBO(), IWAE(particles=3)):
        loss = objective(vae.model, vae.guide)
        optimizer = torch.optim.Adam(vae.parameters(), lr=0.03)
        values = []
        for _ in range(20):
            torch.manual_seed(1)
            optimizer.zero_grad()
            value = loss(x)
            value.backward()
            optimizer.step()
            values.append(value.item())
        assert values[-1] < values[0]
