"""Gradient estimators against closed forms, quadrature and enumeration.

Parameters are given to each datum by itself, so that one backward pass over a batch of equal data
gives as many independent draws of the gradient as there are data. A mean is held against its truth
at four standard errors: a false alarm of 6e-5 a number, with seeds that are fixed.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyrovae.objectives import ELBO, IWAE, Objective, ReweightedWakeSleep

pytestmark = pytest.mark.usefixtures("float64")

Values = dict[str, Tensor]
DRAWS = 1_000_000
X = 0.8
START = {"slope": 1.3, "shift": -0.2, "loc": 0.1, "log_scale": -0.4}
GUIDE = ("loc", "log_scale")


class Pair:
    """z ~ N(0, 1), x ~ N(slope z + shift, 0.6), and q(z | x) = N(loc, scale)."""

    def __init__(self, n: int, **start: float) -> None:
        self.values = {k: torch.full((n,), v, requires_grad=True) for k, v in start.items()}
        self.x = torch.full((n,), X)

    def model(self) -> None:
        with pyro.plate("data", len(self.x)):
            z = pyro.sample("z", self.prior())
            pyro.sample("x", self.likelihood(z), obs=self.x)

    def guide(self) -> None:
        with pyro.plate("data", len(self.x)):
            pyro.sample("z", self.posterior())

    def prior(self) -> Any:
        return dist.Normal(torch.zeros(()), 1.0)

    def likelihood(self, z: Tensor) -> Any:
        return dist.Normal(self.values["slope"] * z + self.values["shift"], 0.6)

    def posterior(self) -> Any:
        return dist.Normal(self.values["loc"], self.values["log_scale"].exp())

    def log_weight(self, z: Tensor) -> Tensor:
        log_p = self.prior().log_prob(z) + self.likelihood(z).log_prob(self.x)
        return log_p - self.posterior().log_prob(z)


class Codes(Pair):
    """z ~ Bernoulli(0.3) in place of it, with q(z | x) = Bernoulli(logit)."""

    def prior(self) -> Any:
        return dist.Bernoulli(torch.tensor(0.3))

    def posterior(self) -> Any:
        return dist.Bernoulli(logits=self.values["logit"])


CODES = {"slope": 1.3, "shift": -0.2, "logit": -0.4}


def gradients(objective: Objective, pair: Any, seed: int = 3) -> Values:
    """Return the gradient of the bound of each datum by its own parameters."""
    torch.manual_seed(seed)
    loss = objective.differentiable_loss(pair.model, pair.guide)
    found = torch.autograd.grad(-loss, list(pair.values.values()))
    return dict(zip(pair.values, found, strict=True))


def moments(draws: Tensor) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return draws.mean().item(), draws.std().item() / len(draws) ** 0.5


def check(found: Values, truth: dict[str, float], errors: float = 4.0) -> None:
    assert found.keys() == truth.keys()
    for name, draws in found.items():
        mean, error = moments(draws)
        assert 0.0 < error < 0.1, name
        assert abs(mean - truth[name]) < errors * error, (name, mean, truth[name], error)


def noises(particles: int, nodes: int = 40) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes, `[particles, nodes ** particles]`, of normal noise, and weights."""
    e, w = np.polynomial.hermite_e.hermegauss(nodes)
    grid = torch.cartesian_prod(*[torch.tensor(e)] * particles).reshape(-1, particles).T
    weights = torch.cartesian_prod(*[torch.tensor(w / w.sum())] * particles)
    return grid, weights.reshape(-1, particles).prod(-1)


def iwae(pair: Any, z: Tensor) -> Tensor:
    return pair.log_weight(z).logsumexp(0) - math.log(len(z))


def by_quadrature(particles: int, part: Callable[[Any, Tensor], Tensor] | None = None) -> Any:
    """The exact gradient of the bound of so many draws, or of something else of them."""
    pair = Pair(1, **START)
    noise, weights = noises(particles)
    z = pair.values["loc"] + pair.values["log_scale"].exp() * noise
    bound = iwae(pair, z) if part is None else part(pair, z)
    total = (weights * bound).sum()
    found = torch.autograd.grad(total, list(pair.values.values()), materialize_grads=True)
    return {name: g.item() for name, g in zip(pair.values, found, strict=True)}


def by_enumeration(particles: int) -> dict[str, float]:
    """The exact gradient of the bound of so many codes."""
    pair = Codes(1, **CODES)
    bound = torch.zeros(())
    for bits in product([0.0, 1.0], repeat=particles):
        z = torch.tensor(bits).unsqueeze(-1)
        mass = pair.posterior().log_prob(z).sum().exp()
        bound = bound + mass * iwae(pair, z).squeeze()
    found = torch.autograd.grad(bound, list(pair.values.values()))
    return {name: g.item() for name, g in zip(pair.values, found, strict=True)}


# ------------------------------------------------------------------- unbiased, and biased as stated


UNBIASED = [
    *(ELBO(kl=kl, estimator=e) for kl in ("auto", "sampled") for e in ("reparameterised", "score")),
    ELBO(estimator="stl"),
    ELBO(estimator="stl", particles=3),
    ELBO(estimator="score", particles=3),
    IWAE(particles=1, estimator="stl"),
    IWAE(particles=1, estimator="dreg"),
    *(IWAE(particles=2, estimator=e) for e in ("reparameterised", "dreg", "score", "vimco")),
]


@pytest.mark.parametrize("objective", UNBIASED, ids=repr)
def test_the_mean_gradient_is_the_gradient_of_the_bound(objective: Objective) -> None:
    particles = objective.particles if isinstance(objective, IWAE) else 1
    pair = Pair(DRAWS // objective.particles, **START)
    check(gradients(objective, pair), by_quadrature(particles))


def test_quadrature_against_the_closed_form_of_the_elbo() -> None:
    slope, shift, loc, scale = (START["slope"], START["shift"], START["loc"], math.exp(-0.4))
    rest, var = X - shift - slope * loc, 0.6**2
    truth = {
        "slope": (rest * loc - slope * scale**2) / var,
        "shift": rest / var,
        "loc": slope * rest / var - loc,
        "log_scale": 1.0 - scale**2 * (1.0 + slope**2 / var),
    }
    assert by_quadrature(1) == pytest.approx(truth, rel=1e-9)


def lost_score(pair: Any, z: Tensor) -> Tensor:
    """What the path gradient leaves out: `sum_k w_k log q(z_k)`, differentiated at the draws."""
    weight = pair.log_weight(z).softmax(0).detach()
    return (weight * pair.posterior().log_prob(z.detach())).sum(0)


def test_stl_with_several_particles_is_biased_as_stated() -> None:
    exact, lost = by_quadrature(2), by_quadrature(2, lost_score)
    found = gradients(IWAE(particles=2, estimator="stl"), Pair(DRAWS // 2, **START))
    check(found, {name: exact[name] + lost[name] for name in exact})
    for name in GUIDE:
        mean, error = moments(found[name])
        assert abs(mean - exact[name]) > 20 * error, name
    assert "biased" in str(IWAE(particles=2, estimator="stl"))
    assert "biased" not in str(IWAE(particles=1, estimator="stl"))


def test_wake_gradients_of_model_and_guide() -> None:
    """The model follows the bound, the guide its weighted draws."""
    exact, fitted = by_quadrature(2), by_quadrature(2, lost_score)
    truth = {name: (fitted if name in GUIDE else exact)[name] for name in exact}
    check(gradients(ReweightedWakeSleep(particles=2), Pair(DRAWS // 2, **START)), truth)


@pytest.mark.parametrize(
    "objective",
    [
        ELBO(estimator="score"),
        ELBO(estimator="mixed"),
        ELBO(estimator="mixed", particles=3, kl="sampled"),
        ELBO(estimator="score", kl="sampled"),
        ELBO(estimator="score", particles=3),
        IWAE(particles=1, estimator="score"),
        IWAE(particles=2, estimator="score"),
        IWAE(particles=2, estimator="vimco"),
        IWAE(particles=4, estimator="vimco"),
    ],
    ids=repr,
)
def test_discrete_guides_against_enumeration(objective: Objective) -> None:
    particles = objective.particles if isinstance(objective, IWAE) else 1
    pair = Codes(DRAWS // objective.particles, **CODES)
    check(gradients(objective, pair), by_enumeration(particles))


# --------------------------------------------------------------------- several sites, other guides


CHAIN = {"slope": 0.9, "loc": 0.3, "log_scale": -0.3, "link": 0.5, "base": 0.2, "log_w": -0.5}
EXACT_CHAIN = {"slope": 1.0, "loc": X / 3, "log_scale": 0.5 * math.log(2 / 3), "link": 0.5}
EXACT_CHAIN |= {"base": X / 2, "log_w": -0.5 * math.log(2.0)}


class Chain(Pair):
    """z ~ N(0, 1), w | z ~ N(slope z, 1), x ~ N(w, 1); in q, w follows z by `link`."""

    def model(self) -> None:
        with pyro.plate("data", len(self.x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            w = pyro.sample("w", dist.Normal(self.values["slope"] * z, 1.0))
            pyro.sample("x", dist.Normal(w, 1.0), obs=self.x)

    def guide(self) -> None:
        v = self.values
        with pyro.plate("data", len(self.x)):
            z = pyro.sample("z", dist.Normal(v["loc"], v["log_scale"].exp()))
            pyro.sample("w", dist.Normal(v["link"] * z + v["base"], v["log_w"].exp()))


def chain_by_quadrature() -> dict[str, float]:
    v = {name: torch.tensor(value, requires_grad=True) for name, value in CHAIN.items()}
    noise, weights = noises(2, 20)
    z = v["loc"] + v["log_scale"].exp() * noise[0]
    w = v["link"] * z + v["base"] + v["log_w"].exp() * noise[1]
    log_p = dist.Normal(0.0, 1.0).log_prob(z) + dist.Normal(v["slope"] * z, 1.0).log_prob(w)
    log_p = log_p + dist.Normal(w, 1.0).log_prob(torch.tensor(X))
    entropy = v["log_scale"] + v["log_w"]
    found = torch.autograd.grad((weights * log_p).sum() + entropy, list(v.values()))
    return {name: g.item() for name, g in zip(v, found, strict=True)}


@pytest.mark.parametrize(
    "objective", [ELBO(estimator="stl"), ELBO(estimator="score", particles=2)], ids=repr
)
def test_draws_that_hang_on_one_another(objective: Objective) -> None:
    pair = Chain(DRAWS // (2 * objective.particles), **CHAIN)
    check(gradients(objective, pair), chain_by_quadrature())


def exact_start() -> dict[str, float]:
    """The posterior of the pair as its guide."""
    precision = 1.0 + 1.3**2 / 0.36
    loc = 1.3 * (X + 0.2) / 0.36 / precision
    return {**START, "loc": loc, "log_scale": -0.5 * math.log(precision)}


@pytest.mark.parametrize("estimator", ["stl", "dreg"])
@pytest.mark.parametrize("particles", [1, 3])
def test_no_variance_at_the_exact_posterior(estimator: str, particles: int) -> None:
    bounds: list[Any] = [IWAE(particles=particles, estimator=estimator)]
    bounds += [ELBO(particles=particles, estimator="stl")] * (estimator == "stl")
    for bound in bounds:
        found = gradients(bound, Pair(50, **exact_start()))
        assert max(found[name].abs().max().item() for name in GUIDE) < 1e-12
        assert found["slope"].std() > 0.1  # the model's gradient is another matter
    plain = gradients(IWAE(particles=particles), Pair(50, **exact_start()))
    assert min(plain[name].std().item() for name in GUIDE) > 0.1


def test_no_variance_at_the_exact_posterior_of_a_chain() -> None:
    found = gradients(ELBO(estimator="stl"), Chain(50, **EXACT_CHAIN))
    assert max(found[name].abs().max().item() for name in found if name != "slope") < 1e-12
    plain = gradients(ELBO(kl="sampled"), Chain(50, **EXACT_CHAIN))
    assert plain["link"].std() > 0.1


def test_the_signal_of_dreg_rises_and_that_of_the_plain_gradient_falls() -> None:
    """In proportion to the root of K, and to its inverse: by 4 from K = 4 to 64.

    The share of a signal's own standard error is at most 5 % here, and the margins are of 35 %.
    """
    signals: dict[str, list[float]] = {}
    for estimator in ("reparameterised", "dreg"):
        for particles in (4, 64):
            pair = Pair(60_000 if estimator == "reparameterised" else 5_000, **START)
            draws = gradients(IWAE(particles=particles, estimator=estimator), pair)["loc"]
            signals.setdefault(estimator, []).append((draws.mean().abs() / draws.std()).item())
    few, many = signals["reparameterised"]
    assert 0.25 / 1.35 < many / few < 0.25 * 1.35
    few, many = signals["dreg"]
    assert 4.0 / 1.35 < many / few < 4.0 * 1.35


class Angles(Pair):
    """An angle in place of z, whose sampler rejects and so has no gradient."""

    def prior(self) -> Any:
        return dist.VonMises(torch.zeros(()), 0.5)

    def posterior(self) -> Any:
        return dist.VonMises(self.values["loc"], self.values["log_scale"].exp())


def test_a_rejection_sampler() -> None:
    pair = Angles(200_000, **START)
    found = gradients(ELBO(estimator="score"), pair)
    one = Angles(1, **START)
    z = torch.linspace(-math.pi, math.pi, 2001)[1:].unsqueeze(-1)
    mass = one.posterior().log_prob(z).exp() * 2 * math.pi / 2000
    exact = torch.autograd.grad((mass * one.log_weight(z)).sum(), list(one.values.values()))
    check(found, {name: g.item() for name, g in zip(one.values, exact, strict=True)})


BESIDE = {"first": 0.3, "second": -0.5, "turn": 1.1, "shift": 0.2}


class Beside(Pair):
    """An enumerated label y and a drawn code z, the one that comes first being a condition."""

    def __init__(self, n: int, *, enumerated: str, scale: float = 1.0) -> None:
        super().__init__(n, **BESIDE)
        self.enumerated, self.scale = enumerated, scale

    def model(self) -> None:
        n = len(self.x)
        with pyro.plate("data", n), pyro.poutine.scale(scale=self.scale):
            a = pyro.sample("a", dist.Bernoulli(torch.tensor(0.4)))
            b = pyro.sample("b", dist.Bernoulli(0.2 + 0.5 * a))
            pyro.sample("x", dist.Normal(a - 2.0 * b * a + self.values["shift"], 0.5), obs=self.x)

    def guide(self) -> None:
        v = self.values
        infer = {
            name: {"enumerate": "parallel"} if name in self.enumerated else {} for name in "ab"
        }
        with pyro.plate("data", len(self.x)), pyro.poutine.scale(scale=self.scale):
            a = pyro.sample("a", dist.Bernoulli(logits=v["first"]), infer=infer["a"])
            logit = v["second"] + v["turn"] * a
            pyro.sample("b", dist.Bernoulli(logits=logit), infer=infer["b"])


@pytest.mark.parametrize("enumerated", ["a", "b", ""])
@pytest.mark.parametrize(
    "objective", [ELBO(estimator="score"), ELBO(estimator="score", particles=2)]
)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_enumerated_beside_drawn(enumerated: str, objective: Objective, scale: float) -> None:
    """Before the draw, after it, or not at all: against both enumerated, which is exact."""
    exact = gradients(ELBO(), Beside(1, enumerated="ab"))
    weighed = gradients(ELBO(), Beside(1, enumerated="ab", scale=scale))
    torch.testing.assert_close(weighed, {name: scale * g for name, g in exact.items()})
    pair = Beside(100_000, enumerated=enumerated, scale=scale)
    found = gradients(objective, pair)
    check(found, {name: scale * g.item() for name, g in exact.items()})


@pytest.mark.parametrize("estimator", ["score", "vimco"])
def test_enumerated_before_several_draws(estimator: str) -> None:
    """The bound is averaged over the label's values outside of the logarithm."""
    v = {k: torch.tensor(value, requires_grad=True) for k, value in BESIDE.items()}
    bound = torch.zeros(())
    for a in (0.0, 1.0):
        log_mass = dist.Bernoulli(logits=v["first"]).log_prob(torch.tensor(a))
        q = dist.Bernoulli(logits=v["second"] + v["turn"] * a)
        for bits in product([0.0, 1.0], repeat=2):
            b = torch.tensor(bits)
            log_w = dist.Bernoulli(0.4).log_prob(torch.tensor(a)) - log_mass
            log_w = log_w + dist.Bernoulli(0.2 + 0.5 * a).log_prob(b) - q.log_prob(b)
            x = dist.Normal(a - 2.0 * b * a + v["shift"], 0.5)
            log_w = log_w + x.log_prob(torch.tensor(X))
            mass = (log_mass + q.log_prob(b).sum()).exp()
            bound = bound + mass * (log_w.logsumexp(0) - math.log(2))
    truth = torch.autograd.grad(bound, list(v.values()))
    found = gradients(IWAE(particles=2, estimator=estimator), Beside(150_000, enumerated="a"))
    check(found, {name: g.item() for name, g in zip(v, truth, strict=True)})
