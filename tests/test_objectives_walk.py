"""Every objective with parts of every kind: it brings its own target up, or says why it cannot.

The target is what an objective raises, at the end of its schedules and with its own particles, on
copies of each datum; of one with a network or a multiplier of its own it is measured against that
one as it stands after training, before and after alike; for GECO it is the criterion of its
validation. Model, data, training and noise of all cells have one seed, the first that was tried,
and the noise is the same before and after. A target has to rise by a nat and by five standard
errors of the difference: noise alone would do so in 3e-7 of cells.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import OBJECTIVES, REPORTED, small_vae
from pyro.infer import SVI
from torch import Tensor, nn

import pyrovae
from pyrovae import priors
from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.models import VAE
from pyrovae.networks import MLP
from pyrovae.objectives import (
    DIP,
    ELBO,
    Adversarial,
    FactorVAE,
    InfoVAE,
    Objective,
    TotalCorrelation,
    Wasserstein,
)
from pyrovae.objectives.estimators import DRAWS
from pyrovae.posteriors import Posterior
from pyrovae.training import Callback

SEED = 0
SHAPE = torch.Size((1, 4, 12))
ROWS, RATE = 32, 0.1
COPIES = 16  # of each datum, where a target is measured
LEAST, ERRORS = 1.0, 5  # nats per datum, and standard errors of the difference

# ------------------------------------------------------------------------------ parts and data


class DrawnBits(Posterior):
    """Independent bits, drawn and not enumerated, so that no draw has a gradient."""

    head = Head(logits=1)
    reparameterised = False

    def forward(self, raw: Tensor, context: Context) -> Any:
        return dist.Bernoulli(logits=self.head.unpack(raw, self.event_shape)["logits"]).to_event(1)


@dataclass(frozen=True)
class Parts:
    """A prior, a posterior and a likelihood, and what mathematics says of them.

    `splits` says whether posterior and prior are products over dimensions, `moments` which moments
    of the posterior are known in closed form.
    """

    make: Callable[[], dict[str, Any]]
    enumerated: bool = False
    discrete: bool = False
    point: bool = False
    has_gradient: bool = True
    splits: bool = True
    moments: tuple[str, ...] = ("mean", "covariance")
    hides: bool = False
    counts: bool = False
    steps: int = 20


PARTS = {
    "normal vector": Parts(lambda: {}),
    "sphere": Parts(
        lambda: {"prior": "HypersphericalUniform"},
        splits=False,
        moments=("mean",),
        steps=40,  # its draws scatter over half the sphere at first, and say little of x
    ),
    "enumerated codes": Parts(lambda: {"prior": "Categorical"}, enumerated=True, discrete=True),
    "relaxed codes": Parts(lambda: {"prior": "RelaxedCategorical"}, moments=()),
    "drawn bits": Parts(
        lambda: {"prior": priors.BernoulliCode(2), "posterior": DrawnBits()},
        discrete=True,
        has_gradient=False,
    ),
    "flow": Parts(lambda: {"posterior": "PlanarFlow"}, splits=False, moments=()),
    "point": Parts(lambda: {"posterior": "Deterministic"}, point=True),
    "mixture prior": Parts(lambda: {"prior": "GaussianMixture"}, splits=False),
    "hidden pixels": Parts(lambda: {}, hides=True),
    "counts": Parts(
        lambda: {"posterior": "FullRankNormal", "likelihood": "Poisson"}, splits=False, counts=True
    ),
}


def batch_of(parts: Parts) -> dict[str, Tensor]:
    """Two patterns, each the other's opposite, which one bit of z tells apart."""
    pattern = (torch.arange(SHAPE.numel()).reshape(SHAPE) % 2).float()
    x = torch.stack([pattern, 1.0 - pattern]).repeat(ROWS // 2, 1, 1, 1)
    if parts.hides:
        known = torch.rand(x.shape, generator=torch.Generator().manual_seed(SEED)) < 0.75
        return {"x": x, "observed": known}
    return {"x": 4.0 * x if parts.counts else x}


def model_of(parts: Parts, batch: dict[str, Tensor]) -> VAE:
    """A small model whose starting values are set, so that no gain comes of setting them."""
    torch.manual_seed(SEED)
    networks = {"encoder": MLP((6,), activation="tanh"), "decoder": MLP((6,), activation="tanh")}
    vae = small_vae(**parts.make(), **networks, shape=SHAPE)
    vae.prepare(batch)
    return vae


# ------------------------------------------------------------------------------- what is legal


@dataclass(frozen=True)
class Reason:
    """When an objective does not take parts, and what is then said: where, why, and a way out."""

    applies: Callable[[Objective, Parts], bool]
    said: str


def floors_dimensions(objective: Objective) -> bool:
    if not isinstance(objective, ELBO):
        return False
    return objective.free_bits > 0.0 and objective.free_bits_group != "site"


def unknown_moment(objective: Objective, parts: Parts) -> bool:
    needed = {"I": ("mean",), "II": ("mean", "covariance")}
    return isinstance(objective, DIP) and not set(needed[objective.kind]) <= set(parts.moments)


SITE = "site 'z'"
REASONS = {
    "a point has no density": Reason(
        lambda objective, parts: parts.point and objective.needs_densities,
        f"{SITE}: the guide gives a point, which has no density, .* such as Wasserstein\\(\\), or "
        f"a posterior with a density, such as MeanFieldNormal\\(\\)",
    ),
    "draws without a gradient": Reason(
        lambda objective, parts: (
            not parts.has_gradient
            and objective.estimator != "mixed"
            and DRAWS[objective.estimator] != "detached"
        ),
        f"{SITE}: .*Bernoulli.* has no reparameterised draw.*; use .*ELBO\\(estimator='score'\\)"
        f".*relaxed family",
    ),
    "dreg weighs draws": Reason(
        lambda objective, parts: objective.estimator == "dreg" and parts.discrete,
        "estimator='dreg'.*(enumerated is not drawn|is discrete).*; use estimator='stl'",
    ),
    "wake-sleep draws": Reason(
        lambda objective, parts: objective.estimator == "wake" and parts.enumerated,
        r"draws every latent site.* enumerates \['z'\].*under ELBO and IWAE; use one of them",
    ),
    "a floor for each dimension": Reason(
        lambda objective, parts: floors_dimensions(objective) and not parts.splits,
        f"free_bits .* {SITE} .* does not factorise .*; use .*free_bits_group='site'",
    ),
    "a KL of each dimension": Reason(
        lambda objective, parts: isinstance(objective, TotalCorrelation) and not parts.splits,
        f"TotalCorrelation .* {SITE} .* does not factorise .*; use .* MeanFieldNormal",
    ),
    "a variance of codes": Reason(
        lambda objective, parts: isinstance(objective, DIP) and parts.discrete,
        f"DIP .* {SITE} z is discrete; use a posterior such as MeanFieldNormal",
    ),
    "no such moment": Reason(
        unknown_moment,
        f"DIP.* reads the (mean|covariance) .* {SITE} .* has none in closed form; use a posterior "
        f"such as MeanFieldNormal",
    ),
    "a distance between codes": Reason(
        lambda objective, parts: (
            isinstance(objective, Wasserstein | InfoVAE | Adversarial) and parts.discrete
        ),
        f"{SITE} is (discrete|enumerated): .* relaxed family",
    ),
    "a discriminator of values": Reason(
        lambda objective, parts: isinstance(objective, FactorVAE) and parts.enumerated,
        f"{SITE} is enumerated: .* relaxed family",
    ),
}


def reasons(objective: Objective, parts: Parts) -> list[Reason]:
    return [reason for reason in REASONS.values() if reason.applies(objective, parts)]


CELLS = [(name, kind) for name in OBJECTIVES for kind in PARTS]
LEGAL = [c for c in CELLS if not reasons(OBJECTIVES[c[0]].make(), PARTS[c[1]])]
ILLEGAL = [cell for cell in CELLS if cell not in LEGAL]

# ---------------------------------------------------------------------------------- two loops


class Kept(Callback):
    """What the objective played against in a run, as it stands at its end."""

    opponent: nn.Module | None = None

    def on_end(self, run: Any) -> None:
        self.opponent = run.loss.own.opponent


def by_fit(
    vae: VAE, objective: Objective, batch: dict[str, Tensor], steps: int
) -> nn.Module | None:
    kept = Kept()
    pyrovae.fit(
        vae, batch, objective=objective, epochs=steps, batch_size=len(batch["x"]), seed=SEED,
        device="cpu", optimizer=lambda p: torch.optim.Adam(p, lr=RATE), callbacks=[kept],
        progress=False,
    )  # fmt: skip
    return kept.opponent


def by_svi(
    vae: VAE, objective: Objective, batch: dict[str, Tensor], steps: int
) -> nn.Module | None:
    torch.manual_seed(SEED)
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": RATE}), objective)
    for _ in range(steps):
        svi.step(**batch)
    return next(opponents(objective), None)


def opponents(objective: Objective) -> Iterator[nn.Module]:
    if objective._private is not None:
        for by_guide in objective._private._kept.values():
            for by_name in by_guide.values():
                yield from (player.module for player in by_name.values())


LOOPS = {"fit": by_fit, "SVI": by_svi}


@torch.no_grad()
def target(
    vae: VAE, objective: Objective, batch: dict[str, Tensor], opponent: nn.Module | None
) -> Tensor:
    """What the objective raises, for each of many copies of the data under the same noise."""
    module = objective(vae.model, vae.guide)
    module.opponent = opponent
    torch.manual_seed(SEED)
    copies = {key: value.repeat_interleave(COPIES, 0) for key, value in batch.items()}
    return module.read(module.trace(**copies)).bound


def gain(name: str, kind: str, loop: str) -> tuple[float, float]:
    """How much a target rises in nats per datum, and the standard error for the noise."""
    parts, objective = PARTS[kind], OBJECTIVES[name].make()
    batch = batch_of(parts)
    vae = model_of(parts, batch)
    before = copy.deepcopy(vae)
    opponent = LOOPS[loop](vae, objective, batch, parts.steps)
    assert (opponent is not None) == objective.has_opponent
    found = [target(each, objective, batch, opponent) for each in (before, vae)]
    difference = found[1] - found[0]
    assert difference.isfinite().all()
    return difference.mean().item(), (difference.std() / len(difference) ** 0.5).item()


def fast_cells() -> list[tuple[str, str, str]]:
    """Each objective by both loops, with the parts that the loop has had least often."""
    found: list[tuple[str, str, str]] = []
    had: Counter[tuple[str, str]] = Counter()
    for name, loop in product(OBJECTIVES, LOOPS):
        kinds = [kind for row, kind in LEGAL if row == name]
        kind = min(kinds, key=lambda kind: had[kind, loop])
        had[kind, loop] += 1
        found.append((name, kind, loop))
    return found


FAST = fast_cells()


def marked(cells: list[tuple[str, str]], fast: list[tuple[str, str, str]]) -> list[Any]:
    """All cells by both loops, of which those beside the fast ones are slow."""
    both = [(*cell, loop) for cell in cells for loop in LOOPS]
    return [c if c in fast else pytest.param(*c, marks=pytest.mark.slow) for c in both]


@pytest.mark.parametrize(("name", "kind", "loop"), marked(LEGAL, FAST))
def test_its_own_target_rises(name: str, kind: str, loop: str) -> None:
    mean, error = gain(name, kind, loop)
    assert mean > max(LEAST, ERRORS * error)


IN_TURN = [(*cell, loop) for cell, loop in zip(ILLEGAL, cycle(LOOPS), strict=False)]


@pytest.mark.parametrize(("name", "kind", "loop"), marked(ILLEGAL, IN_TURN))
def test_it_is_refused_before_anything_moves(name: str, kind: str, loop: str) -> None:
    parts, objective = PARTS[kind], OBJECTIVES[name].make()
    found = [reason.said for reason in reasons(objective, parts)]
    require_refusal(objective, parts, loop, "|".join(f"({said})" for said in found))


def require_refusal(
    objective: Objective, parts: Parts, loop: str, said: str, *, rows: int = ROWS
) -> None:
    batch = {key: value[:rows] for key, value in batch_of(parts).items()}
    vae = small_vae(**parts.make(), shape=SHAPE)
    before = copy.deepcopy(vae.state_dict())
    with pytest.raises(ValueError, match=said):
        LOOPS[loop](vae, objective, batch, 1)
    torch.testing.assert_close(dict(vae.state_dict()), dict(before), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", REPORTED)
def test_what_is_reported_trains_nothing(name: str, loop: str) -> None:
    said = f"^{name} is an upper bound .* trains no model; train with ELBO\\(\\)"
    for parts in PARTS.values():
        require_refusal(REPORTED[name].make(), parts, loop, said)


FEW = {
    "fit": "needs at least 2 rows of every batch, and batch_size=1 .* give more data",
    "SVI": "needs at least 2 draws in each sample; .* a larger batch",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_single_row_is_enough_or_refused(loop: str) -> None:
    parts = PARTS["normal vector"]
    one = {key: value[:1] for key, value in batch_of(parts).items()}
    refused = []
    for name, case in OBJECTIVES.items():
        objective = case.make()
        if objective.least_rows > 1:
            require_refusal(objective, parts, loop, FEW[loop], rows=1)
            refused.append(name)
        else:
            vae = small_vae(shape=SHAPE)
            LOOPS[loop](vae, objective, one, 1)
            assert all(parameter.isfinite().all() for parameter in vae.parameters()), name
    assert refused == ["Wasserstein"]


def test_nothing_is_left_out() -> None:
    """Each row by both loops, each kind of parts by both, and no reason that refuses nothing."""
    assert {(name, loop) for name, _, loop in FAST} == set(product(OBJECTIVES, LOOPS))
    assert {(kind, loop) for _, kind, loop in FAST} == set(product(PARTS, LOOPS))
    for reason in REASONS.values():
        assert any(reason.applies(OBJECTIVES[name].make(), PARTS[kind]) for name, kind in ILLEGAL)
    print(f"\n{len(CELLS)} cells: {len(LEGAL)} legal, {len(ILLEGAL)} refused")
