"""Our distributions against SciPy and Pyro: densities, gradients, draws and shapes."""

import math
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import array, randomized, small_vae
from scipy import special, stats
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from pyrovae.context import Context
from pyrovae.distributions import DiagonalNormalMixture, LogitsBernoulli, mixture
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import GaussianMixture
from pyrovae.scopes import validation

K, DIM = 500, 50


def parameters(
    components: int, dim: int, *, scale: float, spread: float = 1.0, shift: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    loc = shift + spread * torch.randn(components, dim, generator=generator)
    factors = torch.empty(components, dim).uniform_(0.5, 2.0, generator=generator)
    return torch.randn(components, generator=generator), loc, scale * factors


def draws(logits: Tensor, loc: Tensor, scale: Tensor, rows: int) -> Tensor:
    """Draws of the components in turn, rounded to float32, with some far from all of them."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(rows, loc.shape[1], generator=generator)
    chosen = torch.arange(rows) % len(loc)
    near = loc[chosen] + scale[chosen] * noise
    return torch.cat([near, 3.0 * noise[: rows // 4]])


def truth(z: Tensor, logits: Tensor, loc: Tensor, scale: Tensor) -> np.ndarray:
    """The density by SciPy in float64, component by component."""
    weights = special.log_softmax(array(logits))
    scored = np.stack(
        [
            stats.norm.logpdf(array(z), m, s).sum(-1) + weight
            for m, s, weight in zip(array(loc), array(scale), weights, strict=True)
        ],
        axis=-1,
    )
    return np.asarray(special.logsumexp(scored, axis=-1))


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 0.1, 1.0, 10.0, 1e4])
@pytest.mark.parametrize(("spread", "shift"), [(1.0, 0.0), (100.0, 0.0), (1.0, 1000.0)])
def test_float32_density_is_scipys_over_extreme_scales(
    scale: float, spread: float, shift: float
) -> None:
    """A shift of all means costs nothing, for the expansion is about their centre.

    The bound is float32's own error, and that of the expansion in float64.
    """
    given = parameters(K, DIM, scale=scale, spread=spread, shift=shift)
    z = draws(*given, rows=60)
    scored = DiagonalNormalMixture(*given).log_prob(z)
    assert scored.dtype == torch.float32
    assert bool(scored.isfinite().all())
    expansion = DIM * 1e-16 * (3.0 * spread / scale) ** 2
    np.testing.assert_allclose(array(scored), truth(z, *given), rtol=3e-7, atol=1e-4 + expansion)


@pytest.mark.parametrize("exponent", [-18, -3, 3, 18])
def test_far_values_and_their_gradients_are_finite(exponent: int) -> None:
    logits, loc, scale = (p.requires_grad_() for p in parameters(7, 3, scale=1.0))
    z = torch.full((2, 3), 10.0**exponent, requires_grad=True)
    score = DiagonalNormalMixture(logits, loc, scale).log_prob(z)
    assert bool(score.isfinite().all())
    for gradient in torch.autograd.grad(score.sum(), (z, logits, loc, scale)):
        assert bool(gradient.isfinite().all())


def test_gradients_are_right(float64: torch.dtype) -> None:
    logits, loc, scale = (p.double().requires_grad_() for p in parameters(4, 3, scale=0.7))
    z = torch.randn(2, 5, 3, requires_grad=True)

    def density(z: Tensor, logits: Tensor, loc: Tensor, scale: Tensor) -> Any:
        return DiagonalNormalMixture(logits, loc, scale).log_prob(z)

    assert torch.autograd.gradcheck(density, (z, logits, loc, scale))
    plain = dist.MixtureSameFamily(
        dist.Categorical(logits=logits), dist.Normal(loc, scale).to_event(1)
    )
    torch.testing.assert_close(
        torch.autograd.grad(density(z, logits, loc, scale).sum(), (z, logits, loc, scale)),
        torch.autograd.grad(plain.log_prob(z).sum(), (z, logits, loc, scale)),
        rtol=1e-11,
        atol=1e-11,
    )


class _Largest(TorchDispatchMode):
    """Note the largest tensor that an operation makes."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_no_tensor_of_batch_components_and_dimensions_is_made() -> None:
    """Nor in a plate of data and particles, where Pyro expands the distribution."""
    given = parameters(K, DIM, scale=1.0)
    z = torch.randn(3, 100, DIM)
    made = DiagonalNormalMixture(*given).expand((100,)).expand((3, 100))
    with _Largest() as largest:
        made.log_prob(z)
    assert largest.elements == 3 * 100 * K
    with _Largest() as largest:
        made.sample()
    assert largest.elements <= 3 * 100 * K


def test_autocast_changes_nothing() -> None:
    given = parameters(20, 8, scale=0.05)
    z = draws(*given, rows=30)
    made = DiagonalNormalMixture(*given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = made.log_prob(z)
    assert torch.equal(within, made.log_prob(z))


def test_it_is_recorded_as_a_graph() -> None:
    given = parameters(6, 2, scale=1.0)

    def step(z: Tensor, logits: Tensor, loc: Tensor, scale: Tensor) -> Any:
        leaves = [p.detach().requires_grad_() for p in (z, logits, loc, scale)]
        with validation(enabled=False):
            score = DiagonalNormalMixture(*leaves[1:]).log_prob(leaves[0])
        return score.detach(), torch.autograd.grad(score.sum(), leaves)

    z = torch.randn(9, 2)
    graph = make_fx(step, tracing_mode="fake")(torch.zeros(9, 2), *parameters(6, 2, scale=2.0))
    torch.testing.assert_close(graph(z, *given), step(z, *given), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
def test_shapes(batch: tuple[int, ...]) -> None:
    logits, loc, scale = parameters(4, 6, scale=1.0)
    shaped = (logits, loc.view(4, 3, 2), scale.view(4, 3, 2))
    made = DiagonalNormalMixture(*shaped, event_dim=2, validate_args=False)
    assert made.event_shape == (3, 2)
    assert made.log_prob(torch.zeros(*batch, 3, 2)).shape == batch
    grown = made.expand((5, 1)).expand((5, 3))
    assert grown.log_prob(torch.zeros(3, 2)).shape == (5, 3)
    assert grown.sample((7,)).shape == (7, 5, 3, 3, 2)
    flat = DiagonalNormalMixture(logits, loc, scale)
    value = torch.randn(5, 3, 3, 2)
    torch.testing.assert_close(grown.log_prob(value), flat.log_prob(value.flatten(-2)))
    assert grown.mean.shape == grown.variance.shape == (5, 3, 3, 2)


def test_a_batch_of_mixtures_is_scored_element_by_element() -> None:
    logits, loc, scale = torch.randn(5, 4), torch.randn(5, 4, 2), torch.rand(5, 4, 2) + 0.5
    made = DiagonalNormalMixture(logits, loc, scale)
    assert made.batch_shape == (5,)
    z = made.sample((3,))
    alone = [DiagonalNormalMixture(*row) for row in zip(logits, loc, scale, strict=True)]
    expected = torch.stack([one.log_prob(z[:, i]) for i, one in enumerate(alone)], dim=1)
    torch.testing.assert_close(made.log_prob(z), expected)
    torch.testing.assert_close(made.expand((3, 5)).log_prob(z), expected)


def test_draws_have_the_moments_of_the_mixture() -> None:
    """Each of 4 moments of 40 000 draws within 4.5 standard errors: false alarm below 3e-5."""
    count = 40_000
    logits, loc, scale = parameters(3, 2, scale=0.5)
    made = DiagonalNormalMixture(logits, loc, scale).expand((2,))
    torch.manual_seed(0)
    z = made.sample((count // 2,)).flatten(0, 1)
    error = (made.variance[0] / count).sqrt()
    assert bool(((z.mean(0) - made.mean[0]).abs() < 4.5 * error).all())
    squares = (z - made.mean[0]).square()
    error = squares.std(0) / math.sqrt(count)
    assert bool(((squares.mean(0) - made.variance[0]).abs() < 4.5 * error).all())


def test_it_checks_its_arguments() -> None:
    logits, loc, scale = parameters(3, 2, scale=1.0)
    with pytest.raises(ValueError, match="scale"):
        DiagonalNormalMixture(logits, loc, -scale, validate_args=True)
    with pytest.raises(ValueError, match="component"):
        DiagonalNormalMixture(torch.zeros(4), loc, scale)
    made = DiagonalNormalMixture(logits, loc, scale, validate_args=True)
    with pytest.raises(ValueError, match="support"):
        made.log_prob(torch.tensor([[math.nan, 0.0]]))


def test_a_mixture_takes_the_cheap_form_only_for_diagonal_normals() -> None:
    equal, loc = torch.zeros(3), torch.randn(3, 2)
    factor = torch.eye(2).expand(3, 2, 2)
    assert type(mixture(equal, dist.Normal(loc, 1.0).to_event(1))) is DiagonalNormalMixture
    for other in (
        dist.MultivariateNormal(loc, scale_tril=factor),
        dist.Laplace(loc, 1.0).to_event(1),
        dist.Normal(loc, 1.0).mask(False).to_event(1),
    ):
        assert not isinstance(mixture(equal, other), DiagonalNormalMixture)
    scalars = mixture(equal, dist.Normal(loc[:, 0], 1.0))  # no event: there is nothing to sum
    assert scalars.log_prob(torch.zeros(4)).shape == (4,)


def test_the_priors_are_of_the_cheap_form() -> None:
    prior = randomized(GaussianMixture(4, components=5))
    assert isinstance(prior(Context()), DiagonalNormalMixture)
    vae = small_vae("VampPrior", MeanFieldNormal())
    assert isinstance(vae.prior(Context(encode=vae.encode)), DiagonalNormalMixture)
    with pyro.plate("data", 5):
        z = pyro.sample("z", prior(Context()))
    assert z.shape == (5, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.1, 3.0, 1e4])
def test_bernoulli_events_are_scored_as_scipy_does(dtype: torch.dtype, spread: float) -> None:
    """Once in parts, without a gradient, and once as Pyro does it, with one."""
    generator = torch.Generator().manual_seed(2)
    logits = spread * torch.randn(5, 900, 2, 300, generator=generator, dtype=dtype)
    x = (torch.rand(900, 2, 300, generator=generator) < 0.5).to(dtype)
    expected = -np.logaddexp(0.0, array(logits) * (1.0 - 2.0 * array(x)))
    made = LogitsBernoulli(logits=logits).expand((5, 900, 2, 300)).to_event(2)
    assert made.event_shape == (2, 300)
    with torch.no_grad():
        scored = made.log_prob(x)
    assert scored.dtype == dtype
    precise = {"rtol": 2e-6, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-13}
    np.testing.assert_allclose(array(scored), expected.sum((-1, -2)), **precise)
    torch.testing.assert_close(made.log_prob(x), scored)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize("given", [(), (3,), (1,)])
def test_bernoulli_events_of_any_shape(batch: tuple[int, ...], given: tuple[int, ...]) -> None:
    """Whatever broadcasts is scored as Pyro scores it."""
    logits = torch.randn(*batch, 4, 2)
    x = (torch.rand(*given, 4, 2) < 0.5).float()
    ours = LogitsBernoulli(logits=logits, validate_args=False).to_event(2)
    pyros = dist.Bernoulli(logits=logits, validate_args=False).to_event(2)
    with torch.no_grad():
        torch.testing.assert_close(ours.log_prob(x), pyros.log_prob(x))
        torch.testing.assert_close(ours.log_prob(x.double()), pyros.log_prob(x.double()))
    assert type(ours.expand((7, *batch))) is type(ours)


def test_bernoulli_keeps_its_gradient_checks_and_masks() -> None:
    logits = torch.randn(6, 4, requires_grad=True)
    x = torch.ones(6, 4)
    assert LogitsBernoulli(logits=logits).to_event(1).log_prob(x).requires_grad
    with torch.no_grad():
        with pytest.raises(ValueError, match="support"):
            LogitsBernoulli(logits=logits, validate_args=True).to_event(1).log_prob(0.5 * x)
        masked = LogitsBernoulli(logits=logits).mask(torch.zeros(6, 4, dtype=torch.bool))
        assert torch.equal(masked.to_event(1).log_prob(x), torch.zeros(6))
        nan = LogitsBernoulli(logits=torch.full((2,), math.nan), validate_args=False).to_event(1)
        assert bool(nan.log_prob(torch.ones(2)).isnan())
    with pytest.raises(ValueError, match="reinterpreted_batch_ndims"):
        LogitsBernoulli(logits=logits).to_event(3)
