"""The discretised logistic and its mixture: masses that sum to one, moments, quantiles, starts."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import DiscretizedLogistic, DiscretizedLogisticMixture
from pyrovae.likelihoods import Binomial
from pyrovae.likelihoods import DiscretizedLogistic as Levels
from pyrovae.likelihoods import DiscretizedLogisticMixture as LevelsMixture
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

DTYPES = [torch.float32, torch.float64]
COUNTS = [1, 2, 16, 255, 4095]
SCALES = [1e-4, 1e-2, 0.1, 1.0, 10.0, 1e3, 1e6]


def locations(n: int) -> list[float]:
    return [-1e6, -50.0, -1.0, 0.0, 0.3, 0.5, n / 3, n / 2, n - 0.5, n, n + 3.0, n + 1e5]


def everywhere(n: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.tensor(locations(n), dtype=dtype)[:, None],
        torch.tensor(SCALES, dtype=dtype)[None, :],
    )


def levels_of(n: int, dtype: torch.dtype, dims: int = 2) -> torch.Tensor:
    return torch.arange(n + 1, dtype=dtype).reshape(-1, *(1,) * dims)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", COUNTS)
def test_the_levels_sum_to_one_at_any_location_and_scale(n: int, dtype: torch.dtype) -> None:
    made = DiscretizedLogistic(*everywhere(n, dtype), total_count=n)
    scores = made.log_prob(levels_of(n, dtype))
    assert scores.isfinite().all()
    error = 1e-6 if dtype == torch.float32 else 1e-14
    assert (scores.double().exp().sum(0) - 1.0).abs().max() < error


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1, 16, 255])
def test_the_levels_of_a_mixture_sum_to_one(n: int, dtype: torch.dtype) -> None:
    loc, scale = everywhere(n, dtype)
    loc = torch.stack([loc, loc.flip(0), 0.5 * loc], -1)
    scale = torch.stack([scale, scale, scale.flip(1)], -1)
    for logits in ([0.0, 0.0, 0.0], [50.0, -50.0, 1.0], [-1e4, 1e4, 1e4]):
        weights = torch.tensor(logits, dtype=dtype)
        made = DiscretizedLogisticMixture(weights, loc, scale, total_count=n)
        scores = made.log_prob(levels_of(n, dtype))
        assert scores.isfinite().all()
        error = 2e-6 if dtype == torch.float32 else 1e-14
        assert (scores.double().exp().sum(0) - 1.0).abs().max() < error


def test_the_mass_far_in_the_tails() -> None:
    """Where the difference of distribution functions is 0 - 0 in float64 the score is exact.

    In a tail `sigma(b) - sigma(a) = e^b - e^a` but for terms of e^(2 b).
    """
    loc, scale = torch.tensor([300.0, 1e5]), torch.tensor([0.05, 2.0])
    made = DiscretizedLogistic(loc, scale, total_count=255)
    x = torch.tensor([10.0, 77.0])
    upper = (x.double() + 0.5 - loc) / scale.double()
    truth = upper + torch.log(-torch.expm1(-1.0 / scale.double()))
    torch.testing.assert_close(made.log_prob(x).double(), truth, rtol=3e-7, atol=0.0)
    mirrored = DiscretizedLogistic(255.0 - loc, scale, total_count=255)
    torch.testing.assert_close(mirrored.log_prob(255.0 - x), made.log_prob(x), rtol=1e-6, atol=0)


@pytest.mark.parametrize("raw", [1e4, -1e4, 50.0, -50.0, 0.0])
@pytest.mark.parametrize("x", [0.0, 1.0, 127.0, 254.0, 255.0])
def test_scores_and_gradients_are_finite_everywhere(raw: float, x: float) -> None:
    """At the ends of the support and between, whatever the raw numbers, in float32."""
    for part in (Levels((1,)), LevelsMixture((1,), components=2)):
        (size,) = part.head.out_shape((1,))
        for signs in (1.0, -1.0):
            given = torch.tensor([raw * signs**i for i in range(size)], requires_grad=True)
            score = part(given, Context()).log_prob(torch.tensor([x]))
            assert score.isfinite()
            assert score <= 1e-6
            score.backward()
            assert given.grad is not None
            assert given.grad.isfinite().all()


def made_two(dtype: torch.dtype = torch.float64) -> list[Any]:
    torch.manual_seed(0)
    loc = torch.rand(7, 3, dtype=dtype) * 20 - 2
    scale = torch.rand(7, 3, dtype=dtype) * 3 + 0.05
    weights = torch.randn(7, 3, dtype=dtype)
    return [
        DiscretizedLogistic(loc[:, 0], scale[:, 0], total_count=16),
        DiscretizedLogisticMixture(weights, loc, scale, total_count=16),
        DiscretizedLogisticMixture(weights[:, :1], loc[:, :1], scale[:, :1], total_count=16),
    ]


@pytest.mark.parametrize("made", made_two(), ids=["single", "mixture", "mixture of one"])
def test_moments_quantiles_and_the_distribution_function(made: Any) -> None:
    x = levels_of(16, torch.float64, dims=1)
    mass = made.log_prob(x).exp()
    mean = (mass * x).sum(0)
    torch.testing.assert_close(made.mean, mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(made.variance, (mass * (x - mean) ** 2).sum(0), rtol=1e-10, atol=0)
    torch.testing.assert_close(made.cdf(x), mass.cumsum(0), rtol=1e-10, atol=1e-12)
    assert torch.equal(made.cdf(x + 0.7), made.cdf(x))
    assert torch.equal(made.cdf(torch.tensor(-0.5).double()), torch.zeros(7).double())
    for probability in (0.0, 1e-6, 0.1, 0.5, 0.9, 1.0 - 1e-6, 1.0):
        at = torch.full((7,), probability, dtype=torch.float64)
        lowest = (mass.cumsum(0) < probability).sum(0).clamp(max=16).double()
        assert torch.equal(made.icdf(at), lowest), probability
    several = torch.rand(5, 7, dtype=torch.float64)
    assert made.icdf(several).shape == (5, 7)


def test_a_mixture_of_one_is_its_component() -> None:
    single, _, mixture = made_two()
    x = levels_of(16, torch.float64, dims=1)
    torch.testing.assert_close(mixture.log_prob(x), single.log_prob(x), rtol=1e-14, atol=0)


@pytest.mark.parametrize("made", made_two(torch.float32), ids=["single", "mixture", "one"])
def test_draws_have_the_masses(made: Any) -> None:
    """Chi-square for each of seven elements, levels with few draws together: false alarm 7e-7."""
    torch.manual_seed(2)
    drawn = made.expand((2, 7)).sample((4000,)).transpose(0, 1).reshape(2, 4000, 7).flatten(0, 1)
    mass = made.log_prob(levels_of(16, torch.float32, dims=1)).exp().double()
    for element in range(7):
        counts = torch.bincount(drawn[:, element].long(), minlength=17).double()
        expected = 8000 * mass[:, element] / mass[:, element].sum()
        rare = expected < 5
        pairs = [torch.cat([t[~rare], t[rare].sum(0, keepdim=True)]) for t in (counts, expected)]
        keep = pairs[1] > 1e-9
        test = stats.chisquare(*(np.asarray(t[keep]) for t in pairs), sum_check=False)
        assert test.pvalue > 1e-7


@pytest.mark.parametrize("part", [Levels((2,), total_count=9), LevelsMixture((2,), total_count=9)])
@pytest.mark.parametrize("values", [[0, 0], [9, 9], [0, 9], [3, 4], [8, 9], [0, 1]], ids=str)
def test_it_begins_at_the_mean_of_the_data(part: Any, values: list[int]) -> None:
    x = torch.tensor(values).float()[:, None].expand(2, 2)
    raw = part.prepare({"x": x})
    mean = part(raw.float(), Context()).mean
    bounded = x.mean(0).clamp(0.009, 8.991)
    torch.testing.assert_close(mean, bounded, rtol=0, atol=0.05)


def test_inputs_are_from_minus_one_to_one() -> None:
    for part in (Levels((3,)), LevelsMixture((3,)), Binomial((3,), total_count=255)):
        assert part.inputs(torch.tensor([0.0, 127.5, 255.0])).tolist() == [-1.0, 0.0, 1.0]
        middle = part.inputs(torch.tensor(part.fill))
        assert abs(middle) < 0.01


@pytest.mark.parametrize("number", [0, -1, 2.0, "2", True, None, (2,)], ids=str)
def test_bad_counts(number: Any) -> None:
    for make in (
        lambda: Levels((2,), total_count=number),
        lambda: LevelsMixture((2,), total_count=number),
        lambda: LevelsMixture((2,), components=number),
    ):
        with pytest.raises(ValueError, match=r"(total_count|components) to be a positive integer"):
            make()


def test_other_data_are_refused_with_a_remedy() -> None:
    vae = model(Levels((3,), total_count=16))
    for wrong in (0.5, -1.0, 17.0):
        with pytest.raises(ValueError, match=r"integers from 0 to 16.*raise total_count"):
            vae.check({"x": torch.full((2, 3), wrong)})


def model(likelihood: Any) -> pyrovae.VAE:
    torch.manual_seed(0)
    return pyrovae.VAE(
        prior=StandardNormal(2),
        likelihood=likelihood,
        posterior=MeanFieldNormal(),
        encoder=MLP((16,)),
        decoder=MLP((16,)),
    )


@pytest.mark.parametrize("likelihood", [Levels, LevelsMixture])
def test_a_small_model_trains_and_takes_fewer_bits_than_no_model(likelihood: Any) -> None:
    """Levels that one number explains; a uniform guess would take `log2 256 = 8` bits each."""
    torch.manual_seed(3)
    shade = torch.rand(200, 1, 1, 1)
    x = (255 * (0.2 + 0.6 * shade) + 4 * torch.randn(200, 3, 4, 4)).round().clamp(0, 255)
    vae = model(likelihood((3, 4, 4)))
    history = pyrovae.fit(vae, x, valid=x, epochs=12, batch_size=50, seed=0)
    assert history["valid/elbo"][-1] > history["valid/elbo"][0] + 10.0
    result = pyrovae.evaluate(vae, x, samples=20)
    assert result.bits_per_dim == pytest.approx(-result.log_prob / (48 * math.log(2.0)))
    assert 3.5 < result.bits_per_dim < 7.5
