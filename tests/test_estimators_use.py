"""Gradient estimators in use: on any pair, against Pyro, in fit and SVI; and what they refuse."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import OBJECTIVES, POSTERIORS, bound, data_for, randomized, small_vae
from pyro.infer import SVI, Trace_ELBO, TraceGraph_ELBO
from pyro.infer import ReweightedWakeSleep as PyrosWakeSleep
from test_estimators import (
    CHAIN,
    CODES,
    GUIDE,
    START,
    Chain,
    Codes,
    Pair,
    by_enumeration,
    by_quadrature,
    check,
    gradients,
    lost_score,
    moments,
)
from test_fit import bits, vae_of
from test_objectives import KINDS, Foreign, X
from torch import Tensor, nn

import pyrovae
from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.objectives import ELBO, IWAE, Objective, ReweightedWakeSleep, trace_terms
from pyrovae.objectives.draws import carried
from pyrovae.objectives.estimators import bounds_without, others_mean
from pyrovae.posteriors import Posterior
from pyrovae.priors import BernoulliCode

pytestmark = pytest.mark.usefixtures("float64")

SURROGATES = [
    ELBO(estimator="stl"),
    ELBO(estimator="score"),
    ELBO(estimator="score", particles=3, beta=2.0),
    *(IWAE(particles=3, estimator=e) for e in ("stl", "dreg", "score", "vimco")),
    ReweightedWakeSleep(particles=3),
]


def plain(objective: Objective) -> Objective:
    """The same bound by the plain gradient."""
    if isinstance(objective, ELBO):
        kl = "sampled" if objective.estimator == "stl" else objective.kl
        return ELBO(beta=objective.beta, kl=kl, particles=objective.particles)
    return IWAE(particles=objective.particles)


@pytest.mark.parametrize("objective", SURROGATES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_the_value_is_the_bound_on_any_pair(kind: str, objective: Objective) -> None:
    """Whatever the gradient is, and it reaches all parameters; twice the same, read twice."""
    program = Foreign(kind)
    parameters = list(program.parameters().values())
    if objective.estimator == "dreg" and kind in ("two", "reversed"):
        with pytest.raises(ValueError, match=r"estimator='dreg' .* the guide draws"):
            objective.differentiable_loss(program.model, program.guide, X)
        return
    torch.manual_seed(1)
    truth = plain(objective).differentiable_loss(program.model, program.guide, X)
    torch.manual_seed(1)
    terms = objective.trace(program.model, program.guide, X)
    measured = objective.measure(terms)
    torch.testing.assert_close(-measured.bound.sum(), truth, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(measured.logged["loss"], truth.detach() / len(X))
    assert not any(value.requires_grad for value in measured.logged.values())
    again = objective.measure(terms)
    found = torch.autograd.grad(measured.bound.sum(), parameters, retain_graph=True)
    for a, b in zip(found, torch.autograd.grad(again.bound.sum(), parameters), strict=True):
        assert a.isfinite().all()
        assert a.abs().max() > 0
        torch.testing.assert_close(a, b)
    torch.manual_seed(1)
    assert objective.loss(program.model, program.guide, X) == pytest.approx(truth.item())


@pytest.mark.parametrize("estimator", ["stl", "dreg", "score", "vimco"])
def test_a_weight_of_all_sites_weighs_the_whole_gradient(estimator: str) -> None:
    found = []
    for kind in ("plain", "scale"):
        program, objective = Foreign(kind), IWAE(particles=3, estimator=estimator)
        torch.manual_seed(1)
        loss = objective.differentiable_loss(program.model, program.guide, X)
        found.append(torch.autograd.grad(loss, list(program.parameters().values())))
    for once, weighed in zip(*found, strict=True):
        torch.testing.assert_close(weighed, 1.7 * once)


def drawn(name: str) -> bool:
    case = POSTERIORS[name]
    return not (case.point or case.alone or "enumerated" in name or name == "SemiAmortized")


@pytest.mark.parametrize("name", [name for name in POSTERIORS if drawn(name)])
def test_the_score_of_every_posterior_has_no_mean(name: str) -> None:
    """On which all estimators rest: log q at a held draw, with what the draw carries.

    4,000 draws, each number at 5 standard errors: a false alarm of 6e-7 a number.
    """
    posterior = bound(name if name not in ("Laplace", "SpikeAndSlab") else f"q {name}")
    size = posterior.head.out_shape(posterior.event_shape)
    raw = (0.4 * torch.randn(size)).expand(4000, *size).clone().requires_grad_()
    q = posterior(raw, Context())
    z = q.rsample()
    held = carried(z, Tensor.detach)
    log_q = q.log_prob(held)
    torch.testing.assert_close(log_q, q.log_prob(z), rtol=1e-6, atol=1e-6)
    (score,) = torch.autograd.grad(log_q.sum(), raw)
    score = score.flatten(1)
    error = score.std(0) / len(score) ** 0.5
    assert (error > 0).any()
    assert (score.mean(0).abs() <= 5 * error + 1e-9).all()


@pytest.mark.parametrize("name", [name for name, case in POSTERIORS.items() if not case.alone])
def test_stl_and_dreg_with_every_posterior(name: str) -> None:
    vae = randomized(small_vae(posterior=name), spread=0.2)
    x = data_for(vae)
    case = POSTERIORS[name]
    for objective in (ELBO(estimator="stl", particles=2), IWAE(particles=3, estimator="dreg")):
        if case.point:
            with pytest.raises(ValueError, match="has no density"):
                objective.loss_and_grads(vae.model, vae.guide, x)
            continue
        if objective.estimator == "dreg" and ("enumerated" in name or "StraightThrough" in name):
            with pytest.raises(ValueError, match=r"estimator='dreg'.*(enumerated|discrete)"):
                objective.loss_and_grads(vae.model, vae.guide, x)
            continue
        vae.zero_grad()
        torch.manual_seed(1)
        loss = objective(vae.model, vae.guide)(x)
        torch.manual_seed(1)
        torch.testing.assert_close(loss, plain(objective)(vae.model, vae.guide)(x))
        loss.backward()
        for key, parameter in vae.named_parameters():
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key


def test_dreg_moves_all_that_a_draw_carries() -> None:
    """A relaxed code is scored by its logarithm: at one particle dreg is stl, weights being one."""
    vae = randomized(small_vae(posterior="RelaxedCategorical drawn"), spread=0.2)
    x = data_for(vae)
    found = []
    for objective in (ELBO(estimator="stl"), IWAE(particles=1, estimator="dreg")):
        torch.manual_seed(1)
        loss = objective(vae.model, vae.guide)(x)
        found.append(torch.autograd.grad(loss, list(vae.parameters())))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("posterior", ["RelaxedCategorical drawn", "SpikeAndSlab", "PlanarFlow"])
def test_dreg_by_hand(posterior: str) -> None:
    """The plain path gradient of each particle, weighed by hand with the squares of the weights."""
    vae = randomized(small_vae(posterior=posterior), spread=0.2)
    x = data_for(vae)
    encoder = list(vae.encoder_network.parameters())
    torch.manual_seed(1)
    loss = IWAE(particles=3, estimator="dreg")(vae.model, vae.guide)(x)
    torch.manual_seed(1)
    with pyrovae.objectives.LocalParameters(vae):
        terms = trace_terms(vae.model, vae.guide, (x,), particles=3, draws="path")
    weight = terms.log_weight.detach().softmax(0)
    truth = torch.autograd.grad(-(weight.square() * terms.log_weight).sum(), encoder)
    for a, b in zip(torch.autograd.grad(loss, encoder), truth, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


def test_relaxed_codes_at_the_corners_stay_finite() -> None:
    vae = small_vae(posterior="RelaxedCategorical drawn").float()
    x = data_for(vae)
    with torch.no_grad():
        for parameter in vae.encoder_network.parameters():
            parameter.mul_(1e4)
    for objective in (ELBO(estimator="stl"), ELBO(estimator="score"), IWAE(particles=3)):
        vae.zero_grad()
        objective(vae.model, vae.guide)(x).backward()
        assert all(p.grad.isfinite().all() for p in vae.parameters())


# --------------------------------------------------------------------------- agreement with Pyro


def stored(pair: Any) -> tuple[Any, Any, Any]:
    """The pair with its parameters in Pyro's store, which Pyro's older objectives need."""
    starts, names = pair.values, list(pair.values)

    def filled(program: Any) -> Any:
        def call() -> None:
            pair.values = {name: pyro.param(name, starts[name].detach()) for name in names}
            program()

        return call

    def found() -> dict[str, Tensor]:
        return {name: pyro.param(name).unconstrained().grad for name in names}

    return filled(pair.model), filled(pair.guide), found


@pytest.mark.parametrize("theirs", [Trace_ELBO, TraceGraph_ELBO])
def test_codes_as_in_pyro(theirs: Any) -> None:
    """Both have the mean that enumeration has, and ours scatters less: it has a baseline."""
    truth = by_enumeration(1)
    model, guide, found = stored(Codes(200_000, **CODES))
    torch.manual_seed(1)
    value = theirs(max_plate_nesting=1).loss_and_grads(model, guide)
    pyros = {name: -gradient.clone() for name, gradient in found().items()}
    check(pyros, truth)
    pyro.clear_param_store()
    objective = ELBO(estimator="score")
    torch.manual_seed(1)
    model, guide, found = stored(Codes(200_000, **CODES))
    assert objective.loss_and_grads(model, guide) == pytest.approx(value, rel=1e-3)
    ours = {name: -gradient for name, gradient in found().items()}
    check(ours, truth)
    assert ours["logit"].std() < pyros["logit"].std()


def test_pyros_wake_sleep_weighs_the_batch_as_one() -> None:
    """Its weights are of all data together, so nearly one particle is left for all of them."""
    exact, fitted = by_quadrature(2), by_quadrature(2, lost_score)
    model, guide, found = stored(Pair(20_000, **START))
    theirs = PyrosWakeSleep(
        num_particles=2, insomnia=1.0, vectorize_particles=True, max_plate_nesting=1
    )
    theirs.loss_and_grads(model, guide)
    for name in GUIDE:
        mean, error = moments(-found()[name])
        assert abs(mean - fitted[name]) > 10 * error, name
    pyro.clear_param_store()
    model, guide, found = stored(Pair(20_000, **START))
    ReweightedWakeSleep(particles=2).loss_and_grads(model, guide)
    truth = {name: (fitted if name in GUIDE else exact)[name] for name in exact}
    check({name: -gradient for name, gradient in found().items()}, truth)


# ------------------------------------------------------------------------------ fit, SVI, models


class DrawnBits(Posterior):
    """Independent bits, drawn."""

    head = Head(logits=1)
    reparameterised = False

    def forward(self, raw: Tensor, context: Context) -> Any:
        return dist.Bernoulli(logits=self.head.unpack(raw, self.event_shape)["logits"]).to_event(1)


WITHOUT_A_GRADIENT = [
    ELBO(estimator="score", particles=4),
    IWAE(particles=4, estimator="vimco"),
    ReweightedWakeSleep(particles=4),
]


def drawn_bits() -> pyrovae.VAE:
    return vae_of(prior=BernoulliCode(3), posterior=DrawnBits())


@pytest.mark.parametrize("objective", WITHOUT_A_GRADIENT, ids=repr)
def test_bits_are_drawn_and_learned(objective: Objective) -> None:
    """Six bits, of which three copy the others: log p(x) rises from -4.16 towards -2.08."""
    vae = drawn_bits()
    pyrovae.fit(
        vae,
        bits(200),
        objective=objective,
        epochs=60,
        batch_size=50,
        seed=0,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.1),
    )
    after = pyrovae.evaluate(vae, bits(200, seed=2), samples=50).log_prob
    assert after > -3.2
    assert len(pyro.get_param_store()) == 0


def test_bits_need_another_objective_than_the_plain() -> None:
    for objective in (ELBO(), IWAE(particles=3), ELBO(estimator="stl")):
        with pytest.raises(ValueError, match=r"site 'z': .*Bernoulli.*ELBO\(estimator='score'\)"):
            pyrovae.fit(drawn_bits(), bits(20), objective=objective, epochs=1, batch_size=20)


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if " " in n and "ELBO b" not in n])
def test_under_svi(name: str) -> None:
    vae = small_vae()
    x = data_for(vae)
    before = [parameter.clone() for parameter in vae.parameters()]
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-2}), OBJECTIVES[name].make())
    for _ in range(2):
        assert svi.step(x) == pytest.approx(svi.evaluate_loss(x), rel=1.0)
    for old, new in zip(before, vae.parameters(), strict=True):
        assert not torch.equal(old, new)


# --------------------------------------------------------------------------------------- refusals


def dropped() -> Any:
    def network(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        size = torch.Size(in_shape).numel()
        return nn.Sequential(nn.Flatten(), nn.Linear(size, out_shape[0]), nn.Dropout(0.5))

    return network


def test_dreg_is_refused_with_dropout_in_the_guide_and_not_in_the_model() -> None:
    dreg = IWAE(particles=3, estimator="dreg")
    vae = small_vae(encoder=dropped()).train()
    x = data_for(vae)
    with pytest.raises(ValueError, match=r"estimator='dreg'.*dropout in the guide"):
        dreg(vae.model, vae.guide)(x)
    dreg(vae.model, vae.guide.eval())(x).backward()  # it drops nothing now

    def decoder(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        size = torch.Size(out_shape).numel()
        layers = nn.Linear(in_shape[0], size), nn.Dropout(0.5), nn.Unflatten(-1, out_shape)
        return nn.Sequential(*layers)

    vae = small_vae(decoder=decoder).train()
    dreg(vae.model, vae.guide)(data_for(vae)).backward()


def test_stl_with_dropout_runs_one_draw_and_refuses_several() -> None:
    vae = small_vae(encoder=dropped()).train()
    ELBO(estimator="stl")(vae.model, vae.guide)(data_for(vae)).backward()

    class Dropped(Chain):
        def guide(self) -> None:
            nn.functional.dropout(self.x, 0.5, training=True)
            super().guide()

    with pytest.raises(ValueError, match="dropout would make another guide"):
        gradients(ELBO(estimator="stl"), Dropped(3, **CHAIN))


class Planar(Pair):
    """A flow that knows no inverse but of what it has just drawn."""

    map = dist.transforms.Planar(1)

    def posterior(self) -> Any:
        base = dist.Normal(self.values["loc"].unsqueeze(-1), 1.0).to_event(1)
        return dist.TransformedDistribution(base, [self.map.double()])

    def prior(self) -> Any:
        return dist.Normal(torch.zeros(1), 1.0).to_event(1)

    def likelihood(self, z: Tensor) -> Any:
        return dist.Normal(z.squeeze(-1), 1.0)


@pytest.mark.parametrize("objective", [ELBO(estimator="stl"), ELBO(estimator="score")], ids=repr)
def test_a_flow_without_an_inverse(objective: Objective) -> None:
    pair = Planar(1, loc=0.3)
    assert isinstance(gradients(ELBO(), pair)["loc"], Tensor)
    with pytest.raises(ValueError, match=r"site 'z': .* does not score a copy of its draw"):
        gradients(objective, pair)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ELBO(estimator="dreg"), "'stl', 'score', 'mixed'; got 'dreg'"),
        (lambda: ELBO(estimator="vimco"), "expects estimator"),
        (lambda: ELBO(estimator=None), "expects estimator"),
        (lambda: IWAE(estimator="wake"), "expects estimator"),
        (lambda: ELBO(estimator="stl", kl="analytic"), "'auto' or 'sampled'.*'analytic'"),
        (lambda: ELBO(estimator="score", free_bits=0.1), "free_bits=0 with estimator='score'"),
        (lambda: IWAE(particles=1, estimator="vimco"), "at least 2 particles"),
        (lambda: ReweightedWakeSleep(particles=1), "at least 2 particles"),
        (lambda: ReweightedWakeSleep(particles=0), "positive integer"),
        (lambda: trace_terms(Pair(1, **START).model, Pair(1, **START).guide, draws="x"), "draws"),
    ],
)
def test_refused_settings(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


def test_a_weight_of_one_site_is_refused_under_a_logarithm() -> None:
    class Beta(Pair):
        weight: Any = 1.0

        def model(self) -> None:
            with pyro.plate("data", len(self.x)):
                with pyro.poutine.scale(scale=self.weight):
                    z = pyro.sample("z", self.prior())
                pyro.sample("x", self.likelihood(z), obs=self.x)

    for weight, said in ((2.0, "the weight 2 and"), (torch.tensor(2.0), "the weight of a tensor")):
        pair = Beta(3, **START)
        pair.weight = weight
        assert gradients(ELBO(estimator="stl"), pair)["loc"].isfinite().all()
        for objective in (IWAE(particles=2), ReweightedWakeSleep(particles=2)):
            with pytest.raises(ValueError, match=f"site 'z' of the model {said}.*ELBO"):
                gradients(objective, pair)


def test_wake_sleep_refuses_what_is_enumerated_and_score_what_is_a_point() -> None:
    vae = small_vae(posterior="Categorical enumerated")
    with pytest.raises(ValueError, match=r"the guide enumerates \['z'\]"):
        ReweightedWakeSleep(particles=2).loss(vae.model, vae.guide, data_for(vae))
    vae = small_vae(posterior="Deterministic")
    with pytest.raises(ValueError, match="no density"):
        ELBO(beta=0, estimator="score").loss_and_grads(vae.model, vae.guide, data_for(vae))


def test_free_bits_under_stl() -> None:
    """Each dimension keeps its path alone, and a floored one gives no gradient."""
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae)
    parameters = list(vae.parameters())
    torch.manual_seed(1)
    terms = trace_terms(vae.model, vae.guide, (x,), draws="path")
    split = terms.kl_per_dimension(terms.latent["z"], "sampled")
    assert split is not None
    assert split.shape == (1, len(x), 2)
    encoder = list(vae.encoder_network.parameters())
    both = [
        torch.autograd.grad(total.sum(), encoder, retain_graph=True)
        for total in (split, terms.divergence("sampled"))
    ]
    torch.testing.assert_close(*both)
    losses = []
    for objective in (ELBO(estimator="stl", free_bits=50.0), ELBO(beta=0)):
        torch.manual_seed(1)
        losses.append(objective(vae.model, vae.guide)(x))
    torch.testing.assert_close(losses[0], losses[1] + 100.0 * len(x))
    torch.testing.assert_close(*[torch.autograd.grad(loss, parameters) for loss in losses])


def test_the_parts_against_loops() -> None:
    values = torch.randn(5, 3)
    for k in range(5):
        rest = torch.cat([values[:k], values[k + 1 :]])
        torch.testing.assert_close(others_mean(values, dim=0)[k], rest.mean(0))
        with_mean = torch.cat([rest, rest.mean(0, keepdim=True)])
        truth = with_mean.logsumexp(0) - torch.tensor(5.0).log()
        torch.testing.assert_close(bounds_without(values)[k], truth)
    assert torch.equal(others_mean(values[:1], dim=0), torch.zeros(1, 3))
    extreme = torch.tensor([[800.0], [-900.0], [-1000.0]])
    truth = torch.tensor([[-900.0], [800.0], [800.0]]) - torch.tensor(3.0).log()
    torch.testing.assert_close(bounds_without(extreme), truth, rtol=1e-12, atol=1e-9)
    zero = torch.tensor([[0.0], [-torch.inf]])
    assert bounds_without(zero).tolist() == [[-torch.inf], [0.0]]
