"""Contract of every prior, likelihood and posterior, against SciPy and by integration.

Statistical checks use fixed seeds; each has a false-alarm rate of 1e-6 or less.
"""

from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import (
    CONTEXT,
    LIKELIHOODS,
    POSTERIORS,
    PRIORS,
    array,
    bound,
    latent_shape,
    partner,
    randomized,
)
from measures import LINES, SIZES, nodes
from scipy import stats

from pyrovae.context import Context
from pyrovae.distributions import Foreign
from pyrovae.likelihoods import Normal
from pyrovae.objectives import analytic_kl

pytestmark = pytest.mark.usefixtures("float64")

BATCHES = [(), (3,), (2, 3), (1,)]
ALPHA = 1e-6
Z = {**PRIORS, **{f"q {name}": case for name, case in POSTERIORS.items()}}
LATENT = [name for name, case in POSTERIORS.items() if not case.alone]
CONDITIONAL = [*LIKELIHOODS, *(f"q {name}" for name in LATENT)]
DENSE = [f"q {name}" for name in LATENT if not POSTERIORS[name].point]
PRIOR = [name for name, case in PRIORS.items() if not case.alone]


def case_of(name: str) -> Any:
    return LIKELIHOODS[name] if name in LIKELIHOODS else Z[name]


def part_of(name: str, size: int = 0) -> Any:
    """A part for one event of a size, a likelihood's three by default, a latent's its least + 1."""
    if name in LIKELIHOODS:
        return LIKELIHOODS[name].make((size or 3,))
    sizes = Z[name].sizes
    return bound(name, size or sizes[min(1, len(sizes) - 1)])


def raw_for(part: Any, batch: tuple[int, ...], spread: float = 0.8) -> torch.Tensor:
    return spread * torch.randn(*batch, *part.head.out_shape(part.event_shape))


def distribution(name: str, size: int) -> Any:
    """A distribution of one event of a given size, with everything away from zero."""
    torch.manual_seed(size)
    part = randomized(part_of(name, size))
    if name in PRIORS:
        return part(CONTEXT)
    return part(raw_for(part, ()).detach(), Context())


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CONDITIONAL)
def test_shapes_and_oracle(name: str, batch: tuple[int, ...]) -> None:
    case = case_of(name)
    part = randomized(part_of(name))
    raw = raw_for(part, batch)
    made = part(raw, Context())
    assert (made.batch_shape, made.event_shape) == (batch, part.event_shape)
    value = made.sample()
    assert value.shape == batch + part.event_shape
    score = made.log_prob(value)
    assert score.shape == batch
    assert score.dtype == torch.float64
    if case.oracle is None:  # of a flow; its own file takes the Jacobian
        return
    truth = case.oracle(part, array(raw), array(value))
    np.testing.assert_allclose(array(score), truth, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_an_empty_batch_is_drawn(name: str) -> None:
    """torch can neither validate nor score an empty event, but it draws one."""
    part = part_of(name)
    with pyro.validation_enabled(False):
        made = part(raw_for(part, (0,)), Context())
        assert made.batch_shape == (0,)
        assert made.sample().shape == (0, *part.event_shape)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 1, 1), (4, 3)])
def test_likelihood_of_images(name: str, shape: tuple[int, ...]) -> None:
    """The oracle splits the raw numbers along the first dimension of the event, as documented."""
    part = randomized(LIKELIHOODS[name].make(shape))
    raw = raw_for(part, (4,))
    made = part(raw, Context())
    value = made.sample()
    truth = LIKELIHOODS[name].oracle(part, array(raw), array(value))
    np.testing.assert_allclose(array(made.log_prob(value)), truth, rtol=1e-9)


@pytest.mark.parametrize(("name", "dim"), [(n, d) for n in PRIOR for d in PRIORS[n].sizes])
def test_prior_against_oracle(name: str, dim: int) -> None:
    prior = randomized(bound(name, dim))
    made = prior(CONTEXT)
    shape = latent_shape(PRIORS[name].kind, dim)
    assert (made.batch_shape, made.event_shape, prior.event_shape) == ((), shape, shape)
    z = made.sample((4, 5))
    if PRIORS[name].kind == "vectors":  # farther out than its own draws
        z = 2.0 * torch.randn(4, 5, dim)
    if PRIORS[name].oracle is None:
        return
    truth = PRIORS[name].oracle(prior, None, array(z))
    np.testing.assert_allclose(array(made.log_prob(z)), truth, rtol=1e-9)


def kind_is_vectors(name: str) -> bool:
    return name in LIKELIHOODS or Z[name].kind == "vectors"


CONTINUOUS = [
    n for n in [*PRIOR, *LIKELIHOODS, *DENSE] if kind_is_vectors(n) and not case_of(n).outcomes
]
OTHER = [(n, d) for n in [*PRIOR, *DENSE] if not kind_is_vectors(n) for d in SIZES[Z[n].kind]]


@pytest.mark.parametrize(("name", "size"), OTHER)
def test_mass_is_one_and_draws_follow_it(name: str, size: int) -> None:
    """By quadrature over the kind of z, and the means of some functions of the draws."""
    kind = Z[name].kind
    made = distribution(name, size)
    points, weights = nodes(kind, size)
    mass = made.log_prob(points).exp() * weights
    assert mass.sum().item() == pytest.approx(1.0, abs=2e-3)
    draws = made.sample((6000,))
    flat, at = draws.flatten(1), points.flatten(1)
    for function in (
        lambda z: z,
        lambda z: z.square(),
        lambda z: (2 * z).cos(),
        lambda z: z[:, :1] * z,
    ):
        values = function(flat)
        error = values.std(0) / 6000**0.5
        expected = (mass.unsqueeze(-1) * function(at)).sum(0) / mass.sum()
        assert ((values.mean(0) - expected).abs() <= 5.0 * error + 1e-3).all()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_density_integrates_to_one(name: str) -> None:
    """Trapezoid rule along the support: the error is below these even at a kink."""
    x, weight = LINES[case_of(name).line].nodes(4801)
    mass = (distribution(name, 1).log_prob(x.unsqueeze(-1)).exp() * weight).sum()
    assert mass.item() == pytest.approx(1.0, abs=1e-4)
    x, weight = LINES[case_of(name).line].nodes(481)
    density = distribution(name, 2).log_prob(torch.cartesian_prod(x, x)).exp()
    total = (density * torch.outer(weight, weight).flatten()).sum()
    assert total.item() == pytest.approx(1.0, abs=2e-3)  # a spline's kinks leave 1.1e-3


@pytest.mark.parametrize("name", [n for n, case in LIKELIHOODS.items() if case.outcomes])
def test_mass_sums_to_one_and_draws_follow_it(name: str) -> None:
    outcomes, total = LIKELIHOODS[name].outcomes, LIKELIHOODS[name].total
    made = distribution(name, 2)
    values = torch.tensor(outcomes)
    space = torch.cartesian_prod(values, values)
    mass = made.log_prob(space).exp()
    if total is not None:  # the mass is of x given its sum
        mass = torch.where(space.sum(-1) == total, mass, 0.0)
    assert mass.sum().item() == pytest.approx(1.0, abs=1e-12)
    draws = made.sample((4000,))
    places = torch.searchsorted(values, draws).clamp(max=len(values) - 1)
    assert torch.equal(values[places], draws), "a draw outside the support"
    joint = places[:, 0] * len(values) + places[:, 1]
    counts = torch.bincount(joint, minlength=len(space))
    expected = 4000 * mass
    rare = expected < 5  # too few for chi-square: taken together
    merged = [torch.cat([t[~rare], t[rare].sum(0, keepdim=True)]) for t in (counts, expected)]
    keep = merged[1] > 1e-9
    test = stats.chisquare(array(merged[0][keep]), array(merged[1][keep]))
    assert test.pvalue > ALPHA


@pytest.mark.parametrize("name", CONTINUOUS)
def test_draws_follow_the_density(name: str) -> None:
    """In one dimension by Kolmogorov-Smirnov, in two by a mean importance ratio of one."""
    line = LINES[case_of(name).line]
    made = distribution(name, 1)
    x, weight = line.nodes(4801)
    part = made.log_prob(x.unsqueeze(-1)).exp() * weight
    cdf = part.cumsum(0) - 0.5 * part  # half of a node's share lies beyond it
    draws = array(made.sample((3000,)).squeeze(-1))
    test = stats.kstest(draws, lambda v: np.interp(v, array(x), array(cdf)))
    assert test.pvalue > ALPHA

    made = distribution(name, 2)
    pilot = line.to_line(made.sample((2000,)))
    inner = dist.Normal(pilot.mean(0), 0.5 * pilot.std(0)).to_event(1)
    draws = made.sample((8000,))
    along = line.to_line(draws)
    proposed = inner.log_prob(along) - line.log_slope(along).sum(-1)
    ratio = (proposed - made.log_prob(draws)).exp()
    error = ratio.std() / 8000**0.5
    assert error < 0.1, "the check would see nothing"
    assert (ratio.mean() - 1.0).abs() < 5.0 * error


def assert_moved(name: str, key: str, parameter: torch.Tensor) -> None:
    """Every number moves, but where some are masked: there some do, and no tensor is left out."""
    assert parameter.grad is not None, key
    if name not in LIKELIHOODS and Z[name].sparse:
        assert (parameter.grad != 0).any(), key
    else:
        assert (parameter.grad != 0).all(), key


@pytest.mark.parametrize("name", PRIOR)
def test_gradient_reaches_every_parameter_of_a_prior(name: str) -> None:
    prior = randomized(part_of(name))
    made = prior(CONTEXT)
    vectors = PRIORS[name].kind == "vectors"
    z = torch.randn(7, *prior.event_shape) if vectors else made.sample((40,)).detach()
    score = made.log_prob(z).sum()
    if not list(prior.parameters()):
        assert not score.requires_grad
        return
    score.backward()
    for key, parameter in prior.named_parameters():
        assert_moved(name, key, parameter)


@pytest.mark.parametrize("name", [*LIKELIHOODS, *DENSE])
def test_gradient_reaches_every_raw_number_and_parameter(name: str) -> None:
    part = randomized(part_of(name))
    raw = raw_for(part, (4,)).requires_grad_()
    made = part(raw, Context())
    draws = made.sample((1 if kind_is_vectors(name) else 40,))
    made.log_prob(draws).sum().backward()
    assert (raw.grad != 0).all(), f"raw numbers at {torch.nonzero(raw.grad == 0)}"
    for key, parameter in part.named_parameters():
        assert_moved(name, key, parameter)


EXTREMES = [(1e4,), (-1e4,), (1e4, -1e4), (-1e4, 1e4), (1e4, 0.0, -1e4)]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, size) for name in LIKELIHOODS for size in (1, 2, 3)),
        *((name, size) for name in DENSE for size in Z[name].sizes),
    ],
)
def test_extreme_raw_numbers_stay_finite(name: str, size: int) -> None:
    part = part_of(name, size).float()
    (count,) = part.head.out_shape(part.event_shape)
    prior = None if name in LIKELIHOODS else bound(partner(name), size).float()(CONTEXT)
    for pattern in EXTREMES:
        raw = torch.tensor((pattern * count)[:count], dtype=torch.float32).requires_grad_()
        made = part(raw, Context())
        draw = made.rsample() if made.has_rsample else made.sample()
        score = made.log_prob(draw)
        assert score.dtype == torch.float32
        assert score.isfinite(), (pattern, score)
        total = score
        if prior is not None:
            kl = analytic_kl(made, prior)
            kl = score - prior.log_prob(draw) if kl is None else kl
            assert kl.isfinite(), (pattern, kl)
            total = total + kl
        (gradient,) = torch.autograd.grad(total, raw, retain_graph=True)
        assert gradient.isfinite().all(), (pattern, gradient)


@pytest.mark.parametrize("value", [1e4, -1e4])
@pytest.mark.parametrize("name", PRIOR)
def test_extreme_parameters_of_a_prior_stay_finite(name: str, value: float) -> None:
    prior = part_of(name, PRIORS[name].sizes[-1]).float()
    for parameter in prior.parameters():
        torch.nn.init.constant_(parameter, value)
    made = prior(CONTEXT)
    score = made.log_prob(made.sample())
    if list(prior.parameters()):
        score.backward()
    assert score.isfinite()
    assert all(p.grad.isfinite().all() for p in prior.parameters())


@pytest.mark.parametrize("name", [n for n, case in LIKELIHOODS.items() if not case.composite])
def test_observed_equals_deletion(name: str) -> None:
    """Masked entries count for nothing in value and gradient, whatever stands there."""
    case = LIKELIHOODS[name]
    part = randomized(case.make((5,)))
    kept = torch.tensor([True, False, True, True, False])
    raw = raw_for(part, (3,)).requires_grad_()
    x = part(raw, Context()).sample()
    other = torch.where(kept, x, part(raw, Context()).sample())
    scores = [part(raw, Context(observed=kept.expand(3, 5))).log_prob(v) for v in (x, other)]
    assert torch.equal(*scores)
    (gradient,) = torch.autograd.grad(scores[0].sum(), raw)

    small = case.make((3,))
    kept_by_name = dict([*small.named_parameters(), *small.named_buffers()])
    for key, tensor in [*part.named_parameters(), *part.named_buffers()]:
        of_elements = tensor.shape[:1] == (5,)
        kept_by_name[key].data = tensor.data[kept] if of_elements else tensor.data
    columns = kept.repeat(len(raw[0]) // 5)
    deleted = raw.detach()[:, columns].requires_grad_()
    score = small(deleted, Context()).log_prob(x[:, kept])
    near = {"rtol": 1e-9, "atol": 1e-12} if case.dependent else {"rtol": 1e-14, "atol": 0.0}
    torch.testing.assert_close(scores[0], score, **near)
    (expected,) = torch.autograd.grad(score.sum(), deleted)
    near = near if case.dependent else {"rtol": 0.0, "atol": 0.0}
    torch.testing.assert_close(gradient[:, columns], expected, **near)
    assert (gradient[:, ~columns] == 0).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_nothing_observed_scores_zero(name: str) -> None:
    part = LIKELIHOODS[name].make((5,))
    raw = raw_for(part, (3,))
    context = Context(observed=torch.zeros(3, 5, dtype=torch.bool))
    x = torch.zeros(3, 5) + part.fill
    assert torch.equal(part(raw, context).log_prob(x), torch.zeros(3))


@pytest.mark.parametrize("name", CONDITIONAL)
def test_wrong_raw_shapes_name_both(name: str) -> None:
    part = part_of(name)
    (size,) = part.head.out_shape(part.event_shape)
    for wrong in [(size + 1,), (3, size - 1), (), (size, size + 2)]:
        with pytest.raises(ValueError, match="expects raw numbers") as raised:
            part(torch.zeros(wrong), Context())
        assert str(wrong) in str(raised.value)
        assert f"[..., {size}]" in str(raised.value)


def test_a_fixed_scale_is_exact_in_double_precision() -> None:
    torch.set_default_dtype(torch.float32)  # as a user has it, who then calls .double()
    likelihood = Normal((1,), scale=0.1).double()
    score = likelihood(torch.zeros(1).double(), Context()).log_prob(torch.ones(1).double())
    torch.set_default_dtype(torch.float64)
    assert score.item() == pytest.approx(stats.norm.logpdf(1.0, 0.0, 0.1), rel=1e-12)


def test_a_kept_score_carries_its_gradient() -> None:
    """A draw made without gradients, scored with them: the score must not be the kept one."""

    class Scoring(torch.distributions.Normal):
        def rsample_and_log_prob(self, shape: Any = ()) -> Any:
            z = self.rsample(shape)
            return z, self.log_prob(z)

    loc = torch.zeros(3, requires_grad=True)
    made = Foreign(Scoring(loc, 1.0))
    with torch.no_grad():
        z = made.rsample()
    assert made.log_prob(z).requires_grad


def test_a_mixture_of_foreign_distributions() -> None:
    """A mixture hands its components a value of one component; flows want it for each of them."""

    class Strict(torch.distributions.Normal):
        def log_prob(self, value: Any) -> Any:
            return super().log_prob(value) + self.loc.expand(value.shape) * 0.0

    loc = torch.randn(4)
    values = torch.randn(7)
    equal = dist.Categorical(logits=torch.zeros(4))
    mixed = dist.MixtureSameFamily(equal, Foreign(Strict(loc, 1.0)))
    plain = dist.MixtureSameFamily(equal, dist.Normal(loc, 1.0))
    assert torch.equal(mixed.log_prob(values), plain.log_prob(values))
