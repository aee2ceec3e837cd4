"""The variational autoencoder: exact where it can be, whole with any parts that fit."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import (
    FAMILIES,
    LIKELIHOODS,
    PAIRS,
    POSTERIORS,
    data_for,
    objectives,
    randomized,
    small_vae,
)
from scipy import special, stats
from torch import nn

from pyrovae.context import Context
from pyrovae.likelihoods import Normal
from pyrovae.models import VAE
from pyrovae.networks import MLP, Conv, GatedMLP, ResNet, SetEncoder
from pyrovae.objectives import ELBO, IWAE, trace_terms
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal
from pyrovae.priors import GaussianMixture, VampPrior

# -------------------------------------------------------------------------------- exact answers


@pytest.mark.parametrize("posterior", [MeanFieldNormal, FullRankNormal])
def test_vamp_prior_is_the_mixture_of_posteriors(posterior: Any, float64: torch.dtype) -> None:
    """With a linear encoder the mixture can be written down by hand."""
    vae = VAE(
        prior=VampPrior(2, components=4),
        likelihood=Normal((3,)),
        posterior=posterior(),
        encoder=MLP(()),
        decoder=MLP(()),
    )
    randomized(vae, spread=0.4)
    layer = vae.encoder_network.network[1]
    raw = vae.prior.pseudo_inputs @ layer.weight.T + layer.bias
    loc, raw_scale = raw[:, :2], raw[:, 2:4]
    scale = 1e-4 + torch.log1p((raw_scale + math.log(math.e - 1)).exp())
    factor = torch.diag_embed(scale)
    if posterior is FullRankNormal:
        factor[:, 1, 0] = scale[:, 1] * 100.0 * torch.tanh(raw[:, 4] / 100.0)
    truth = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=torch.zeros(4)),
        torch.distributions.MultivariateNormal(loc, scale_tril=factor),
    )
    z = torch.randn(50, 2)
    terms = trace_terms(vae.model, vae.guide, (data_for(vae),), particles=3)
    site = terms.latent["z"]
    torch.testing.assert_close(site.log_p, truth.log_prob(site.value), rtol=1e-10, atol=1e-10)
    made = vae.prior(Context(encode=vae.encode))
    torch.testing.assert_close(made.log_prob(z), truth.log_prob(z), rtol=1e-10, atol=1e-10)


def test_evidence_of_a_linear_model(float64: torch.dtype) -> None:
    """Mixture prior and linear decoder: `p(x) = sum_k pi_k N(x; W m_k + b, W S_k W' + s^2 I)`.

    Importance sampling with 20,000 draws, 4 standard errors on each of 5 data: false alarm 3e-4.
    """
    vae = VAE(
        prior=GaussianMixture(2, components=3),
        likelihood=Normal((3,), scale=0.8),
        posterior=FullRankNormal(),
        encoder=MLP(()),
        decoder=MLP(()),
    )
    randomized(vae, spread=0.3)
    with torch.no_grad():
        vae.encoder_network.network[1].weight.mul_(0.3)  # a broad, safe proposal
        vae.encoder_network.network[1].bias[2:4] = 1.0
    layer, prior = vae.decoder_network.network[1], vae.prior
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    scale = 1e-4 + np.logaddexp(0, prior.raw_scale.detach().numpy() + np.log(np.e - 1))
    x = torch.randn(5, 3)
    scores = [
        stats.multivariate_normal.logpdf(
            x.numpy(), weight @ m + bias, weight @ np.diag(s**2) @ weight.T + 0.64 * np.eye(3)
        )
        for m, s in zip(prior.loc.detach().numpy(), scale, strict=True)
    ]
    log_pi = special.log_softmax(prior.logits.detach().numpy())
    truth = special.logsumexp(np.stack(scores) + log_pi[:, None], axis=0)
    with torch.no_grad():
        log_weight = trace_terms(vae.model, vae.guide, (x,), particles=20000).log_weight
    shifted = (log_weight - torch.tensor(truth)).exp()  # mean one
    error = shifted.std(0) / 20000**0.5
    assert (error < 0.05).all(), "the proposal is too poor to test anything"
    assert ((shifted.mean(0) - 1.0).abs() < 4.0 * error).all()


# ------------------------------------------------------------------------------ every legal pair


@pytest.mark.parametrize(
    ("prior", "posterior", "likelihood"),
    [
        *((*pair, "Bernoulli") for pair in PAIRS),
        *(("StandardNormal", "MeanFieldNormal", name) for name in FAMILIES),
    ],
)
def test_gradient_reaches_every_parameter(prior: str, posterior: str, likelihood: str) -> None:
    vae = small_vae(prior, posterior, likelihood)
    x = data_for(vae)
    for objective in objectives(posterior):
        vae.zero_grad()
        objective.loss_and_grads(vae.model, vae.guide, x)
        for name, parameter in vae.named_parameters():
            if POSTERIORS[posterior].point and name.startswith("prior."):
                continue
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name
    assert vae.sample(3).shape == (3, 1, 4, 3)
    vae.check({"x": vae.sample(3)})


@pytest.mark.parametrize(
    "network",
    [Conv((3, 4), hidden=8), MLP((5,)), GatedMLP((5,)), ResNet((3, 4), hidden=8), SetEncoder(5)],
    ids=repr,
)
@pytest.mark.parametrize("shape", [(1, 28, 21), (3, 33, 47), (1, 1, 1)])
def test_odd_images(network: Any, shape: tuple[int, ...]) -> None:
    vae = small_vae(shape=shape, encoder=network, decoder=network)
    assert ELBO().loss_and_grads(vae.model, vae.guide, data_for(vae, 2)) > 0
    assert vae.reconstruct(data_for(vae, 2)).shape == (2, *shape)


def test_uint8_data() -> None:
    vae = small_vae(likelihood="Binomial")
    x = data_for(vae).to(torch.uint8)
    losses = []
    for given in (x, x.float(), x.long()):
        torch.manual_seed(1)
        losses.append(ELBO().loss(vae.model, vae.guide, given))
    assert losses[0] == losses[1] == losses[2]
    vae.check({"x": x})
    assert vae.reconstruct(x).dtype == torch.float32


@pytest.mark.parametrize(("prior", "posterior"), [p for p in PAIRS if not POSTERIORS[p[1]].point])
def test_float64_by_double(prior: str, posterior: str) -> None:
    vae = small_vae(prior, posterior, "Normal element").double()
    x = data_for(vae)
    assert x.dtype == torch.float64
    terms = IWAE(particles=2).trace(vae.model, vae.guide, x)
    assert terms.log_weight.dtype == torch.float64
    assert vae.sample(2).dtype == torch.float64
    assert vae.encode(x).sample().dtype == torch.float64


@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("mean", [False, True])
def test_sample(n: int, mean: bool) -> None:
    for prior in ("StandardNormal", "GaussianMixture"):
        if n == 0 and prior == "GaussianMixture":
            continue  # see below
        drawn = small_vae(prior).sample(n, mean=mean)
        assert drawn.shape == (n, 1, 4, 3)
        assert not drawn.requires_grad
        binary = set(drawn.unique().tolist()) <= {0.0, 1.0}
        assert binary == (not mean or n == 0)


@pytest.mark.parametrize("prior", ["GaussianMixture", "VampPrior"])
def test_sample_none_of_a_mixture(prior: str) -> None:
    assert small_vae(prior).sample(0).shape == (0, 1, 4, 3)


@pytest.mark.parametrize("n", [-1, 2.0, "3", True, None], ids=str)
def test_sample_refuses(n: Any) -> None:
    with pytest.raises(ValueError, match="whole number of draws"):
        small_vae().sample(n)


def test_encode_decode_and_reconstruct_take_any_batch() -> None:
    vae = small_vae()
    for batch in [(), (1,), (2, 3)]:
        x = torch.ones(*batch, 1, 4, 3)
        q = vae.encode(x)
        assert (q.batch_shape, q.event_shape) == (batch, (2,))
        p = vae.decode(q.sample())
        assert (p.batch_shape, p.event_shape) == (batch, (1, 4, 3))
        assert vae.reconstruct(x).shape == x.shape


def test_batch_norm_and_vamp_prior() -> None:
    """Pseudo-inputs do not move the statistics of the data."""

    def build(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(in_shape), 6),
            nn.BatchNorm1d(6),
            nn.Linear(6, math.prod(out_shape)),
            nn.Unflatten(1, out_shape),
        )

    vae = small_vae("VampPrior", encoder=build)
    norm = vae.encoder_network.network[2]
    assert norm.num_batches_tracked == 0  # building and checking left no trace
    assert norm.running_mean.abs().sum() == 0
    x = data_for(vae)
    IWAE(particles=3).loss(vae.model, vae.guide, x)
    layer = vae.encoder_network.network[1]
    hidden = x.flatten(1) @ layer.weight.T + layer.bias
    torch.testing.assert_close(norm.running_mean, 0.1 * hidden.mean(0))
    assert norm.num_batches_tracked == 1


# ----------------------------------------------------------------------- missing entries, starts


@pytest.mark.parametrize("likelihood", FAMILIES)
def test_missing_entries_count_for_nothing(likelihood: str) -> None:
    """Whatever stands where x is not observed, NaN too: the same loss and gradient."""
    vae = small_vae(likelihood=likelihood)
    x = data_for(vae)
    observed = torch.rand(x.shape) < 0.6
    results = []
    for hole in (0.0, 1.0, float("nan")):
        given = torch.where(observed, x, torch.full_like(x, hole))
        vae.check({"x": given, "observed": observed})
        torch.manual_seed(1)
        loss = ELBO()(vae.model, vae.guide)(given, observed=observed)
        results.append([loss.detach(), *torch.autograd.grad(loss, list(vae.parameters()))])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
    assert all(value.isfinite().all() for value in results[0])


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_prepare_starts_at_the_mean_of_the_data_once(likelihood: str) -> None:
    vae = small_vae(likelihood=likelihood, decoder=MLP(()))
    nn.init.zeros_(vae.decoder_network.network[1].weight)
    x = data_for(vae, 400)
    vae.prepare({"x": x})
    mean = vae.decode(torch.randn(2, 2)).mean
    torch.testing.assert_close(mean, x.mean(0).expand(2, 1, 4, 3), rtol=1e-4, atol=1e-4)
    assert bool(vae.prepared)
    state = {key: value.clone() for key, value in vae.state_dict().items()}
    vae.prepare({"x": 0 * x})
    assert all(torch.equal(value, state[key]) for key, value in vae.state_dict().items())


@pytest.mark.parametrize("scale", ["shared", "element", "network"])
def test_prepare_starts_at_the_spread_of_the_data(scale: Any) -> None:
    vae = small_vae(likelihood=f"Normal {scale}", decoder=MLP(()))
    nn.init.zeros_(vae.decoder_network.network[1].weight)
    x = 3.0 * data_for(vae, 400) + 1.0
    vae.prepare({"x": x})
    variance = x.var(0, correction=0)
    expected = variance.mean().expand(1, 4, 3) if scale == "shared" else variance
    torch.testing.assert_close(vae.decode(torch.zeros(2)).variance, expected, rtol=1e-3, atol=0)


def test_vamp_prior_starts_at_examples() -> None:
    vae = small_vae("VampPrior", likelihood="Normal")
    x = 10.0 * data_for(vae)
    vae.prepare({"x": x})
    apart = (vae.prior.pseudo_inputs.unsqueeze(1) - x).abs().amax((-1, -2, -3)).amin(1)
    assert (apart < 0.1).all()


def test_prepare_reads_only_what_is_observed() -> None:
    for prior in ("StandardNormal", "VampPrior"):
        vae = small_vae(prior, likelihood="Normal element")
        x = data_for(vae, 50)
        observed = torch.rand(x.shape) < 0.7
        given = torch.where(observed, x, torch.full_like(x, float("nan")))
        vae.prepare({"x": given, "observed": observed})
        assert all(value.isfinite().all() for value in vae.state_dict().values())
        truth = torch.nanmean(given, 0)
        torch.testing.assert_close(vae.decoder_network.offset, truth, rtol=1e-5, atol=1e-5)
