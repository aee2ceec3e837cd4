"""What a VAE refuses when it is built and when it is given data: both parts are named."""

import contextlib
import copy
from typing import Any

import pyro.distributions as dist
import pytest
import torch
from cases import data_for, small_vae
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import Foreign
from pyrovae.heads import Head
from pyrovae.likelihoods import Bernoulli, Binomial, Likelihood, Normal
from pyrovae.models import VAE, program
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal, Posterior
from pyrovae.priors import GaussianMixture, Prior, StandardNormal, VampPrior


class UserPrior(Prior):
    """Any distribution as a prior."""

    def __init__(self, made: Any, event_shape: tuple[int, ...] = (2,)) -> None:
        super().__init__()
        self.made = made
        self.event_shape = event_shape

    def forward(self, context: Context) -> Any:
        return self.made


class UserPosterior(Posterior):
    head = Head(loc=1)

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, raw: Tensor, context: Context) -> Any:
        return self.make(raw)


class UserLikelihood(Likelihood):
    head = Head(loc=1)

    def __init__(self, make: Any, event_shape: tuple[int, ...] = (1, 4, 3)) -> None:
        super().__init__()
        self.make = make
        self.event_shape = event_shape

    def forward(self, raw: Tensor, context: Context) -> Any:
        return self.over_elements(self.make(raw), context)


TORCHS = torch.distributions


def torchs_own(raw: Tensor) -> Any:
    return TORCHS.Independent(TORCHS.Normal(raw, 1.0), 1)


UNIT = dist.Uniform(torch.zeros(2), torch.ones(2)).to_event(1)
MATRIX = dist.Normal(torch.zeros(2, 2), 1.0).to_event(2)


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        (
            {"prior": UserPrior(UNIT)},
            ValueError,
            "prior UserPrior.* posterior MeanFieldNormal.*sup",
        ),
        ({"prior": StandardNormal}, TypeError, r"prior expects a Prior .*write StandardNormal\("),
        ({"likelihood": Bernoulli}, TypeError, r"likelihood .*write Bernoulli\("),
        ({"prior": dist.Normal(0.0, 1.0)}, TypeError, "prior expects a Prior .*got Normal"),
        ({"prior": MeanFieldNormal()}, TypeError, "prior expects a Prior .*got MeanFieldNormal"),
        ({"encoder": 3}, TypeError, "the encoder expects a network.*got 3"),
        ({"decoder": lambda i, o: 3}, TypeError, "the decoder .*built int"),
        ({"encoder": lambda i, o: nn.Flatten()}, ValueError, r"\[2, 12\]; expected \[2, 4\]"),
        ({"decoder": lambda i, o: nn.Flatten()}, ValueError, r"\[2, 2\]; expected \[2, 1, 4, 3\]"),
        (
            {"prior": UserPrior(MATRIX, (2, 2)), "posterior": FullRankNormal()},
            ValueError,
            r"FullRankNormal expects a vector z; the prior's event shape is \(2, 2\)",
        ),
        (
            {"posterior": UserPosterior(lambda raw: dist.Normal(raw, 1.0))},
            ValueError,
            r"UserPosterior.* event shape \(\).*expected event shape \(2,\).*to_event\(1\)",
        ),
        (
            {"prior": UserPrior(dist.Normal(torch.zeros(3), 1.0).to_event(1))},
            ValueError,
            r"UserPrior.* event shape \(3,\).*expected event shape \(2,\)",
        ),
        (
            {"likelihood": UserLikelihood(lambda raw: dist.Normal(raw, 1.0).to_event(1))},
            ValueError,
            r"UserLikelihood",
        ),
        (
            {"prior": UserPrior(TORCHS.Independent(TORCHS.Normal(torch.zeros(2), 1.0), 1))},
            TypeError,
            "UserPrior.*Independent of torch.distributions.*Foreign",
        ),
        ({"posterior": UserPosterior(torchs_own)}, TypeError, "UserPosterior.*Foreign"),
        ({"posterior": UserPosterior(lambda raw: raw)}, TypeError, "returned Tensor; expected"),
    ],
)
def test_parts_that_do_not_fit(changed: Any, error: type[Exception], said: str) -> None:
    before = torch.get_rng_state(), torch.is_grad_enabled()
    with pytest.raises(error, match=said):
        small_vae(**changed)
    assert torch.is_grad_enabled() == before[1]


def test_matrix_latents_fit_a_mean_field() -> None:
    vae = small_vae(prior=UserPrior(MATRIX, (2, 2)))
    assert vae.encode(data_for(vae)).event_shape == (2, 2)
    assert ELBO(kl="analytic", particles=2).loss(vae.model, vae.guide, data_for(vae)) > 0


def test_foreign_distributions_stand_in_for_parts() -> None:
    """torch's own distributions, wrapped, give the loss of Pyro's under the same noise."""
    losses = []
    for wrap in (Foreign, lambda made: dist.Normal(made.base_dist.loc, 1.0).to_event(1)):
        prior = UserPrior(wrap(TORCHS.Independent(TORCHS.Normal(torch.zeros(2), 1.0), 1)))
        posterior = UserPosterior(
            lambda raw, wrap=wrap: wrap(TORCHS.Independent(TORCHS.Normal(raw, 1.0), 1))
        )
        torch.manual_seed(0)
        vae = small_vae(prior=prior, posterior=posterior)
        torch.manual_seed(1)
        losses.append(ELBO(kl="sampled", particles=3).loss(vae.model, vae.guide, data_for(vae)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_building_restores_modes_and_buffers() -> None:
    def build(in_shape: Any, out_shape: Any) -> nn.Module:
        net = MLP((4,))(in_shape, out_shape)
        net.insert(1, nn.BatchNorm1d(12).eval())
        return net.append(nn.Dropout(0.5))

    vae = small_vae(encoder=build)
    norm = vae.encoder_network.network[1]
    assert not norm.training
    assert vae.encoder_network.network[-1].training
    assert norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("likelihood", "value", "said"),
    [
        (Bernoulli((2,)), 0.5, r"Bernoulli\(\(2,\)\) cannot score x\[1, 0\] = 0.5.*binarise"),
        (Bernoulli((2,)), 0.5, r"Binomial\(total_count=the largest level\).*Normal"),
        (Binomial((2,), total_count=3), 4.0, r"x\[1, 0\] = 4.*0 to total_count=3"),
        (Binomial((2,), total_count=3), 1.5, r"x\[1, 0\] = 1.5"),
        (Binomial((2,), total_count=3), -1.0, r"x\[1, 0\] = -1"),
        (Normal((2,)), float("nan"), r"Normal\(\(2,\)\) cannot score x\[1, 0\] = nan"),
        pytest.param(Normal((2,)), float("inf"), r"x\[1, 0\] = inf"),
    ],
)
def test_check_says_what_is_wrong(likelihood: Any, value: float, said: str) -> None:
    vae = small_vae(likelihood=likelihood)
    x = torch.ones(3, 2)
    vae.check({"x": x})
    x[1, 0] = value
    with pytest.raises(ValueError, match=said):
        vae.check({"x": x})
    vae.check({"x": x, "observed": x == 1.0})  # what is not observed does not matter
    with pytest.raises(ValueError, match=r"x of shape \[batch, 2\]; got \[batch, 2, 1\]"):
        vae.check({"x": x.unsqueeze(-1)})


# -------------------------------------------------------------- known defects, one test for each


def test_scalar_event() -> None:
    vae = small_vae(shape=())
    assert vae.sample(3).shape == (3,)
    assert ELBO().loss(vae.model, vae.guide, torch.ones(4)) > 0


def test_scalar_latent() -> None:
    vae = small_vae(prior=UserPrior(dist.Normal(0.0, 1.0), ()))
    assert vae.encode(data_for(vae)).batch_shape == (5,)


class Doubled(VAE):
    @program
    def model(self, x: Any = None, **batch: Any) -> Tensor:
        return super().model(x, **batch)


def test_a_subclass_can_call_the_parents_program() -> None:
    parts = {"encoder": MLP((4,)), "decoder": MLP((4,)), "likelihood": Normal((3,))}
    vae = Doubled(prior=StandardNormal(2), posterior=MeanFieldNormal(), **parts)
    assert ELBO().loss(vae.model, vae.guide, torch.zeros(4, 3)) > 0


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5)])
def test_one_datum_without_a_batch_is_refused(shape: tuple[int, ...]) -> None:
    vae = small_vae(shape=shape)
    with pytest.raises(ValueError, match="shape"):
        ELBO().loss(vae.model, vae.guide, torch.zeros(shape))


@pytest.mark.parametrize("part", ["posterior", "prior"])
def test_a_part_of_another_model_does_not_break_it(part: str) -> None:
    shared = {"posterior": MeanFieldNormal(), "prior": VampPrior(2, components=3)}[part]
    first = small_vae(**{part: shared})
    other = {"prior": StandardNormal(5)} if part == "posterior" else {"shape": (7,)}
    with contextlib.suppress(ValueError):  # refused: as good as left alone
        small_vae(**{**other, part: shared})
    assert first.encode(data_for(first)).event_shape == (2,)
    assert first.sample(2).shape == (2, 1, 4, 3)


@pytest.mark.parametrize("network", [MLP, nn.Linear(12, 4), nn.Linear], ids=["MLP", "built", "nn"])
def test_a_network_that_is_no_description_is_named(network: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="the encoder"):
        small_vae(encoder=network)


@pytest.mark.parametrize("missing", ["event_shape", "head"])
def test_a_part_without_its_attributes_is_told(missing: str) -> None:
    class Bare(Prior if missing == "event_shape" else Posterior):  # type: ignore[misc]
        def forward(self, *given: Any) -> Any:
            return dist.Normal(torch.zeros(2), 1.0).to_event(1)

    part = "prior" if missing == "event_shape" else "posterior"
    with pytest.raises((TypeError, ValueError), match=rf"Bare.*{missing}"):
        small_vae(**{part: Bare()})


def test_a_guide_without_a_gradient_is_refused_when_built() -> None:
    counts = dist.Poisson(torch.ones(2)).to_event(1)
    posterior = UserPosterior(lambda raw: dist.Poisson(raw.exp()).to_event(1))
    with pytest.raises(ValueError, match=r"Poisson|reparameteri"):
        small_vae(prior=UserPrior(counts), posterior=posterior)


def test_a_wide_but_bounded_prior_is_refused() -> None:
    """The supports differ, though 64 draws at the start stay inside."""
    wide = dist.Uniform(torch.full((2,), -8.0), torch.full((2,), 8.0)).to_event(1)
    with pytest.raises(ValueError, match="support"):
        small_vae(prior=UserPrior(wide))


def test_missing_entries_where_zero_is_outside_the_support() -> None:
    likelihood = UserLikelihood(lambda raw: dist.LogNormal(raw, 1.0), (3,))
    likelihood.fill = 1.0
    vae = small_vae(likelihood=likelihood)
    x = torch.rand(4, 3) + 0.5
    observed = torch.rand(4, 3) < 0.6
    ELBO()(vae.model, vae.guide)(x, observed=observed).backward()
    assert all(p.grad.isfinite().all() for p in vae.parameters())


@pytest.mark.parametrize("bad", [torch.ones(3, dtype=torch.bool), torch.ones(5, 1, 4, 3)])
def test_a_mask_of_another_shape_or_kind_is_refused(bad: Tensor) -> None:
    vae = small_vae()
    with pytest.raises((ValueError, TypeError), match="observed"):
        ELBO().loss(vae.model, vae.guide, data_for(vae), observed=bad)


def test_a_part_with_parameters_belongs_to_one_model() -> None:
    def build(prior: GaussianMixture, posterior: MeanFieldNormal, size: int = 4) -> VAE:
        return VAE(
            prior=prior,
            likelihood=Bernoulli((size,)),
            posterior=posterior,
            encoder=MLP(()),
            decoder=MLP(()),
        )

    prior, posterior = GaussianMixture(2, components=3), MeanFieldNormal()
    first = build(prior, posterior)
    with pytest.raises(ValueError, match=r"GaussianMixture\(2, components=3\) is already part of"):
        build(prior, posterior)
    assert build(copy.deepcopy(prior), posterior).prior.loc is not first.prior.loc
    with pytest.raises(ValueError, match=r"MeanFieldNormal\(\) is already part of"):
        build(copy.deepcopy(prior), posterior, size=5)
    assert copy.deepcopy(first).prior.loc is not first.prior.loc
