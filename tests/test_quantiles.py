"""Quantiles of p(x | z) against SciPy's, and what they are made of."""

from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from cases import LIKELIHOODS, array, randomized, scale_of
from scipy import special, stats
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import (
    Foreign,
    LogitsBinomial,
    beta_quantile,
    incomplete_beta,
)
from pyrovae.heads import Head
from pyrovae.likelihoods import Bernoulli, Beta, Binomial, Gamma, Likelihood, Normal, StudentT

LEVELS = (1e-9, 1e-3, 0.05, 0.3, 0.5, 0.8, 0.95, 0.999, 1.0 - 1e-9)


def number(part: Any, raw: dict[str, np.ndarray], name: str) -> Any:
    given = getattr(part, name)
    if given == "network":
        return scale_of(raw[name])
    return scale_of(array(getattr(part, f"raw_{name}"))) if isinstance(given, str) else given


def frozen(part: Any, raw: Tensor) -> Any:
    """SciPy's distribution of each element."""
    names = list(part.head.sizes)
    split = dict(zip(names, np.split(array(raw), len(names), -1), strict=True))
    kind = type(part).__name__
    if kind == "Bernoulli":
        return stats.bernoulli(special.expit(split["logits"]))
    if kind == "Binomial":
        return stats.binom(part.total_count, special.expit(split["logits"]))
    if kind in ("Gamma", "Beta"):
        n = number(part, split, "concentration")
        if kind == "Gamma":
            return stats.gamma(n, scale=scale_of(split["mean"]) / n)
        mean = 1e-4 + (1 - 2e-4) * special.expit(split["mean"])
        return stats.beta(mean * n, (1 - mean) * n)
    optimal = getattr(part, "scale", None) == "optimal"
    scale = 1.0 if optimal else number(part, split, "scale")
    if kind == "StudentT":
        df = number(part, split, "df") + (1.0 if isinstance(part.df, str) else 0.0)
        return stats.t(df, split["loc"], scale)
    if kind == "LogNormal":
        return stats.lognorm(scale, scale=np.exp(split["loc"]))
    return {"Normal": stats.norm, "Laplace": stats.laplace}[kind](split["loc"], scale)


OURS = [
    name
    for name in LIKELIHOODS
    if name.split()[0]
    in {"Bernoulli", "Binomial", "Normal", "Laplace", "StudentT", "LogNormal", "Gamma", "Beta"}
]


@pytest.mark.parametrize("name", OURS)
def test_quantiles_are_those_of_scipy(name: str, float64: torch.dtype) -> None:
    part = randomized(LIKELIHOODS[name].make((3,)))
    raw = torch.randn(2, *part.head.out_shape((3,)))
    truth = frozen(part, raw)
    observed = torch.tensor([True, False, True]).expand(2, 3)
    for level in LEVELS:
        for context in (Context(), Context(observed=observed)):
            found = part.quantile(part(raw, context), level)
            assert found.shape == (2, 3)
            np.testing.assert_allclose(array(found), truth.ppf(level), rtol=1e-7, atol=1e-12)
    each = torch.rand(5, 1, 3)
    found = part.quantile(part(raw, Context()), each)
    assert found.shape == (5, 2, 3)
    np.testing.assert_allclose(array(found), truth.ppf(array(each)), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", OURS)
def test_quantiles_in_float32_lie_in_the_support(name: str) -> None:
    """Under extreme raw numbers too, and for images."""
    part = LIKELIHOODS[name].make((2, 3, 2))
    shape = part.head.out_shape(part.event_shape)
    for extreme in (0.0, 1e4, -1e4):
        made = part(torch.full((4, *shape), extreme), Context())
        for level in (1e-6, 0.5, 1 - 1e-6):
            found = part.quantile(made, level)
            assert (found.shape, found.dtype) == ((4, 2, 3, 2), torch.float32)
            assert made.support.check(found).all()


@pytest.mark.parametrize("count", [1, 5, 300])
def test_counts_at_the_very_steps(count: int, float64: torch.dtype) -> None:
    """The smallest count that reaches it, also where it is reached exactly, up to rounding."""
    share = torch.tensor([0.02, 0.5, 0.9])
    truth = stats.binom(count, share.numpy())
    made = LogitsBinomial(count, logits=torch.logit(share))
    for k in range(0, count, max(1, count // 6)):
        reached = torch.as_tensor(truth.cdf(k))
        sound = (truth.pmf(k) > 1e-10) & (truth.pmf(k + 1) > 1e-10)
        for level, expected in ((reached, k), (reached * (1 + 1e-9) + 1e-12, k + 1)):
            found = made.icdf(level).numpy()
            assert (found[sound] == expected).all()
    assert made.icdf(torch.zeros(3)).tolist() == [0.0] * 3
    assert made.icdf(torch.ones(3)).tolist() == [float(count)] * 3


def test_the_ends_of_probability(float64: torch.dtype) -> None:
    raw = torch.zeros(1)
    for part, ends in (
        (Normal((1,)), (-np.inf, np.inf)),
        (StudentT((1,)), (-np.inf, np.inf)),
        (Gamma((1,)), (0.0, np.inf)),
        (Beta((1,)), (0.0, 1.0)),
        (Bernoulli((1,)), (0.0, 1.0)),
        (Binomial((1,), total_count=4), (0.0, 4.0)),
    ):
        made = part(raw, Context())
        found = [part.quantile(made, end).item() for end in (0, 1)]
        assert found == pytest.approx(ends, abs=1e-15)


def test_the_incomplete_beta_function() -> None:
    """Against SciPy over eight orders of magnitude of both parameters, and its inverse."""
    a, b = 10.0 ** (8.0 * torch.rand(2, 600, dtype=torch.float64) - 4.0)
    x = torch.rand(600, dtype=torch.float64)
    below, above = incomplete_beta(a, b, x.log(), torch.log1p(-x))
    arguments = a.numpy(), b.numpy(), x.numpy()
    np.testing.assert_allclose(below.numpy(), special.betainc(*arguments), atol=1e-11)
    np.testing.assert_allclose(above.numpy(), special.betaincc(*arguments), atol=1e-11)
    log_x, log_y = beta_quantile(a, b, x, 1.0 - x)
    np.testing.assert_allclose(log_x.exp().numpy(), special.betaincinv(*arguments), atol=1e-10)
    np.testing.assert_allclose(log_x.exp() + log_y.exp(), np.ones(600), atol=1e-14)


class Whole(Likelihood):
    """A likelihood of one's own, whose elements hang together."""

    head = Head(loc=1)

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape

    def forward(self, raw: Tensor, context: Context) -> Any:
        return dist.MultivariateNormal(raw, torch.eye(len(self.event_shape) + 1))


class Single(Whole):
    """One with a torch distribution of each element."""

    def forward(self, raw: Tensor, context: Context) -> Any:
        return self.over_elements(Foreign(torch.distributions.Gumbel(raw, 1.0)), context)


def test_where_there_are_none_the_likelihood_is_named() -> None:
    for part, inner in ((Whole((2,)), "MultivariateNormal"), (Single((2,)), "Foreign")):
        made = part(torch.zeros(2), Context())
        with pytest.raises(
            ValueError,
            match=rf"{part!r} has no quantiles: {inner} does".replace("(", r"\(").replace(
                ")", r"\)"
            ),
        ):
            part.quantile(made, 0.5)


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan"), [0.5, 2.0]])
def test_what_is_no_probability(level: Any) -> None:
    part = Normal((2,))
    with pytest.raises(ValueError, match="quantile expects probabilities from 0 to 1"):
        part.quantile(part(torch.zeros(2), Context()), level)
