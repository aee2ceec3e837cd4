"""Priors and posteriors of plain vectors: their KLs, their edges, and what is refused.

The contract of all parts is in test_parts.py. Statistical checks use fixed seeds; those of four
standard errors have a false-alarm rate of 6e-5 each.
"""

import itertools
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import CONTEXT, array, bound, data_for, randomized, scale_of, small_vae
from scipy import integrate, stats
from torch import Tensor, nn

import pyrovae
from pyrovae.context import Context
from pyrovae.heads import raw_of
from pyrovae.objectives import ELBO, IWAE, analytic_kl, trace_terms
from pyrovae.posteriors import IsotropicNormal, LowRankNormal
from pyrovae.priors import ConditionalNormal, Laplace, Normal, StudentT
from pyrovae.schedules import Ramp

# ------------------------------------------------------------------------------------------ KLs

NORMALS = ("StandardNormal", "Normal learned", "ConditionalNormal")
FACTORISED = ("q MeanFieldNormal", "q IsotropicNormal", "q Laplace")
WHOLE = ("q LowRankNormal", "q FullRankNormal")
ANALYTIC = [
    *itertools.product(FACTORISED, (*NORMALS, "Laplace")),
    *itertools.product(WHOLE, NORMALS),
]
SAMPLED = [
    *itertools.product((*FACTORISED, *WHOLE), ("StudentT",)),
    *itertools.product(WHOLE, ("Laplace",)),
]


def pair(q_name: str, p_name: str, dim: int = 3, batch: int = 4) -> tuple[Any, Any]:
    """The two distributions, with everything away from zero."""
    torch.manual_seed(dim)
    prior = randomized(bound(p_name, dim))
    posterior = bound(q_name, dim)
    raw = 1.2 * torch.randn(batch, *posterior.head.out_shape((dim,)))
    context = Context(condition=torch.randn(batch, 3))
    return posterior(raw, context), prior(context)


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize(("q_name", "p_name"), ANALYTIC)
def test_analytic_kl_is_the_sampled_one(
    q_name: str, p_name: str, dim: int, float64: torch.dtype
) -> None:
    q, p = pair(q_name, p_name, dim)
    exact = analytic_kl(q, p)
    assert exact.shape == (4,)
    z = q.sample((40_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / 200.0
    assert (error < 0.1 + 0.05 * exact).all(), "the check would see nothing"
    assert ((ratio.mean(0) - exact).abs() < 4.0 * error + 1e-12).all()


@pytest.mark.parametrize(("q_name", "p_name"), SAMPLED)
def test_there_is_no_analytic_kl_of_the_others(q_name: str, p_name: str) -> None:
    q, p = pair(q_name, p_name)
    assert analytic_kl(q, p) is None
    vae = small_vae(p_name, q_name.removeprefix("q "))
    with pytest.raises(ValueError, match=r"kl='analytic'.* no closed form; use kl='auto'"):
        ELBO(kl="analytic")(vae.model, vae.guide)(data_for(vae))
    assert ELBO(kl="auto")(vae.model, vae.guide)(data_for(vae)).isfinite()


SETTINGS = [
    (0.0, 1.0, 0.0, 1.0),
    (1.3, 0.4, -0.5, 2.0),
    (-4.0, 3.0, 1.0, 0.5),
    (0.2, 1e-2, 0.2, 1.0),
]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("p_family", ["norm", "laplace"])
@pytest.mark.parametrize("q_family", ["norm", "laplace"])
def test_torchs_rules_of_normal_and_laplace_against_quadrature(
    q_family: str, p_family: str, setting: tuple[float, ...], float64: torch.dtype
) -> None:
    families = {"norm": dist.Normal, "laplace": dist.Laplace}
    loc, scale, at, width = setting
    q, p = getattr(stats, q_family)(loc, scale), getattr(stats, p_family)(at, width)
    edges = sorted({loc, at, *(loc + side * scale for side in (-45.0, -9.0, 9.0, 45.0))})
    edges = [edge for edge in edges if abs(edge - loc) <= 45.0 * scale]

    def integrand(z: float) -> float:
        return q.pdf(z) * (q.logpdf(z) - p.logpdf(z)) if q.pdf(z) > 0.0 else 0.0

    truth = sum(
        integrate.quad(integrand, low, high, epsabs=1e-11, epsrel=1e-11)[0]
        for low, high in itertools.pairwise(edges)
    )
    tensors = [torch.tensor(value) for value in setting]
    ours = analytic_kl(families[q_family](*tensors[:2]), families[p_family](*tensors[2:]))
    assert ours.item() == pytest.approx(truth, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize(
    ("q_name", "p_name"), [*itertools.product(FACTORISED, (*NORMALS[:2], "Laplace"))]
)
def test_the_kl_splits_into_dimensions(q_name: str, p_name: str, float64: torch.dtype) -> None:
    vae = randomized(small_vae(p_name, q_name.removeprefix("q ")), spread=0.3)
    x = data_for(vae)
    site = trace_terms(vae.model, vae.guide, (x,)).latent["z"]
    for policy in ("analytic", "sampled"):
        split = site.kl_per_dimension(policy)
        assert split.shape == (1, 5, 2)
        torch.testing.assert_close(split.sum(-1), site.divergence(policy), rtol=1e-10, atol=1e-10)
    assert ELBO(free_bits=0.1)(vae.model, vae.guide)(x).isfinite()


@pytest.mark.parametrize("pattern", [(1e4,), (-1e4,), (1e4, -1e4), (-1e4, 1e4), (1e4, 0.0, -1e4)])
@pytest.mark.parametrize(
    ("q_name", "p_name"), [pair for pair in ANALYTIC if pair[1] != "ConditionalNormal"]
)
def test_extreme_kl_is_finite(q_name: str, p_name: str, pattern: tuple[float, ...]) -> None:
    for dim in (1, 2, 3):
        prior, posterior = bound(p_name, dim), bound(q_name, dim)
        (count,) = posterior.head.out_shape((dim,))
        raw = torch.tensor((pattern * count)[:count]).requires_grad_()
        divergence = analytic_kl(posterior(raw, Context()), prior(CONTEXT))
        divergence.backward()
        assert divergence.isfinite()
        assert raw.grad.isfinite().all()


def test_our_rules_are_not_in_torchs_registry() -> None:
    q, p = pair("q LowRankNormal", "StandardNormal")
    assert analytic_kl(q, p) is not None
    with pytest.raises(NotImplementedError):
        torch.distributions.kl_divergence(q, p)


# ------------------------------------------------------------------------- posteriors, one by one


def test_the_low_rank_kl_serves_distributions_of_ones_own() -> None:
    """The rule is of torch's class, with shapes that broadcast."""
    q = torch.distributions.LowRankMultivariateNormal(
        torch.randn(5, 1, 3), torch.randn(3, 2), torch.rand(4, 3) + 0.1
    )
    p = dist.Normal(torch.randn(3), torch.rand(4, 3) + 0.5).to_event(1)
    full = torch.distributions.MultivariateNormal(q.loc, q.covariance_matrix)
    whole = torch.distributions.MultivariateNormal(
        p.base_dist.loc, torch.diag_embed(p.base_dist.variance)
    )
    truth = torch.distributions.kl_divergence(full, whole)
    torch.testing.assert_close(analytic_kl(q, p), truth, rtol=1e-4, atol=1e-4)
    assert truth.shape == (5, 4)
    assert analytic_kl(q, dist.Normal(torch.zeros(4, 3), 1.0).to_event(2)) is None


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_a_low_rank_normal_can_be_any_normal(dim: int, float64: torch.dtype) -> None:
    """With a rank of one less than z has dimensions: what a linear model's posterior needs."""
    weight = torch.randn(7, dim)
    covariance = torch.linalg.inv(torch.eye(dim) + weight.mT @ weight)
    least = torch.linalg.eigvalsh(covariance)[0]
    values, vectors = torch.linalg.eigh(covariance - least * torch.eye(dim))
    lean = (vectors * values.clamp(min=0.0).sqrt())[:, 1:] / least.sqrt()
    posterior = LowRankNormal(rank=max(dim - 1, 1))
    posterior.event_shape = (dim,)
    lean = lean if dim > 1 else torch.zeros(1, 1)
    longest = 100.0 / (dim * posterior.rank) ** 0.5
    raw = torch.cat(
        [
            torch.zeros(dim),
            raw_of(least.sqrt()).expand(dim),
            (longest * torch.atanh(lean / longest)).flatten(),
        ]
    )
    made = posterior(raw, Context())
    torch.testing.assert_close(made.covariance_matrix, covariance, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("dim", "rank"), [(2, 1), (64, 8), (512, 10)])
@pytest.mark.parametrize("pattern", ["equal", "random"])
def test_low_rank_normal_in_float32_at_its_bound(dim: int, rank: int, pattern: str) -> None:
    """V as long as it gets, its columns all alike or not: the density of a draw holds."""
    posterior = LowRankNormal(rank=rank)
    posterior.event_shape = (dim,)
    raw = torch.randn(5, (2 + rank) * dim)
    raw[:, 2 * dim :] = 1e4 if pattern == "equal" else 1e4 * raw[:, 2 * dim :].sign()
    made = posterior(raw, Context())
    lengths = (made.cov_factor.square().sum(-1) / made.cov_diag).sum(-1).sqrt()
    torch.testing.assert_close(lengths, torch.full((5,), 100.0))
    exact = dist.LowRankMultivariateNormal(
        made.loc.double(), made.cov_factor.double(), made.cov_diag.double()
    )
    z = exact.sample().float()
    error = made.log_prob(z).double() - exact.log_prob(z.double())
    assert (error.abs() < 0.005 + 5e-5 * dim).all()


def test_low_rank_normal_is_differentiable_in_its_draw() -> None:
    posterior = bound("q LowRankNormal", 3)
    raw = torch.randn(4, 12).requires_grad_()
    posterior(raw, Context()).rsample((9,)).square().sum().backward()
    assert (raw.grad != 0).all()


def test_low_rank_normal_says_what_it_expects() -> None:
    for wrong in (0, -1, 2.0, True, "2", 2**31):
        with pytest.raises(ValueError, match="LowRankNormal expects rank to be a positive integer"):
            LowRankNormal(rank=wrong)  # type: ignore[arg-type]
    posterior = LowRankNormal()
    posterior.event_shape = (2, 2)
    with pytest.raises(ValueError, match=r"expects a vector z.*\(2, 2\)"):
        posterior.bind((4,))


def test_isotropic_normal_has_one_scale() -> None:
    posterior = bound("q IsotropicNormal", 3)
    raw = torch.tensor([[1.0, 2.0, 3.0, 0.5]])
    made = posterior(raw, Context()).base_dist
    assert made.loc.tolist() == [[1.0, 2.0, 3.0]]
    np.testing.assert_allclose(array(made.scale), np.full((1, 3), scale_of(np.array(0.5))), 1e-6)
    image = IsotropicNormal()
    image.event_shape = (2, 3)
    assert image.head.out_shape((2, 3)) == (7,)
    assert image(torch.zeros(4, 7), Context()).sample().shape == (4, 2, 3)


# ---------------------------------------------------------------------------------------- priors


def test_the_learned_normal_starts_at_the_standard_one() -> None:
    z = torch.randn(50, 3)
    truth = stats.norm.logpdf(array(z)).sum(-1)
    np.testing.assert_allclose(array(Normal(3)(Context()).log_prob(z)), truth, atol=5e-3)


def test_a_learned_normal_absorbs_the_location_of_z(float64: torch.dtype) -> None:
    """The prior that maximises the bound is the moments of the aggregate posterior's draws."""
    q = dist.Normal(torch.tensor([[1.0, -2.0], [3.0, 0.0]]), torch.tensor(0.5)).to_event(1)
    prior = Normal(2)
    optimizer = torch.optim.LBFGS(prior.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = analytic_kl(q, prior(Context())).sum()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    made = prior(Context()).base_dist
    torch.testing.assert_close(made.loc, torch.tensor([2.0, -1.0]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(made.scale, torch.tensor([1.25, 1.25]).sqrt(), rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("df", [0.5, 1, 5.0, 1000.0])
def test_student_t_in_float32(df: float) -> None:
    z = torch.linspace(-30.0, 30.0, 61).unsqueeze(-1)
    ours = StudentT(1, df=df)(Context()).log_prob(z)
    truth = stats.t.logpdf(array(z), df).sum(-1)
    np.testing.assert_allclose(array(ours), truth, rtol=2e-6, atol=2e-5)
    assert StudentT(100, df=df)(Context()).sample((100,)).isfinite().all()


def test_a_fixed_number_is_exact_in_double_precision() -> None:
    """In a part made in float32, and made double later."""
    z = torch.linspace(-3.0, 3.0, 7, dtype=torch.float64).unsqueeze(-1)
    ours = Laplace(1, scale=0.1).double()(Context()).log_prob(z)
    np.testing.assert_allclose(array(ours), stats.laplace.logpdf(array(z), scale=0.1)[:, 0], 1e-13)
    ours = StudentT(1, df=2.1).double()(Context()).log_prob(z)
    np.testing.assert_allclose(array(ours), stats.t.logpdf(array(z), 2.1)[:, 0], 1e-13)


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan"), float("inf"), "1", None, True, 1e-5])
def test_numbers_out_of_range_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="Laplace expects scale to be a number of at least 0"):
        Laplace(2, scale=wrong)
    with pytest.raises(ValueError, match="StudentT expects df to be a number from 0"):
        StudentT(2, df=wrong)


@pytest.mark.parametrize("make", [Normal, Laplace, StudentT, ConditionalNormal])
@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "2", None])
def test_a_dimension_is_a_positive_integer(make: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"{make.__name__} expects dim to be a positive integer"):
        make(wrong)


# ---------------------------------------------------------------------------- conditional normal


def conditional(dim: int = 2, hidden: tuple[int, ...] = (5, 4)) -> ConditionalNormal:
    return randomized(ConditionalNormal(dim, condition=3, hidden=hidden))  # type: ignore[no-any-return]


@pytest.mark.parametrize("batch", [(), (5,), (2, 5), (1,), (0,)])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
def test_conditional_normal_against_a_network_by_hand(
    hidden: tuple[int, ...], batch: tuple[int, ...], float64: torch.dtype
) -> None:
    prior = conditional(hidden=hidden)
    y = torch.randn(*batch, 3)
    with pyro.validation_enabled(bool(y.numel())):  # ... nor validate one
        made = prior(Context(condition=y))
    assert (made.batch_shape, made.event_shape) == (batch, (2,))
    z = made.sample()
    assert z.shape == (*batch, 2)
    if not y.numel():  # torch can neither score an empty event, ...
        return
    value = array(y)
    layers = [layer for layer in prior.network if isinstance(layer, nn.Linear)]
    for layer in layers[:-1]:
        value = np.logaddexp(0.0, value @ array(layer.weight).T + array(layer.bias))
    value = value @ array(layers[-1].weight).T + array(layers[-1].bias)
    truth = stats.norm.logpdf(array(z), value[..., :2], scale_of(value[..., 2:])).sum(-1)
    np.testing.assert_allclose(array(made.log_prob(z)), truth, 1e-10)


def test_conditional_normal_reaches_its_parameters() -> None:
    prior = conditional()
    prior(Context(condition=torch.randn(9, 3))).log_prob(torch.randn(9, 2)).sum().backward()
    for name, parameter in prior.named_parameters():
        assert (parameter.grad != 0).all(), name


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_extreme_conditions_and_weights_stay_finite(value: float) -> None:
    prior = conditional()
    for parameter in prior.parameters():
        nn.init.constant_(parameter, value)
    for y in (torch.eye(3), value * torch.eye(3)):
        prior.zero_grad()
        made = prior(Context(condition=y))
        score = made.log_prob(made.sample()).sum()
        score.backward()
        assert score.isfinite()
        assert all(parameter.grad.isfinite().all() for parameter in prior.parameters())


def test_labels_are_given_one_hot_and_of_any_type() -> None:
    prior = conditional()
    y = nn.functional.one_hot(torch.tensor([0, 2, 1]), 3)
    made = [prior(Context(condition=t)).base_dist.loc for t in (y, y.float(), y.double(), y.bool())]
    assert all(torch.equal(loc, made[0]) for loc in made)
    assert prior.double()(Context(condition=y)).sample().dtype == torch.float64


@pytest.mark.parametrize("wrong", [torch.tensor([0, 2]), torch.zeros(4, 2), torch.tensor(1.0), 2])
def test_a_condition_of_another_shape(wrong: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"ConditionalNormal\(2, condition=3, .* shape \[\*batch, 3\]; got .* one-hot",
    ) as raised:
        conditional()(Context(condition=wrong))
    shape = str(tuple(wrong.shape)) if isinstance(wrong, Tensor) else "2"
    assert f"got {shape}" in str(raised.value)


def test_without_a_condition_it_says_what_would_fit() -> None:
    said = (
        r"ConditionalNormal\(2, condition=3, hidden=\(5, 4\)\) is p\(z \| y\) .* "
        r"a VAE gives its prior none, a conditional model does .* Normal\(2\) would fit"
    )
    with pytest.raises(ValueError, match=said):
        conditional()(Context())
    refused = (
        r"prior ConditionalNormal\(2, .*\) and posterior MeanFieldNormal\(\) do not fit: .* "
        r"VAE has no condition y .* such as Normal or StandardNormal, or a conditional model"
    )
    with pytest.raises(ValueError, match=refused):
        small_vae(prior=conditional())


@pytest.mark.parametrize("wrong", [0, (0,), (3, -1), (2.0,), "5", (True,)])
def test_widths_and_lengths_are_positive_integers(wrong: Any) -> None:
    with pytest.raises(ValueError, match="ConditionalNormal expects hidden to be positive integer"):
        ConditionalNormal(2, condition=3, hidden=wrong)
    with pytest.raises(ValueError, match="expects condition to be a positive integer"):
        ConditionalNormal(2, condition=wrong)


def test_conditional_normal_learns_the_normal_of_each_label(float64: torch.dtype) -> None:
    """A linear network of one-hot labels can hold any normal for each: its KL goes to zero."""
    torch.manual_seed(0)
    y = torch.eye(3)
    q = dist.Normal(torch.randn(3, 2), torch.rand(3, 2) + 0.3).to_event(1)
    prior = ConditionalNormal(2, condition=3, hidden=())
    optimizer = torch.optim.LBFGS(prior.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = analytic_kl(q, prior(Context(condition=y))).sum()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    assert closure().item() < 1e-9


def one_hot(y: Tensor) -> Tensor:
    return nn.functional.one_hot(y, 3).float()


class Conditional(nn.Module):
    """`z ~ p(z | y)`, `x ~ N(W z + b, 1)`, as programs of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.prior = ConditionalNormal(2, condition=3, hidden=(6,))
        self.decoder = nn.Linear(2, 4)

    def forward(self, x: Tensor, *, y: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", self.prior(Context(condition=one_hot(y))))
            pyro.sample("x", dist.Normal(self.decoder(z), 1.0).to_event(1), obs=x)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.posterior = bound("q MeanFieldNormal", 2)
        self.network = nn.Linear(7, 4)

    def forward(self, x: Tensor, *, y: Tensor) -> None:
        raw = self.network(torch.cat([x, one_hot(y)], -1))
        with pyro.plate("data", len(x)):
            pyro.sample("z", self.posterior(raw, Context()))


@pytest.mark.filterwarnings("ignore:poor importance weights")  # of a model before it is trained
def test_a_conditional_model_trains_and_is_scored() -> None:
    y = torch.arange(60) % 3
    x = 2.0 * torch.randn(3, 4)[y] + 0.3 * torch.randn(60, 4)
    programs = Conditional(), Encoder()
    data = {"x": x, "y": y}

    def bound_of() -> float:
        return pyrovae.evaluate(programs, data, samples=400, seed=1).elbo

    before = bound_of()
    history = pyrovae.fit(programs, data, epochs=10, batch_size=20, seed=0)
    assert bound_of() > before + 0.1
    assert history.kl == {"z": "analytic"}


# --------------------------------------------------------------------------------- deterministic


def test_a_point_is_trained_as_an_autoencoder(float64: torch.dtype) -> None:
    vae = randomized(small_vae("StandardNormal", "Deterministic"), spread=0.3)
    x = data_for(vae)
    z = vae.encoder_network(x)
    assert torch.equal(vae.encode(x).mean, z)
    truth = -vae.decode(z).log_prob(x).sum()
    for particles in (1, 3):
        loss = ELBO(beta=0, particles=particles)(vae.model, vae.guide)(x)
        torch.testing.assert_close(loss, truth, rtol=1e-12, atol=0.0)
    expected = torch.autograd.grad(truth, list(vae.parameters()))
    found = torch.autograd.grad(loss, list(vae.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    assert torch.equal(vae.reconstruct(x), vae.reconstruct(x))
    history = pyrovae.fit(vae, x, valid=x, objective=ELBO(beta=0), epochs=8, batch_size=5, seed=0)
    reconstruction = history["valid/reconstruction"]
    assert reconstruction[-1] > reconstruction[0]


@pytest.mark.parametrize("prior", ["StandardNormal", "Normal learned", "Laplace", "VampPrior"])
def test_what_needs_a_density_refuses_a_point(prior: str) -> None:
    vae = small_vae(prior, "Deterministic")
    x = data_for(vae)
    refused = (
        r"site 'z': the guide gives a point.* no density.*Wasserstein\(\).*MeanFieldNormal\(\)"
    )
    for objective in (ELBO(), ELBO(beta=0.1), ELBO(beta=Ramp(steps=3)), IWAE(particles=2)):
        with pytest.raises(ValueError, match=refused):
            objective(vae.model, vae.guide)(x)
        with pytest.raises(ValueError, match=refused):
            pyrovae.fit(vae, x, objective=objective, epochs=1, batch_size=5)
    with pytest.raises(ValueError, match=refused):
        pyrovae.evaluate(vae, x, samples=3)
    assert ELBO(beta=0)(vae.model, vae.guide)(x).isfinite()


# -------------------------------------------------------------------------------------- together

LEGAL = [
    *itertools.product(("Normal learned", "Laplace", "StudentT"), ("MeanFieldNormal", "Laplace")),
    *itertools.product(("StandardNormal", "VampPrior"), ("IsotropicNormal", "LowRankNormal")),
]


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.parametrize(("prior", "posterior"), LEGAL)
def test_a_model_is_scored_saved_and_loaded(prior: str, posterior: str, tmp_path: Any) -> None:
    vae = randomized(small_vae(prior, posterior), spread=0.2)
    x = data_for(vae)
    IWAE(particles=3).loss_and_grads(vae.model, vae.guide, x)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in vae.parameters())
    result = pyrovae.evaluate(vae, x, samples=20)
    assert result.elbo <= result.log_prob
    pyrovae.save(vae, tmp_path / "model")
    again = pyrovae.load(tmp_path / "model")
    assert repr(again) == repr(vae)
    assert pyrovae.evaluate(again, x, samples=20).log_prob == result.log_prob
