"""Objectives with parameters of their own: who gets which gradient, and who trains the opponent."""

import copy
import gc
import math
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import OBJECTIVES, data_for, randomized, small_vae
from pyro.infer import SVI
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import SGD

import pyrovae
from pyrovae.networks import MLP
from pyrovae.objectives import (
    ELBO,
    GECO,
    Adversarial,
    FactorVAE,
    Measurement,
    Objective,
    trace_terms,
)
from pyrovae.objectives.factor_vae import permuted
from pyrovae.objectives.matching import matched_site, prior_draws
from pyrovae.objectives.opponents import unseen
from pyrovae.objectives.terms import particle_mean
from pyrovae.objectives.vectors import latent_draws, vectors
from pyrovae.training import Callback, compiled, fit
from pyrovae.training.checkpoints import Checkpoints, read_checkpoint

NAMES = ("FactorVAE", "Adversarial", "GECO")
SMALL = MLP((6,), activation="tanh")


def gradients(loss: Tensor, module: nn.Module) -> dict[str, Tensor]:
    named = dict(module.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {name: g for name, g in zip(named, found, strict=True) if g is not None}


# ------------------------------------------------------------------- who gets which gradient


def truth(objective: Any, terms: Any, opponent: nn.Module) -> tuple[Tensor, Tensor]:
    """The losses of the model and of the opponent, written out, summed over the batch."""
    reconstruction = particle_mean(terms.log_likelihood)
    rows = len(reconstruction)
    z = latent_draws(terms)
    logit = lambda draws: opponent(draws).squeeze(-1)  # noqa: E731
    if isinstance(objective, GECO):
        constraint = objective.target - reconstruction
        kl = particle_mean(terms.divergence("auto"))
        price = opponent.log.exp()
        return (kl + price * constraint).sum(), -(opponent.log * constraint.detach()).sum()
    if isinstance(objective, FactorVAE):
        kl = particle_mean(terms.divergence("auto"))
        other = permuted(z.detach())
        model = (kl - reconstruction).sum() + objective.gamma * rows * logit(z).mean()
    else:
        site = matched_site(terms)
        other = vectors(site, prior_draws(site).detach())
        caught = -torch.log1p(-torch.sigmoid(logit(z)))
        model = -reconstruction.sum() + objective.weight * rows * caught.mean()
    logits = torch.stack([logit(z.detach()), logit(other)])
    labels = torch.stack([torch.ones_like(logits[0]), torch.zeros_like(logits[0])])
    return model, rows * binary_cross_entropy_with_logits(logits, labels)


@pytest.mark.parametrize(
    "objective",
    [
        FactorVAE(gamma=3.0, network=SMALL, particles=3),
        Adversarial(weight=2.0, network=SMALL, particles=3),
        GECO(target=-6.0, multiplier=0.4, particles=3),
    ],
    ids=lambda objective: type(objective).__name__,
)
def test_each_player_gets_the_gradient_of_its_own_loss(
    objective: Objective, float64: torch.dtype
) -> None:
    """The model's is that against a fixed opponent, the opponent's that of its cross-entropy."""
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae, 7)
    module = objective(vae.model, vae.guide)
    module.settle(x)
    opponent = randomized(module.opponent, spread=0.3)
    torch.manual_seed(2)
    loss = module(x)
    torch.manual_seed(2)
    model_loss, own_loss = truth(objective, module.trace(x), opponent)
    everyone = nn.ModuleList([vae, opponent])
    ours = gradients(loss, everyone)
    theirs = {f"0.{name}": g for name, g in gradients(model_loss, vae).items()}
    theirs |= {f"1.{name}": g for name, g in gradients(own_loss, opponent).items()}
    assert ours.keys() == theirs.keys()
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    assert loss.item() == pytest.approx(len(x) * module.logged["loss"].item(), rel=1e-12)


# --------------------------------------------------------------------- what the best opponent says


class Quadratic(nn.Module):
    """Logits that are quadratic in z, as the log ratio of two normals is."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.linear = nn.Linear(numbers + numbers * (numbers + 1) // 2, 1)
        self.pairs = torch.triu_indices(numbers, numbers)

    def forward(self, z: Tensor) -> Tensor:
        products = z[:, self.pairs[0]] * z[:, self.pairs[1]]
        return self.linear(torch.cat([z, products], dim=1))


def quadratic(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
    return Quadratic(in_shape[0])


def normal_pair(loc: float, covariance: Tensor) -> tuple[Any, Any, Tensor]:
    """Programs whose guide has the aggregated posterior N(loc, covariance), and the data."""
    noise = 0.1
    spread = torch.distributions.MultivariateNormal(
        torch.full((len(covariance),), loc), covariance - noise**2 * torch.eye(len(covariance))
    )

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(x.shape[-1]), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x, noise).to_event(1))

    return model, guide, spread.sample(torch.Size([40_000]))


def at_its_best(objective: Any, covariance: Tensor, loc: float = 0.0) -> Any:
    """A module whose opponent has found its optimum on 40,000 draws, and its measurement."""
    torch.manual_seed(4)
    model, guide, x = normal_pair(loc, covariance)
    module = objective(model, guide)
    module.settle(x)
    optimizer = torch.optim.LBFGS(
        module.opponent.parameters(), max_iter=60, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        torch.manual_seed(5)  # the same draws each time
        optimizer.zero_grad()
        measured = module.measure(x)
        (-measured.bound.mean()).backward()
        return measured.logged["discriminator_loss"]

    optimizer.step(closure)
    torch.manual_seed(6)
    return module, module.measure(x)


def test_the_best_discriminator_says_the_total_correlation(float64: torch.dtype) -> None:
    """Against 1/2 (sum log S_ii - log det S), and the density ratio itself.

    Draws are fixed; the standard error of the estimate is 0.004 and the check is at 0.025, so that
    another seed would fail with a probability below 1e-8.
    """
    covariance = torch.tensor([[1.5, 0.9], [0.9, 1.0]])
    module, measured = at_its_best(FactorVAE(network=quadratic), covariance)
    marginals = covariance.diagonal()
    correlation = 0.5 * (marginals.log().sum() - covariance.logdet())
    assert measured.logged["total_correlation"].item() == pytest.approx(
        correlation.item(), abs=0.025
    )
    z = torch.cartesian_prod(torch.linspace(-1.2, 1.2, 5), torch.linspace(-1.0, 1.0, 5))
    joint = torch.distributions.MultivariateNormal(torch.zeros(2), covariance).log_prob(z)
    apart = torch.distributions.Normal(torch.zeros(2), marginals.sqrt()).log_prob(z).sum(-1)
    torch.testing.assert_close(module.opponent(z).squeeze(-1), joint - apart, rtol=0.0, atol=0.1)


def test_the_best_discriminator_says_the_distance_to_the_prior(float64: torch.dtype) -> None:
    """JS of N(0.8, 0.6^2) and N(0, 1) by quadrature, and the log ratio of the densities."""
    module, measured = at_its_best(Adversarial(network=quadratic), torch.tensor([[0.36]]), loc=0.8)
    q, p = torch.distributions.Normal(0.8, 0.6), torch.distributions.Normal(0.0, 1.0)
    grid = torch.linspace(-9.0, 9.0, 20_001)
    first, second = q.log_prob(grid), p.log_prob(grid)
    middle = torch.logaddexp(first, second) - math.log(2.0)
    parts = first.exp() * (first - middle) + second.exp() * (second - middle)
    distance = 0.5 * torch.trapezoid(parts, grid).item()
    assert measured.logged["jensen_shannon"].item() == pytest.approx(distance, abs=0.012)
    z = torch.linspace(-0.5, 2.0, 6)[:, None]
    ratio = (q.log_prob(z) - p.log_prob(z)).squeeze(-1)
    torch.testing.assert_close(module.opponent(z).squeeze(-1), ratio, rtol=0.0, atol=0.1)


# ----------------------------------------------------------------------- what the game comes to


def linear_vae(dim: int = 4) -> pyrovae.VAE:
    return pyrovae.VAE(
        prior=pyrovae.priors.StandardNormal(2),
        likelihood=pyrovae.likelihoods.Normal((dim,), scale=1.0),
        posterior=pyrovae.posteriors.MeanFieldNormal(),
        encoder=MLP(()),
        decoder=MLP(()),
    )


def test_geco_meets_its_target_at_the_least_kl() -> None:
    """Of the linear model the least KL at a reconstruction is known: beta times less of it.

    With a multiplier m the best posterior of a direction of variance v has a KL of
    (log(m v) ) / 2 and leaves 1 / m of the variance unexplained.
    """
    torch.manual_seed(0)
    scales = torch.tensor([4.0, 3.0, 0.5, 0.5])
    x = torch.randn(2000, 4) * scales
    target = -6.0
    vae = linear_vae()
    history = fit(
        vae, x, objective=GECO(target=target, lr=0.02), epochs=25, batch_size=100, seed=0,
        optimizer=lambda p: torch.optim.Adam(p, lr=0.02), progress=False,
    )  # fmt: skip
    reached = sum(history["train/reconstruction"][-5:]) / 5
    assert reached == pytest.approx(target, abs=0.1)
    variances = x.var(0, unbiased=False)
    fixed = -2.0 * math.log(2.0 * math.pi) - 0.5 * variances[2:].sum().item()
    multiplier = 2.0 * 0.5 / (fixed - target)  # two directions leave 1 / m each
    kl = 0.5 * (multiplier * variances[:2]).log().sum().item()
    assert sum(history["train/kl"][-5:]) / 5 == pytest.approx(kl, rel=0.05)
    assert sum(history["train/multiplier"][-5:]) / 5 == pytest.approx(multiplier, rel=0.1)


def test_factor_vae_makes_the_aggregated_posterior_independent() -> None:
    """Against the exact TC of a linear guide, with the decoder fixed so that z follows x."""
    torch.manual_seed(0)
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    x = torch.distributions.MultivariateNormal(torch.zeros(2), covariance).sample((4000,))

    class Guide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map = nn.Parameter(torch.eye(2))

        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(x @ self.map.T, 0.3).to_event(1))

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def correlation(guide: Guide) -> float:
        there = guide.map.detach() @ covariance @ guide.map.detach().T + 0.09 * torch.eye(2)
        return 0.5 * (there.diagonal().log().sum() - there.logdet()).item()

    def trained(objective: Any) -> float:
        guide = Guide()
        fit(
            (model, guide), x, objective=objective, epochs=4, batch_size=100, seed=0,
            optimizer=lambda p: torch.optim.Adam(p, lr=0.01), progress=False,
        )  # fmt: skip
        return correlation(guide)

    plain = trained(ELBO())
    assert plain > 0.2
    assert trained(FactorVAE(gamma=10.0, network=quadratic, lr=0.05)) < 0.5 * plain


@pytest.mark.parametrize("name", NAMES)
def test_under_plain_svi_the_objective_plays_by_itself(name: str) -> None:
    torch.manual_seed(0)
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae, 20)
    objective = OBJECTIVES[name].make()
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 0.02}), objective)
    svi.evaluate_loss(x)
    (player,) = players(objective)
    start = copy.deepcopy(dict(player.module.state_dict()))
    svi.evaluate_loss(x)
    assert same(start, player.module.state_dict())  # it looks, and moves nothing
    losses = [svi.step(x) for _ in range(40)]
    assert sum(losses[-5:]) < sum(losses[:5])
    assert [kept is player for kept in players(objective)] == [True]
    assert not same(start, player.module.state_dict())
    stored = {id(value) for value in pyro.get_param_store().values()}
    assert len(stored) == len(list(vae.parameters()))
    assert not stored & {id(parameter) for parameter in player.parameters}


def players(objective: Any) -> list[Any]:
    kept = objective._private._kept.values()
    return [p for by_guide in kept for named in by_guide.values() for p in named.values()]


def same(a: Any, b: Any) -> bool:
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_one_objective_of_two_models_has_an_opponent_for_each() -> None:
    """Also where programs are views or bound methods, which are made anew at each access."""
    objective = FactorVAE(network=SMALL)
    first, second = small_vae(), small_vae()
    x = data_for(first)
    for vae in (first, second, first, second):
        objective.loss_and_grads(vae.model, vae.guide, x)
    assert len(players(objective)) == 2

    class Programs:
        def model(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("x", dist.Normal(pyro.sample("z", dist.Normal(0.0, 1.0)), 1.0), obs=x)

        def guide(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(x, 1.0))

        def other(self, x: Tensor) -> None:
            self.guide(x)

    both = Programs()
    for guide in ("guide", "other", "guide"):
        objective.loss_and_grads(both.model, getattr(both, guide), torch.ones(3))
    assert len(players(objective)) == 4
    del both, first, vae
    gc.collect()
    assert len(players(objective)) == 1
    assert repr(copy.deepcopy(objective)) == repr(objective)


# -------------------------------------------------------------------------------- fit and its kin


class Stop(Callback):
    """Ends a run at a step as a kill would; None keeps the opponent at the end alone."""

    def __init__(self, step: int | None = None) -> None:
        self.step = step
        self.seen: list[dict[str, Tensor]] = []
        self.state: Any = None

    def on_step(self, run: Any) -> None:
        self.seen.append(copy.deepcopy(run.loss.player.module.state_dict()))
        if run.step == self.step:
            raise KeyboardInterrupt

    def on_end(self, run: Any) -> None:
        self.state = copy.deepcopy(run.loss.player.state())


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize(
    "objective",
    [FactorVAE(network=MLP((5,), normalization="batch")), GECO(target=-7.0)],
    ids=lambda objective: type(objective).__name__,
)
def test_a_resumed_game_ends_with_the_same_bits(
    objective: Any, compile: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both players, and of the opponent's optimiser."""
    monkeypatch.setattr(compiled, "compiled_graph", lambda graph, inputs: graph)
    monkeypatch.setattr(Checkpoints, "due", property(lambda self: True))

    def trained(hook: Stop, **more: Any) -> pyrovae.VAE:
        torch.manual_seed(0)
        vae = randomized(small_vae(), spread=0.1)
        x = data_for(vae, n=20)
        fit(
            vae, x, objective=objective, epochs=2, batch_size=8, seed=1, compile=compile,
            progress=False, callbacks=[hook], **more,
        )  # fmt: skip
        return vae

    whole, last = Stop(), Stop()
    vae = trained(whole)
    with pytest.raises(KeyboardInterrupt):
        trained(Stop(4), out=tmp_path / "run")
    again = trained(last, resume=tmp_path / "run")
    torch.testing.assert_close(again.state_dict(), vae.state_dict(), rtol=0.0, atol=0.0)
    torch.testing.assert_close(last.state, whole.state, rtol=0.0, atol=0.0)
    assert not same(whole.seen[0], whole.seen[-1])


class Critic(Objective):
    """A game of one's own, whose opponent has an optimiser that is not fused."""

    def __init__(self, *, particles: int = 1) -> None:
        super().__init__(particles=particles)

    def opponent(self, terms: Any) -> nn.Module:
        return nn.Linear(latent_draws(terms).shape[-1], 1)

    def opponent_optimizer(self, parameters: Any) -> SGD:
        return SGD(parameters, lr=0.1, momentum=0.9)

    def measure(self, terms: Any, step: Any = None, *, opponent: Any = None) -> Measurement:
        bound = particle_mean(terms.log_weight)
        judged = particle_mean(opponent(latent_draws(terms).detach()).squeeze(-1) - 1.0) ** 2
        return Measurement(bound - unseen(judged), {"loss": -bound.detach().mean()})


@pytest.mark.parametrize("objective", [Critic(), FactorVAE(network=SMALL)], ids=["SGD", "Adam"])
def test_a_step_that_is_not_finite_moves_neither_player(objective: Any) -> None:
    torch.manual_seed(0)
    vae = small_vae(likelihood="Normal", shape=(3,))
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(1))
    vae.prepare({"x": x})  # so that the mean of the data is not that of the bad row
    x[13] = 1e30
    hook = Stop()
    with pytest.warns(UserWarning, match=r"step 3 \(epoch 1\) is not finite: "):
        history = fit(
            vae, x, objective=objective, epochs=2, batch_size=4, seed=3, progress=False,
            callbacks=[hook],
        )  # fmt: skip
    bad = history.failure.step
    assert bad > 1
    before, after = hook.seen[bad - 2], hook.state["weights"]
    assert same(before, after)
    assert not same(hook.seen[0], after)


def test_what_is_not_finite_in_the_opponent_is_named() -> None:
    def broken(in_shape: Any, out_shape: Any) -> nn.Module:
        made = nn.Linear(in_shape[0], 1)
        nn.init.constant_(made.bias, float("nan"))
        return made

    vae = small_vae()
    before = copy.deepcopy(dict(vae.named_parameters()))
    with pytest.warns(UserWarning, match="is not finite") as said:
        fit(
            vae, data_for(vae, 12), objective=FactorVAE(gamma=0.0, network=broken), epochs=1,
            batch_size=4, progress=False,
        )  # fmt: skip
    assert "at parameter opponent.network.weight" in str(said[0].message)
    assert same(before, dict(vae.named_parameters()))


def test_the_opponent_uses_no_random_number_and_is_in_no_saved_model(tmp_path: Path) -> None:
    vae = small_vae(encoder=MLP((6,), normalization="batch")).train()
    x = data_for(vae)
    module = FactorVAE(network=SMALL)(vae.model, vae.guide)
    names = len(list(module.parameters()))
    before, state = torch.get_rng_state(), copy.deepcopy(vae.state_dict())
    module.settle(x)
    module.settle(x)
    assert torch.equal(before, torch.get_rng_state())
    assert same(state, vae.state_dict())  # nor has batch normalisation moved
    assert len(list(module.parameters())) == names + 4
    assert module.opponent.training
    other = FactorVAE(network=SMALL)(vae.model, vae.guide)  # makes its opponent when it is used
    values = []
    for each in (module, other):
        torch.manual_seed(3)
        each(x)
        values.append(torch.get_rng_state())
    assert torch.equal(*values)
    assert ELBO()(vae.model, vae.guide).settle(x) is None
    fit(vae, x.repeat(3, 1, 1, 1), objective=FactorVAE(network=SMALL), epochs=1, batch_size=5,
        out=tmp_path / "run", progress=False, seed=2)  # fmt: skip
    kept = pyrovae.load(tmp_path / "run" / "model")
    assert set(kept.state_dict()) == set(state)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda state: state.update(opponent=None), "its opponent is None"),
        (lambda state: state["opponent"]["weights"]["log"].fill_(math.nan), "opponent.weights.log"),
        (
            lambda state: state["opponent"]["optimizer"]["state"][0].update(exp_avg=torch.ones(9)),
            r"opponent.optimizer.state\[0\].exp_avg is float32 \[9\]",
        ),
    ],
)
def test_a_damaged_opponent_is_not_resumed(
    damage: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae = small_vae()
    told: dict[str, Any] = {
        "data": data_for(vae), "objective": GECO(target=-7.0), "batch_size": 5, "seed": 1,
        "progress": False,
    }  # fmt: skip
    fit(vae, epochs=1, out=tmp_path / "run", **told)
    state = read_checkpoint(tmp_path / "run")
    damage(state)
    monkeypatch.setattr("pyrovae.training.fitting.read_checkpoint", lambda folder: state)
    before = copy.deepcopy(vae.state_dict())
    with pytest.raises(
        ValueError, match=f"cannot be resumed from: its {said.removeprefix('its ')}"
    ):
        fit(vae, epochs=2, resume=tmp_path / "run", **told)
    assert same(before, vae.state_dict())


def test_one_seed_makes_one_opponent() -> None:
    ends = []
    for noise in (1, 2):
        torch.manual_seed(0)
        vae = small_vae()
        x = data_for(vae, 10)
        torch.manual_seed(noise)
        hook = Stop()
        fit(vae, x, objective=FactorVAE(network=SMALL), epochs=1, batch_size=5, seed=4,
            progress=False, callbacks=[hook])  # fmt: skip
        ends.append(hook.state["weights"])
    assert same(*ends)


def test_a_point_is_legal_for_the_adversary() -> None:
    torch.manual_seed(0)
    vae = small_vae("StandardNormal", "Deterministic")
    x = data_for(vae, 40)
    history = fit(vae, x, valid=x[:5], objective=Adversarial(network=SMALL, lr=0.01), epochs=3,
                  batch_size=10, progress=False)  # fmt: skip
    assert history["train/reconstruction"][-1] > history["train/reconstruction"][0]
    assert set(history.records[0]) >= {"train/jensen_shannon", "valid/discriminator_accuracy"}


def test_validation_of_geco_does_not_hang_on_the_multiplier() -> None:
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae)
    for target in (-4.0, -50.0):
        module = GECO(target=target)(vae.model, vae.guide)
        logged = {}
        for multiplier in (0.1, 30.0):
            module.settle(x)
            module.opponent.log.data.fill_(math.log(multiplier))
            torch.manual_seed(1)
            logged = module.read(module.trace(x)).logged
            missing = max(0.0, logged["constraint"].item())
            wanted = logged["kl"].item() + 10.0 * missing
            assert logged["loss"].item() == pytest.approx(wanted, rel=1e-5)


def test_a_multiplier_has_limits_and_comes_back() -> None:
    small = small_vae()
    x = data_for(small)
    module = GECO(target=1000.0)(small.model, small.guide)
    module.settle(x)
    module.opponent.log.data.fill_(14.5)
    module(x).backward()
    assert module.logged["multiplier"].item() == pytest.approx(math.exp(14.0), rel=1e-5)
    assert module.opponent.log.grad.item() == 0.0
    module = GECO(target=-1000.0)(small.model, small.guide)
    module.settle(x)
    module.opponent.log.data.fill_(14.5)
    module(x).backward()
    assert module.opponent.log.grad.item() > 0.0


# --------------------------------------------------------------------------------------- refusals


def test_what_is_no_draw_is_refused() -> None:
    vae = small_vae("Categorical", "Categorical enumerated")
    for objective in (FactorVAE(), Adversarial()):
        with pytest.raises(ValueError, match=r"site 'z' is enumerated: .* reparameterised"):
            objective.loss(vae.model, vae.guide, data_for(vae))


def test_a_prior_of_several_levels_is_refused_by_the_adversary_alone() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            top = pyro.sample("top", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            z = pyro.sample("z", dist.Normal(top.sum(-1), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("top", dist.Normal(x[:, None], torch.ones(2)).to_event(1))
            pyro.sample("z", dist.Normal(x, 1.0))

    x = torch.zeros(5)
    assert latent_draws(trace_terms(model, guide, (x,))).shape == (1, 5, 3)
    assert latent_draws(trace_terms(model, guide, (x,), particles=4)).shape == (4, 5, 3)
    assert FactorVAE(network=SMALL).loss(model, guide, x) != 0.0
    with pytest.raises(ValueError, match="expects one latent site; got 'top', 'z'"):
        Adversarial(network=SMALL).loss(model, guide, x)


def test_a_measurement_without_the_opponent_is_refused() -> None:
    vae = small_vae()
    for name in NAMES:
        objective = OBJECTIVES[name].make()
        terms = objective.trace(vae.model, vae.guide, data_for(vae))
        with pytest.raises(ValueError, match=f"{name} is measured against an opponent"):
            objective.measure(terms)
        made = objective.opponent(terms)
        assert objective.measure(terms, opponent=made).bound.shape == (5,)


def test_a_batch_of_one_and_of_none() -> None:
    vae = small_vae()
    for name in NAMES:
        objective = OBJECTIVES[name].make()
        assert math.isfinite(objective.loss(vae.model, vae.guide, data_for(vae, 1)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: FactorVAE(gamma=-1), "gamma to be a finite number of at least 0; got -1"),
        (lambda: FactorVAE(lr=float("nan")), "lr to be a finite number"),
        (lambda: FactorVAE(kl="exact"), "kl to be 'auto', 'analytic' or 'sampled'; got 'exact'"),
        (
            lambda: Adversarial(weight="1"),
            "weight to be a finite number of at least 0, or a schedule",
        ),
        (lambda: Adversarial(particles=0), "particles to be a positive integer"),
        (lambda: GECO(), "target, the .* in nats per datum; got none: .* ELBO"),
        (lambda: GECO(target=float("inf")), "target to be a finite number; got inf"),
        (lambda: GECO(target=1.0, multiplier=0.0), "multiplier to be a finite number above 0"),
        (lambda: GECO(target=1.0, decay=1.0), "decay to be .* of at least 0 and below 1; got 1.0"),
    ],
)
def test_bad_settings(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"expects {said}"):
        call()


def test_a_network_of_another_shape_is_refused() -> None:
    vae = small_vae()
    wide = FactorVAE(network=lambda in_shape, out_shape: nn.Linear(in_shape[0], 3))
    with pytest.raises(ValueError, match=r"FactorVAE.network .* expected \[5, 1\]"):
        wide.loss(vae.model, vae.guide, data_for(vae))
    with pytest.raises(TypeError, match=r"FactorVAE.network expects a network such as MLP"):
        FactorVAE(network=3).loss(vae.model, vae.guide, data_for(vae))
