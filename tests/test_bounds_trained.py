"""What training by the weighted bounds ends at, in a linear VAE whose optimum is known.

The guide's draws are replaced by the corners of a cross, over which averages of quadratic
functions are exact, so that nothing here is random: what is trained is the expected objective.
"""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import data_for, randomized, small_vae
from pyro.infer import SVI
from torch import Tensor, nn

import pyrovae
from pyrovae.objectives import ELBO, Capacity, MultiplyIWAE, Objective, Renyi
from pyrovae.schedules import Cycle, Ramp, Schedule

pytestmark = pytest.mark.usefixtures("float64")

EIGENVALUES = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.1], dtype=torch.float64)
LATENT = 4
VARIANCE = 0.3  # of the noise


class Cross(dist.Normal):
    """A normal in d dimensions of whose 2 d draws the mean of any quadratic is its expectation."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        eye = math.sqrt(LATENT) * torch.eye(LATENT)
        return self.loc + self.scale * torch.cat([eye, -eye]).unsqueeze(1)


def rows() -> Tensor:
    """Twelve centred rows whose covariance has the eigenvalues above, to rounding."""
    generator = torch.Generator().manual_seed(7)
    left, _ = torch.linalg.qr(torch.randn(12, 6, generator=generator))
    plain = left - left.mean(0)
    left, _ = torch.linalg.qr(plain[:, :5])
    right, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator))
    return math.sqrt(12.0) * left * EIGENVALUES.sqrt() @ right.T


class LinearVAE(nn.Module):
    """Model and guide of p(x | z) = N(W z, s^2 I) and q(z | x) = N(V x, diag t^2)."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(0.5 * torch.randn(5, LATENT, generator=generator))
        self.encoder = nn.Parameter(0.3 * torch.randn(LATENT, 5, generator=generator))
        self.log_scale = nn.Parameter(torch.full((LATENT,), -0.3))

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(LATENT), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ self.weight.T, VARIANCE**0.5).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        q = Cross(x @ self.encoder.T, self.log_scale.exp().expand(len(x), LATENT))
        with pyro.plate("data", len(x)):
            pyro.sample("z", q.to_event(1))

    def kl(self, x: Tensor) -> Tensor:
        """The batch mean of each dimension's KL, written out."""
        mean, log_scale = x @ self.encoder.T, self.log_scale
        square = mean.square().mean(0) + (2 * log_scale).exp()
        return (0.5 * (square - 1.0) - log_scale).detach()


def trained(vae: LinearVAE, objective: Objective, steps: int = 250) -> LinearVAE:
    """Train by Adam at a rate that falls to nothing, so that kinks are met as well."""
    x = rows()
    optimizer = torch.optim.Adam(vae.parameters(), lr=0.05, betas=(0.9, 0.99))
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (objective.differentiable_loss(vae.model, vae.guide, x) / len(x)).backward()
        optimizer.step()
        scheduler.step()
    return vae


@pytest.fixture(autouse=True)
def unchecked() -> Any:
    """Leave Pyro's checks out of the hundreds of steps."""
    with pyro.validation_enabled(False):
        yield


def test_averages_over_the_cross_are_exact() -> None:
    """The ELBO of the linear VAE, which is a quadratic, by its closed form."""
    vae, x = LinearVAE(), rows()
    found = ELBO(particles=2 * LATENT).loss(vae.model, vae.guide, x)
    mean = x @ vae.encoder.T @ vae.weight.T
    spread = (vae.weight.square() * (2 * vae.log_scale).exp()).sum()
    square = (x - mean).square().sum(-1).mean() + spread
    reconstruction = -0.5 * (5 * math.log(2 * math.pi * VARIANCE) + square / VARIANCE)
    assert found / 12 == pytest.approx((vae.kl(x).sum() - reconstruction).item(), rel=1e-12)


@pytest.mark.parametrize("beta", [1.0, 2.5, 14.0])
def test_beta_collapses_the_directions_that_theory_predicts(beta: float) -> None:
    """W_j^2 = max(l_j - beta s^2, 0) in each principal direction j (Lucas et al., 2019)."""
    x = rows()
    vae = LinearVAE()
    optimizer = torch.optim.LBFGS(
        vae.parameters(), max_iter=400, tolerance_grad=1e-11, tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    objective = ELBO(beta=beta, particles=2 * LATENT)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective.differentiable_loss(vae.model, vae.guide, x) / len(x)
        loss.backward()
        return loss

    optimizer.step(closure)
    predicted = (EIGENVALUES[:LATENT] - beta * VARIANCE).clamp(min=0.0)
    found = torch.linalg.svdvals(vae.weight.detach()).square()
    torch.testing.assert_close(found, predicted, rtol=1e-5, atol=1e-5)
    alive = vae.kl(x).sort(descending=True).values
    truth = 0.5 * (EIGENVALUES[:LATENT] / (beta * VARIANCE)).log().clamp(min=0.0)
    torch.testing.assert_close(alive, truth, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("group", "targets"), [(1, [0.2, 0.2, 0.2, 0.2]), (2, [0.2, 0.2]), ("site", [0.2])]
)
def test_free_bits_hold_each_group_at_its_floor(group: Any, targets: list[float]) -> None:
    """A beta under which all would collapse leaves each group just what is free."""
    objective = ELBO(beta=20.0, particles=2 * LATENT, free_bits=0.2, free_bits_group=group)
    vae = trained(LinearVAE(), objective)
    kl = vae.kl(rows()).reshape(len(targets), -1).sum(-1)
    torch.testing.assert_close(kl, torch.tensor(targets), rtol=0.0, atol=0.01)


@pytest.mark.parametrize("capacity", [0.0, 1.0, 4.0])
def test_the_kl_is_held_at_its_capacity(capacity: float) -> None:
    """From below and from above: the ELBO alone would take 3.1 nats."""
    truth = 0.5 * (EIGENVALUES[:LATENT] / VARIANCE).log().clamp(min=0.0).sum().item()
    assert truth == pytest.approx(3.1, abs=0.01)
    objective = Capacity(capacity=capacity, weight=30.0, particles=2 * LATENT)
    vae = trained(LinearVAE(), objective)
    assert vae.kl(rows()).sum().item() == pytest.approx(capacity, abs=0.02)


# -------------------------------------------------------------------- values, against other words


def terms_of(vae: LinearVAE) -> Any:
    return ELBO(particles=2 * LATENT).trace(vae.model, vae.guide, rows())


@pytest.mark.parametrize("floor", [1e-9, 0.4, 1.1, 5.0])
def test_free_bits_of_groups_against_loops(floor: float) -> None:
    vae = LinearVAE()
    terms = terms_of(vae)
    kl = vae.kl(rows()).tolist()
    reconstruction = ELBO(beta=0).measure(terms).bound.mean().item()
    for group, parts in {
        1: [[0], [1], [2], [3]],
        2: [[0, 1], [2, 3]],
        4: [[0, 1, 2, 3]],
        "site": [[0, 1, 2, 3]],
    }.items():
        floored = sum(max(floor, sum(kl[j] for j in part)) for part in parts)
        found = ELBO(beta=2.0, free_bits=floor, free_bits_group=group).measure(terms)
        assert found.bound.mean().item() == pytest.approx(reconstruction - 2.0 * floored)
        assert found.logged["kl"].item() == pytest.approx(sum(kl))
    for group in (3, 5, 8):
        with pytest.raises(ValueError, match=f"divides the 4 of site 'z'; got {group}; 'site'"):
            ELBO(free_bits=floor, free_bits_group=group).measure(terms)


@pytest.mark.parametrize(
    ("prior", "posterior"),
    [("GaussianMixture", "MeanFieldNormal"), ("StandardNormal", "FullRankNormal")],
)
def test_the_whole_of_a_site_needs_no_split(prior: str, posterior: str) -> None:
    vae = randomized(small_vae(prior, posterior), spread=0.3)
    torch.manual_seed(2)
    terms = ELBO().trace(vae.model, vae.guide, data_for(vae))
    plain = ELBO().measure(terms)
    kl = plain.logged["kl"].item()
    assert kl > 0.01
    for floor in (0.5 * kl, 2.0 * kl):
        found = ELBO(free_bits=floor, free_bits_group="site").measure(terms)
        truth = plain.logged["elbo"].item() - max(0.0, floor - kl)
        assert found.bound.mean().item() == pytest.approx(truth)
    with pytest.raises(ValueError, match="or free_bits_group='site', which floors the KL of all"):
        ELBO(free_bits=0.1, free_bits_group=2).measure(terms)


def test_capacity_follows_its_schedule() -> None:
    vae = LinearVAE()
    terms = terms_of(vae)
    kl = vae.kl(rows()).sum().item()
    objective = Capacity(capacity=Ramp(0.5, 9.0, steps=10), weight=7.0)
    reconstruction = ELBO(beta=0).measure(terms).bound
    for step, capacity in [(0, 0.5), (4, 3.9), (10, 9.0), (99, 9.0), (None, 9.0)]:
        found = objective.measure(terms, None if step is None else torch.tensor(step))
        truth = reconstruction - 7.0 * abs(kl - capacity)
        torch.testing.assert_close(found.bound, truth)
        assert found.logged["capacity"].item() == pytest.approx(capacity)
        assert found.logged["loss"].item() == pytest.approx(-truth.mean().item())
        assert found.logged["elbo"].item() == pytest.approx(reconstruction.mean().item() - kl)
    exact = Capacity(capacity=kl, weight=7.0).measure(terms).bound
    torch.testing.assert_close(exact, reconstruction)


def cyclic(step: int, total: int, cycles: int, share: float) -> float:
    """Beta of step t = 1, 2, ... as Fu et al. (2019, arXiv:1903.10145) write it, equation 6."""
    period = math.ceil(total / cycles)
    tau = ((step - 1) % period) / (total / cycles)
    return tau / share if tau <= share else 1.0


@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
def test_cyclic_warm_up_is_the_published_one(share: float) -> None:
    total, cycles = 40, 4
    objective = ELBO(beta=Cycle(period=total // cycles, fraction=share))
    vae = LinearVAE()
    terms = terms_of(vae)
    kl, reconstruction = vae.kl(rows()).sum(), ELBO(beta=0).measure(terms).bound
    for step in range(1, total + 1):
        found = objective.measure(terms, torch.tensor(step - 1))
        beta = cyclic(step, total, cycles, share)
        assert found.logged["beta"].item() == pytest.approx(beta)
        torch.testing.assert_close(found.bound.mean(), (reconstruction - beta * kl).mean())
    assert objective.measure(terms).logged["beta"].item() == 1.0  # what validation reads


@pytest.mark.parametrize(
    ("schedule", "settled"),
    [(Ramp(0.0, 1.0, steps=7, delay=2), 9), (Cycle(period=5), 0)],
    ids=repr,
)
def test_warm_up_reaches_the_objective_through_fit(schedule: Schedule, settled: int) -> None:
    """The steps that `fit` counts: of 12 rows in batches of 4, three an epoch."""
    vae = small_vae(likelihood="Normal network", shape=(5,))
    seen: list[float] = []

    class Noting(ELBO):
        def measure(self, terms: Any, step: Tensor | None = None) -> Any:
            found = super().measure(terms, step)
            if step is not None:
                seen.append(found.logged["beta"].item())
            return found

    pyrovae.fit(
        vae, rows(), objective=Noting(beta=schedule), epochs=4, batch_size=4, progress=False,
        compile=False, seed=0,
    )  # fmt: skip
    rehearsed, *stepped = seen  # before the first step the bound is measured once, to be refused
    assert rehearsed == schedule(torch.tensor(0)).item()
    assert stepped == pytest.approx([schedule(torch.tensor(step)).item() for step in range(12)])
    loss = pyrovae.training.losses.Loss(ELBO(beta=schedule), pyrovae.models.Pair(vae))
    assert loss.settled == settled


# ------------------------------------------------------------------------------ training by each


@pytest.mark.parametrize(
    "objective",
    [
        Renyi(alpha=0.5, particles=8),
        Renyi(alpha=-1.0, particles=8),
        Renyi(alpha=2.0, particles=8),
        MultiplyIWAE(particles=4, groups=3),
        Capacity(capacity=0.6, weight=10.0),
        ELBO(free_bits=0.3, free_bits_group=2),
        ELBO(free_bits=0.3, free_bits_group="site"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("way", ["fit", "SVI"])
def test_training_improves_what_it_raises(objective: Objective, way: str) -> None:
    torch.manual_seed(0)
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae, n=32)
    vae = small_vae()

    def target() -> float:
        torch.manual_seed(5)
        with torch.no_grad():
            terms = objective.trace(vae.model, vae.guide, x)
            return objective.measure(terms).bound.mean().item()

    before = target()
    if way == "fit":
        pyrovae.fit(
            vae, x, objective=objective, epochs=25, batch_size=32, seed=0, progress=False,
            compile=False, optimizer=lambda p: torch.optim.Adam(p, lr=0.02),
        )  # fmt: skip
    else:
        svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 0.02}), objective)
        for _ in range(25):
            svi.step(x)
    assert target() > before + 0.3
