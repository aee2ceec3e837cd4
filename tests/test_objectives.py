"""The bounds agree with Pyro's, in value and in gradient, on our models and on any other pair.

Both sides run under the same random numbers in float64, so agreement is to rounding.
"""

from itertools import product
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import FIRST, data_for, randomized, small_vae
from pyro import poutine
from pyro.infer import RenyiELBO, Trace_ELBO, TraceMeanField_ELBO
from torch import Tensor, nn

from pyrovae.objectives import ELBO, IWAE, analytic_kl

pytestmark = pytest.mark.usefixtures("float64")

X = torch.tensor([[0.3, -1.2], [0.5, 0.1], [2.0, -0.4]], dtype=torch.float64)
ANALYTIC_IN_TORCH = {("StandardNormal", "MeanFieldNormal")}
VECTORISED = {"vectorize_particles": True, "max_plate_nesting": 1}

# --------------------------------------------------------------------------------- foreign pairs


class Foreign:
    """A pair as a Pyro user writes it, in the variants that are easy to get wrong."""

    def __init__(self, kind: str) -> None:
        torch.manual_seed(5)
        self.kind = kind
        self.encoder = nn.Linear(2, 4)
        self.decoder = nn.Linear(2, 2)
        self.second = nn.Linear(2, 2)

    def parameters(self) -> dict[str, nn.Parameter]:
        nets = {"encoder": self.encoder, "decoder": self.decoder}
        if self.kind in ("two", "reversed"):
            nets["second"] = self.second
        return {f"{k}.{n}": p for k, net in nets.items() for n, p in net.named_parameters()}

    def model(self, x: Tensor) -> None:
        pyro.module("decoder", self.decoder)
        scale = 1.7 if self.kind == "scale" else 1.0
        with pyro.plate("data", len(x)), poutine.scale(scale=scale):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            if self.kind in ("two", "reversed"):
                pyro.module("second", self.second)
                z = pyro.sample("w", dist.Normal(self.second(z), 0.6).to_event(1))
            loc = self.decoder(z)
            if self.kind == "nested":
                with pyro.plate("features", 2):
                    values = loc.movedim(-1, 0)
                    pyro.sample("x", dist.Normal(values, 0.5), obs=self.rows(x, values))
            else:
                pyro.sample("x", dist.Normal(loc, 0.5).to_event(1), obs=x)

    @staticmethod
    def rows(x: Tensor, like: Tensor) -> Tensor:
        return x.T if like.dim() == 2 else x.T.unsqueeze(1)

    def guide(self, x: Tensor) -> None:
        pyro.module("encoder", self.encoder)
        scale = 1.7 if self.kind == "scale" else 1.0
        with pyro.plate("data", len(x)), poutine.scale(scale=scale):
            loc, raw = self.encoder(x).chunk(2, -1)
            q = dist.Normal(loc, nn.functional.softplus(raw) + 0.1).to_event(1)
            if self.kind == "reversed":
                w = pyro.sample("w", q)
                pyro.module("second", self.second)
                pyro.sample("z", dist.Normal(self.second(w), 0.7).to_event(1))
            else:
                pyro.sample("z", q)
                if self.kind == "two":
                    pyro.sample("w", dist.Normal(0.5 * x, 0.8).to_event(1))


KINDS = ["plain", "nested", "two", "reversed", "scale"]


def ours(objective: Any, model: Any, guide: Any, parameters: Any, *args: Any, **kw: Any) -> Any:
    torch.manual_seed(1)
    loss = objective.differentiable_loss(model, guide, *args, **kw)
    return loss.detach(), torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)


def pyros(objective: Any, model: Any, guide: Any, parameters: Any, *args: Any, **kw: Any) -> Any:
    for parameter in parameters.values():
        parameter.grad = None
    torch.manual_seed(1)
    loss = objective.loss_and_grads(model, guide, *args, **kw)
    return torch.tensor(loss), tuple(parameter.grad for parameter in parameters.values())


def assert_same(mine: Any, theirs: Any, parameters: Any) -> None:
    torch.testing.assert_close(mine[0], theirs[0], rtol=1e-11, atol=1e-11)
    moved = 0
    for (name, parameter), *given in zip(parameters.items(), mine[1], theirs[1], strict=True):
        a, b = (torch.zeros_like(parameter) if g is None else g for g in given)
        say = f"{name}: {{}}".format
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10, msg=say)
        moved += bool(a.abs().max() > 0)
    assert moved >= 2, "no gradient was compared"


SAMPLED = [
    (lambda: ELBO(kl="sampled"), lambda: Trace_ELBO(max_plate_nesting=1)),
    (lambda: ELBO(kl="sampled", particles=3), lambda: Trace_ELBO(num_particles=3, **VECTORISED)),
    (lambda: IWAE(particles=4), lambda: RenyiELBO(alpha=0, num_particles=4, **VECTORISED)),
]
MEAN_FIELD = [
    (lambda kl: ELBO(kl=kl), lambda: TraceMeanField_ELBO(max_plate_nesting=1)),
    (
        lambda kl: ELBO(kl=kl, particles=3),
        lambda: TraceMeanField_ELBO(num_particles=3, **VECTORISED),
    ),
]


@pytest.mark.parametrize("pair", SAMPLED, ids=["K=1", "K=3", "IWAE"])
@pytest.mark.parametrize("likelihood", ["Bernoulli", "Normal network"])
@pytest.mark.parametrize(("prior", "posterior"), list(product(*FIRST)))
def test_our_models_as_in_pyro(prior: str, posterior: str, likelihood: str, pair: Any) -> None:
    vae = randomized(small_vae(prior, posterior, likelihood), spread=0.2)
    x = data_for(vae)
    parameters = dict(vae.named_parameters())
    mine = ours(pair[0](), vae.model, vae.guide, parameters, x)
    theirs = pyros(pair[1](), vae.model, vae.guide, parameters, x)
    assert_same(mine, theirs, parameters)


@pytest.mark.parametrize("kl", ["auto", "analytic"])
@pytest.mark.parametrize("pair", MEAN_FIELD, ids=["K=1", "K=3"])
@pytest.mark.parametrize("likelihood", ["Bernoulli", "Normal shared"])
def test_analytic_kl_as_in_pyro(likelihood: str, pair: Any, kl: str) -> None:
    vae = randomized(small_vae(likelihood=likelihood), spread=0.2)
    x = data_for(vae)
    parameters = dict(vae.named_parameters())
    mine = ours(pair[0](kl), vae.model, vae.guide, parameters, x)
    theirs = pyros(pair[1](), vae.model, vae.guide, parameters, x)
    assert_same(mine, theirs, parameters)


@pytest.mark.parametrize("pair", SAMPLED, ids=["K=1", "K=3", "IWAE"])
@pytest.mark.parametrize("kind", KINDS)
def test_foreign_pairs_as_in_pyro(kind: str, pair: Any) -> None:
    program = Foreign(kind)
    parameters = program.parameters()
    mine = ours(pair[0](), program.model, program.guide, parameters, X)
    if kind == "nested" and pair[0]().particles > 1:  # the program fits one place of particles
        theirs = nested_by_hand(program, parameters, pair[0]())
    elif kind == "scale" and isinstance(pair[0](), IWAE):
        wrong = pyros(pair[1](), program.model, program.guide, parameters, X)
        theirs = weighed_as_a_whole(pair[1], wrong)
    else:
        loss = Trace_ELBO(max_plate_nesting=2) if kind == "nested" else pair[1]()
        theirs = pyros(loss, program.model, program.guide, parameters, X)
    assert_same(mine, theirs, parameters)


def weighed_as_a_whole(renyi: Any, wrong: Any) -> Any:
    """1.7 times the bound of the plain pair; Pyro's RenyiELBO gives that of weights ** 1.7."""
    plain = Foreign("plain")
    loss, gradients = pyros(renyi(), plain.model, plain.guide, plain.parameters(), X)
    assert abs(wrong[0] - 1.7 * loss) > 0.01
    return 1.7 * loss, tuple(1.7 * gradient for gradient in gradients)


def nested_by_hand(program: Foreign, parameters: Any, objective: Any) -> Any:
    torch.manual_seed(1)
    particles = objective.particles
    loc, raw = program.encoder(X).chunk(2, -1)
    q = torch.distributions.Normal(loc, nn.functional.softplus(raw) + 0.1)
    z = q.rsample((particles,))
    weight = torch.distributions.Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)
    weight = (weight + torch.distributions.Normal(program.decoder(z), 0.5).log_prob(X)).sum(-1)
    bound = weight.exp().mean(0).log() if isinstance(objective, IWAE) else weight.mean(0)
    loss = -bound.sum()
    return loss.detach(), torch.autograd.grad(loss, list(parameters.values()))


@pytest.mark.parametrize("pair", MEAN_FIELD, ids=["K=1", "K=3"])
@pytest.mark.parametrize("kind", ["plain", "two", "scale"])
def test_foreign_pairs_with_analytic_kl(kind: str, pair: Any) -> None:
    program = Foreign(kind)
    parameters = program.parameters()
    mine = ours(pair[0]("analytic"), program.model, program.guide, parameters, X)
    theirs = pyros(pair[1](), program.model, program.guide, parameters, X)
    assert_same(mine, theirs, parameters)


def test_reversed_guide_is_sampled_where_a_closed_form_would_be_wrong() -> None:
    program = Foreign("reversed")
    parameters = program.parameters()
    sampled = ours(ELBO(kl="sampled"), program.model, program.guide, parameters, X)
    theirs = pyros(Trace_ELBO(), program.model, program.guide, parameters, X)
    assert_same(sampled, theirs, parameters)
    with pytest.raises(ValueError, match=r"kl='analytic'.*visit their sites in different orders"):
        ours(ELBO(kl="analytic"), program.model, program.guide, parameters, X)
    objective = ELBO()
    method = objective.method(objective.trace(program.model, program.guide, X))
    assert method == {"z": "analytic", "w": "sampled"}


def test_reversed_guide_has_a_closed_form_of_what_comes_first_in_the_model() -> None:
    """z | w is drawn last, and p(z) hangs on nothing: KL(q(z | w) || p(z)) at each draw of w."""
    program = Foreign("reversed")
    parameters = program.parameters()
    auto = ours(ELBO(), program.model, program.guide, parameters, X)
    torch.manual_seed(1)
    normal = torch.distributions.Normal
    loc, raw = program.encoder(X).chunk(2, -1)
    q_w = normal(loc, nn.functional.softplus(raw) + 0.1)
    w = q_w.rsample()
    q_z = normal(program.second(w), 0.7)
    z = q_z.rsample()
    loss = torch.distributions.kl_divergence(q_z, normal(0.0, 1.0)).sum()
    loss = loss + (q_w.log_prob(w) - normal(program.second(z), 0.6).log_prob(w)).sum()
    loss = loss - normal(program.decoder(w), 0.5).log_prob(X).sum()
    assert_same(
        auto, (loss.detach(), torch.autograd.grad(loss, list(parameters.values()))), parameters
    )


class ModuleModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            loc = self.net(z.unsqueeze(-1)).squeeze(-1)
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x)


class ModuleGuide(ModuleModel):
    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            loc = self.net(x.unsqueeze(-1)).squeeze(-1)
            pyro.sample("z", dist.Normal(loc, 0.5))


@pytest.mark.parametrize("particles", [1, 3])
def test_a_pair_of_modules_as_in_pyro(particles: int) -> None:
    """Through `objective(model, guide)` on both sides: nothing is registered at all."""
    model, guide = ModuleModel(), ModuleGuide()
    results = []
    for objective in (
        ELBO(kl="sampled", particles=particles),
        Trace_ELBO(num_particles=particles, **VECTORISED),
    ):
        module = objective(model, guide)
        parameters = dict(module.named_parameters())
        assert len(parameters) == 4
        torch.manual_seed(1)
        loss = module(X[:, 0])
        grads = torch.autograd.grad(loss, list(parameters.values()))
        results.append((loss.detach(), grads))
    assert_same(*results, parameters)
    assert not list(pyro.get_param_store())


def test_subsampled_plates_as_in_pyro() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", 3, subsample_size=2) as rows:
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x[rows])

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 3, subsample_size=2) as rows:
            pyro.sample("z", dist.Normal(x[rows], 0.5).to_event(1))

    for mine, theirs in SAMPLED[:2]:
        torch.manual_seed(1)
        ours_loss = mine().loss(model, guide, X)
        torch.manual_seed(1)
        assert ours_loss == pytest.approx(theirs().loss(model, guide, X), rel=1e-12)


def test_full_rank_kl_against_torch() -> None:
    """`MultivariateNormal || Independent(Normal)`, which torch has not, is torch's MVN || MVN."""
    factor = torch.randn(4, 3, 3).tril(-1) + torch.diag_embed(torch.rand(4, 3) + 0.3)
    q = dist.MultivariateNormal(torch.randn(4, 3), scale_tril=factor)
    loc, scale = torch.randn(3), torch.rand(3) + 0.5
    p = dist.MultivariateNormal(loc, scale_tril=scale.diag())
    truth = torch.distributions.kl_divergence(q, p)
    mine = analytic_kl(q, dist.Normal(loc, scale).to_event(1))
    torch.testing.assert_close(mine, truth, rtol=1e-12, atol=1e-12)
    draws = q.sample((20000,))
    sampled = q.log_prob(draws) - p.log_prob(draws)
    error = sampled.std(0) / 20000**0.5
    assert ((sampled.mean(0) - truth).abs() < 5.5 * error).all()  # false alarm: 4 x 4e-8
