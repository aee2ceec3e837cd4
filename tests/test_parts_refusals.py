"""What the parts refuse, and in which words."""

from typing import Any

import pytest
from cases import LIKELIHOODS, PRIORS

from pyrovae.context import Context
from pyrovae.likelihoods import Bernoulli, Binomial, Normal
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal
from pyrovae.priors import GaussianMixture, StandardNormal, VampPrior

BAD_SHAPES = ["a", (0,), (2.0,), (True,), ((1, 2),), (-1, 3), None]


@pytest.mark.parametrize("name", [n for n, case in LIKELIHOODS.items() if not case.composite])
def test_bad_event_shape(name: str) -> None:
    for shape in BAD_SHAPES:
        with pytest.raises(ValueError, match=r"event_shape .*\(1, 28, 28\); got") as raised:
            LIKELIHOODS[name].make(shape)
        assert repr(shape) in str(raised.value)


@pytest.mark.parametrize("number", [0, -1, 2.0, "2", True, None, (2,)], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda n: StandardNormal(n),
        lambda n: GaussianMixture(n),
        lambda n: GaussianMixture(2, components=n),
        lambda n: VampPrior(n),
        lambda n: VampPrior(2, components=n),
        lambda n: Binomial((2,), total_count=n),
    ],
)
def test_bad_counts(make: Any, number: Any) -> None:
    with pytest.raises(ValueError, match=r"expects (dim|components|total_count) to be a positive"):
        make(number)


@pytest.mark.parametrize(
    "scale", [0, 0.0, -1.0, 1e-5, float("nan"), float("inf"), True, None, "both", [1.0], ("x",)]
)
def test_bad_scale(scale: Any) -> None:
    with pytest.raises(ValueError, match="'shared', 'element' or 'network'; got"):
        Normal((2,), scale=scale)


@pytest.mark.parametrize(
    "call",
    [
        lambda: StandardNormal(dims=2),
        lambda: GaussianMixture(2, 3),
        lambda: VampPrior(2, 3),
        lambda: Bernoulli(),
        lambda: Binomial((2,)),
        lambda: Binomial((2,), 5),
        lambda: Normal((2,), 1.0),
        lambda: MeanFieldNormal(2),
    ],
)
def test_options_are_keyword_only_and_known(call: Any) -> None:
    with pytest.raises(TypeError, match="argument"):
        call()


def test_full_rank_normal_refuses_a_matrix() -> None:
    posterior = FullRankNormal()
    posterior.event_shape = (2, 2)
    with pytest.raises(ValueError, match=r"expects a vector z.*\(2, 2\)"):
        posterior.bind((4,))


def test_vamp_prior_outside_a_model_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match=r"VampPrior\(2, components=3\).*Context\(encode=...\)"):
        PRIORS["VampPrior"].make()(Context())
