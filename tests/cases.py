"""One row per exported part: how to make a small one, and what SciPy says of it.

A new part is one row here, and it is under every contract test. Oracles take the part, the raw
numbers (float64, `[*batch, *out_shape]`) and values, and use nothing of pyrovae's mathematics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyro.distributions as dist
import torch
from scipy import special, stats
from torch import Tensor

from pyrovae import likelihoods, posteriors, priors
from pyrovae.context import Context
from pyrovae.distances import (
    MMD,
    RBF,
    Energy,
    InverseMultiquadratic,
    Sinkhorn,
    SlicedWasserstein,
)
from pyrovae.likelihoods import (
    Bernoulli,
    Beta,
    Binomial,
    ContinuousBernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gamma,
    Laplace,
    LogNormal,
    LowRankNormal,
    Mixed,
    Multinomial,
    NegativeBinomial,
    Normal,
    Ordinal,
    Poisson,
    Standardized,
    StudentT,
    ZeroInflatedNegativeBinomial,
)
from pyrovae.models import (
    VAE,
    AuxiliaryVAE,
    Classifier,
    ClusterVAE,
    ConditionalVAE,
    SemiSupervisedVAE,
    StackedVAE,
)
from pyrovae.networks import MLP, Conv, Embedding, GatedMLP, ResNet, SetEncoder
from pyrovae.objectives import (
    CUBO,
    DIP,
    ELBO,
    GECO,
    IWAE,
    Adversarial,
    Capacity,
    FactorVAE,
    InfoVAE,
    MultiplyIWAE,
    Renyi,
    ReweightedWakeSleep,
    TotalCorrelation,
    Wasserstein,
)
from pyrovae.posteriors import (
    FullRankNormal,
    InverseAutoregressiveFlow,
    LogisticNormal,
    MeanFieldNormal,
    NormalMixture,
    PerDatum,
    PlanarFlow,
    PowerSpherical,
    SemiAmortized,
    SpikeAndSlab,
    SplineFlow,
    SylvesterFlow,
    VonMisesFisher,
)
from pyrovae.priors import (
    Dirichlet,
    ExemplarPrior,
    FlowPrior,
    GaussianMixture,
    HypersphericalUniform,
    StandardNormal,
    VampPrior,
)
from pyrovae.priors import LogisticNormal as LogisticNormalPrior
from pyrovae.priors import SpikeAndSlab as SpikeAndSlabPrior
from pyrovae.schedules import Constant, Cosine, Cycle, Ramp

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A part: `make(shape)` of a likelihood, `make(dim)` of a prior, else `make()`.

    What a model would bind, a prior of the data's shape or a posterior, is made unbound; `bound`
    binds it. The oracle takes the part, its raw numbers and a value, and returns the log-density.
    A prior names in `fits` a posterior's row that it trains with, and a posterior a prior's row.
    """

    make: Callable[..., Any]
    oracle: Callable[..., np.ndarray] | None = None
    # of one element of a likelihood, where discrete: all, or all but 1e-12 of them
    outcomes: tuple[float, ...] | None = None
    outcomes: tuple[float, ...] | None = None  # of one element of a likelihood, where discrete
    total: int | None = None  # of all elements, where the family is one given their sum
    kind: str = "vectors"  # of z; see pyrovae.models.fitting
    fits: str = ""
    sizes: tuple[int, ...] = (1, 2, 3)  # of one z, which the contract looks at
    point: bool = False  # whether all mass is on one value, so that there is no density
    sparse: bool = False  # whether some weights are masked, or stand for values no draw is near
    composite: bool = False  # a likelihood of several, whose masks its own file tests
    dependent: bool = False  # whether a likelihood's elements are, so that deletion sums anew
    alone: bool = False  # tested in a file of its own, for it needs more than raw numbers
    line: str = "real"  # how one element of a continuous likelihood is integrated; see measures


def scale_of(raw: np.ndarray) -> np.ndarray:
    """The documented map from raw numbers to scales: floor 1e-4, a raw zero is one."""
    return 1e-4 + np.logaddexp(0.0, np.asarray(raw) + np.log(np.e - 1.0))


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def randomized(part: Any, seed: int = 3, spread: float = 0.7) -> Any:
    """Move every parameter away from where it starts, so that no symmetry hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in part.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(spread * noise)
    return part


# ------------------------------------------------------------------------------------------ p(z)

ENCODED_SCALE = 0.4


def encode(pseudo_inputs: Tensor) -> Any:
    """A stand-in for q(z | .) that needs no network: data and latents of one shape."""
    scale = torch.full_like(pseudo_inputs, ENCODED_SCALE)
    return dist.Normal(0.5 * pseudo_inputs, scale).to_event(1)


CONTEXT = Context(encode=encode)
SIMPLEX: dict[str, Any] = {"kind": "points of a simplex", "sizes": (2, 3)}
SPIKES: dict[str, Any] = {"kind": "spikes and slabs"}


def _mixture(z: np.ndarray, loc: np.ndarray, scale: np.ndarray, logits: np.ndarray) -> np.ndarray:
    per_component = stats.norm.logpdf(z[..., None, :], loc, scale).sum(-1)
    return special.logsumexp(per_component + special.log_softmax(logits, axis=-1), axis=-1)


def _one_hot(z: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return (z * special.log_softmax(logits, axis=-1)).sum((-2, -1))


def _bits(z: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return stats.bernoulli.logpmf(z, special.expit(logits)).sum(-1)


def _relaxed_one_hot(
    z: np.ndarray, logits: np.ndarray, temperature: float, rows: int = 1
) -> np.ndarray:
    """The density of the relaxation of Maddison et al., summed over codes if they are in a row."""
    classes = z.shape[-1]
    alpha = special.softmax(logits, axis=-1)
    each = np.log(alpha * z ** (-temperature - 1.0)).sum(-1)
    each = each - classes * np.log((alpha * z**-temperature).sum(-1))
    constant = special.gammaln(classes) + (classes - 1) * np.log(temperature)
    return (each + constant).sum(tuple(range(-rows, 0)))


def _relaxed_bits(z: np.ndarray, logits: np.ndarray, temperature: float) -> np.ndarray:
    """The density of sigmoid(y), y logistic: SciPy's, with the change of variables."""
    logistic = stats.logistic(logits / temperature, 1.0 / temperature)
    return (logistic.logpdf(special.logit(z)) - np.log(z * (1.0 - z))).sum(-1)


def _dirichlet(prior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    learned = prior.concentration == "learned"
    a = scale_of(array(prior.raw_concentration)) if learned else prior.concentration * np.ones(3)
    a = a[: z.shape[-1]]
    rows = z.reshape(-1, z.shape[-1])
    return np.array([stats.dirichlet.logpdf(row / row.sum(), a) for row in rows]).reshape(
        z.shape[:-1]
    )


def _log_ratios(z: np.ndarray, loc: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The normal of log(z_k / z_K) and the Jacobian, row by row."""
    ratio = np.log(z[..., :-1] / z[..., -1:])
    shape = np.broadcast_shapes(ratio.shape, loc[..., :-1].shape)
    loc, variance = (np.broadcast_to(t, (*shape[:-1], z.shape[-1])) for t in (loc, variance))
    scores = np.zeros(shape[:-1])
    scores[...] = -np.log(z).sum(-1)
    for row in np.ndindex(shape[:-1]):
        mean = loc[row][:-1] - loc[row][-1]
        covariance = np.diag(variance[row][:-1]) + variance[row][-1]
        scores[row] += stats.multivariate_normal.logpdf(
            np.broadcast_to(ratio, shape)[row], mean, covariance
        )
    return scores


def _laplace_of_dirichlet(prior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    learned = prior.concentration == "learned"
    a = scale_of(array(prior.raw_concentration)) if learned else prior.concentration * np.ones(3)
    a = a[: z.shape[-1]]
    return _log_ratios(z, np.log(a), 1.0 / a)


def _spikes(z: np.ndarray, logits: Any, loc: Any, scale: Any) -> np.ndarray:
    share = special.expit(logits)
    return np.where(z == 0, np.log1p(-share), np.log(share) + stats.norm.logpdf(z, loc, scale)).sum(
        -1
    )


PRIORS: dict[str, Case] = {
    "StandardNormal": Case(
        lambda dim=2: StandardNormal(dim),
        lambda prior, raw, z: stats.norm.logpdf(z).sum(-1),
    ),
    "GaussianMixture": Case(
        lambda dim=2: GaussianMixture(dim, components=3),
        lambda prior, raw, z: _mixture(
            z, array(prior.loc), scale_of(array(prior.raw_scale)), array(prior.logits)
        ),
    ),
    "VampPrior": Case(
        lambda dim=2: VampPrior(dim, components=3),
        lambda prior, raw, z: _mixture(
            z, 0.5 * array(prior.pseudo_inputs), ENCODED_SCALE, np.zeros(prior.components)
        ),
    ),
    "Categorical": Case(
        lambda dim=2: priors.Categorical(dim, learned=True),
        lambda prior, raw, z: _one_hot(z, array(prior.weights.logits)),
        kind="one-hot codes",
        fits="Categorical enumerated",
        sizes=(2, 3),
    ),
    "BernoulliCode": Case(
        lambda dim=2: priors.BernoulliCode(dim, learned=True),
        lambda prior, raw, z: _bits(z, array(prior.weights.logits)),
        kind="binary codes",
        fits="BernoulliCode enumerated",
    ),
    "RelaxedCategorical": Case(
        lambda dim=2: priors.RelaxedCategorical(dim, learned=True),
        lambda prior, raw, z: _relaxed_one_hot(z, array(prior.weights.logits), prior.temperature),
        kind="points of a simplex",
        fits="RelaxedCategorical drawn",
        sizes=(2, 3),
        alone=True,  # its z stands in a row of one, tested in test_relaxed_codes.py
    ),
    "RelaxedBernoulli": Case(
        lambda dim=2: priors.RelaxedBernoulli(dim, learned=True),
        lambda prior, raw, z: _relaxed_bits(z, array(prior.weights.logits), prior.temperature),
        fits="RelaxedBernoulli drawn",
        alone=True,  # its vectors are bounded, tested in test_relaxed_codes.py
    ),
    "Dirichlet": Case(
        lambda dim=2: Dirichlet(dim, concentration=0.8),
        _dirichlet,
        **SIMPLEX,
        fits="LogisticNormal",
    ),
    "Dirichlet learned": Case(
        lambda dim=2: Dirichlet(dim, concentration="learned"),
        _dirichlet,
        **SIMPLEX,
        fits="LogisticNormal",
    ),
    "LogisticNormal 0.8": Case(
        lambda dim=2: LogisticNormalPrior(dim, concentration=0.8),
        _laplace_of_dirichlet,
        **SIMPLEX,
        fits="LogisticNormal",
    ),
    "LogisticNormal learned": Case(
        lambda dim=2: LogisticNormalPrior(dim, concentration="learned"),
        _laplace_of_dirichlet,
        **SIMPLEX,
        fits="LogisticNormal",
    ),
    "SpikeAndSlab 0.3": Case(
        lambda dim=2: SpikeAndSlabPrior(dim, slab_share=0.3),
        lambda prior, raw, z: _spikes(z, special.logit(0.3), 0.0, 1.0),
        **SPIKES,
        fits="SpikeAndSlab",
    ),
    "SpikeAndSlab learned": Case(
        lambda dim=2: SpikeAndSlabPrior(dim, slab_share="learned"),
        lambda prior, raw, z: _spikes(z, array(prior.logits), 0.0, 1.0),
        **SPIKES,
        fits="SpikeAndSlab",
    ),
    "Normal learned": Case(  # there is a likelihood's row of the name alone
        lambda dim=2: priors.Normal(dim),
        lambda prior, raw, z: stats.norm.logpdf(
            z, array(prior.loc), scale_of(array(prior.raw_scale))
        ).sum(-1),
    ),
    "Laplace": Case(
        lambda dim=2: priors.Laplace(dim, scale=0.8),
        lambda prior, raw, z: stats.laplace.logpdf(z, scale=0.8).sum(-1),
    ),
    "StudentT": Case(
        lambda dim=2: priors.StudentT(dim, df=9.0),
        lambda prior, raw, z: stats.t.logpdf(z, 9.0).sum(-1),
    ),
    "ConditionalNormal": Case(  # which needs a condition: tests/test_vector_parts.py
        lambda dim=2: priors.ConditionalNormal(dim, condition=3, hidden=(5,)),
        alone=True,
    ),
    "HypersphericalUniform": Case(
        lambda dim=2: HypersphericalUniform(dim),
        lambda prior, raw, z: np.full(
            z.shape[:-1],
            special.gammaln(0.5 * prior.dim) - 0.5 * prior.dim * np.log(np.pi) - np.log(2.0),
        ),
        kind="points of a sphere",
        fits="PowerSpherical",
        sizes=(2, 3),
    ),
    "ExemplarPrior": Case(
        lambda dim=2: ExemplarPrior(dim, exemplars=3),
        lambda prior, raw, z: _mixture(
            z, 0.5 * array(prior.examples), scale_of(array(prior.raw_scale)), np.zeros(3)
        ),
    ),
    "FlowPrior coupling": Case(
        lambda dim=2: FlowPrior(dim, kind="coupling", layers=2, hidden=(4,)), sparse=True
    ),
    "FlowPrior autoregressive": Case(
        lambda dim=2: FlowPrior(dim, kind="autoregressive", layers=2, hidden=(4,)), sparse=True
    ),
    "FlowPrior spline": Case(
        lambda dim=2: FlowPrior(dim, kind="spline", layers=1, hidden=(4,)), sparse=True
    ),
}

# -------------------------------------------------------------------------------------- p(x | z)


def _summed(terms: np.ndarray, likelihood: Any) -> np.ndarray:
    return terms.sum(tuple(range(-len(likelihood.event_shape), 0)))


def _columns(likelihood: Any, raw: np.ndarray) -> dict[str, np.ndarray]:
    """The raw numbers of each parameter, which stand along the first dimension of the event."""
    names = list(likelihood.head.sizes)
    return dict(zip(names, np.split(raw, len(names), -len(likelihood.event_shape)), strict=True))


def _number(likelihood: Any, raw: np.ndarray, name: str) -> Any:
    """A positive number that is given, learned or predicted."""
    given = getattr(likelihood, name)
    if given == "network":
        return scale_of(_columns(likelihood, raw)[name])
    if isinstance(given, str):
        return scale_of(array(getattr(likelihood, f"raw_{name}")))
    return given


def _normal(likelihood: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    if likelihood.scale == "optimal":
        scale = np.sqrt(array(likelihood.optimal.variance))
    else:
        scale = _number(likelihood, raw, "scale")
    return _summed(stats.norm.logpdf(x, _columns(likelihood, raw)["loc"], scale), likelihood)


def _laplace(likelihood: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    loc, scale = _columns(likelihood, raw)["loc"], _number(likelihood, raw, "scale")
    return _summed(stats.laplace.logpdf(x, loc, scale), likelihood)


def _student_t(likelihood: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    loc, scale = _columns(likelihood, raw)["loc"], _number(likelihood, raw, "scale")
    df = _number(likelihood, raw, "df") + (1.0 if isinstance(likelihood.df, str) else 0.0)
    return _summed(stats.t.logpdf(x, df, loc, scale), likelihood)


def _log_normal(likelihood: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    loc, scale = _columns(likelihood, raw)["loc"], _number(likelihood, raw, "scale")
    return _summed(stats.lognorm.logpdf(x, scale, scale=np.exp(loc)), likelihood)


def _gamma(likelihood: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    mean = scale_of(_columns(likelihood, raw)["mean"])
    a = _number(likelihood, raw, "concentration")
    return _summed(stats.gamma.logpdf(x, a, scale=mean / a), likelihood)


def _beta(likelihood: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    mean = 1e-4 + (1.0 - 2e-4) * special.expit(_columns(likelihood, raw)["mean"])
    total = _number(likelihood, raw, "concentration")
    return _summed(stats.beta.logpdf(x, mean * total, (1.0 - mean) * total), likelihood)


def _standardized(shape: Shape = (3,)) -> Standardized:
    """Standardised data, as if some had been seen."""
    part = Standardized(Normal(shape, scale="element"))
    part.centre.copy_(torch.linspace(-1.0, 2.0, part.centre.numel()).reshape(shape))
    part.spread.copy_(torch.linspace(0.5, 1.5, part.spread.numel()).reshape(shape))
    return part


def _unstandardized(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    centre, spread = array(part.centre), array(part.spread)
    scale = scale_of(array(part.likelihood.raw_scale))
    return _summed(stats.norm.logpdf(x, centre + spread * raw, spread * scale), part)


def _mixed(shape: Shape = (3,)) -> Mixed:
    parts: list[Any] = [Normal((1, *shape[1:]), scale="network")]
    return Mixed([*parts, *([_standardized((shape[0] - 1, *shape[1:]))] if shape[0] > 1 else [])])


def _side_by_side(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    first, *rest = part.parts
    cut = 2 * int(np.prod(first.event_shape))
    axis = -len(part.event_shape)
    one, other = np.split(x, [1], axis)
    shaped = raw[..., :cut].reshape(*raw.shape[:-1], 2, *first.event_shape[1:])
    score = _normal(first, shaped, one)
    for following in rest:
        raws = raw[..., cut:].reshape(*raw.shape[:-1], *following.event_shape)
        score = score + _unstandardized(following, raws, other)
    return score


def _codes(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The logits of all elements for level 0 come first, then those for level 1, and so on."""
    depth = len(part.event_shape)
    first = raw.ndim - depth
    logits = raw.reshape(*raw.shape[:first], part.levels, *part.event_shape)
    scores = special.log_softmax(logits, axis=first)
    chosen = np.expand_dims(x.astype(int), first)
    return _summed(np.take_along_axis(scores, chosen, first).squeeze(first), part)


def _ordinal(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A logistic variable about f, and between which cut points it lies."""
    gaps = scale_of(array(part.raw_gaps))
    cuts = np.concatenate([np.zeros_like(gaps[..., :1]), np.cumsum(gaps, -1)], -1)
    cuts = cuts - cuts.mean(-1, keepdims=True)
    ends = np.full((*cuts.shape[:-1], 1), np.inf)
    cuts = np.broadcast_to(np.concatenate([-ends, cuts, ends], -1), (*x.shape, part.levels + 1))
    level = x.astype(int)[..., None]
    above = np.take_along_axis(cuts, level + 1, -1).squeeze(-1)
    below = np.take_along_axis(cuts, level, -1).squeeze(-1)
    mass = stats.logistic.cdf(above, raw) - stats.logistic.cdf(below, raw)
    return _summed(np.log(mass), part)


def _counts(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    """SciPy's negative binomial, with additional zeros where a gate is predicted."""
    split = np.split(raw, len(part.head.sizes), -len(part.event_shape))
    pieces = dict(zip(part.head.sizes, split, strict=True))
    if part.dispersion == "network":
        dispersion = scale_of(pieces["dispersion"])
    elif part.dispersion in ("shared", "element"):
        dispersion = scale_of(array(part.raw_dispersion))
    else:
        dispersion = np.float64(part.dispersion)
    size = 1.0 / dispersion
    scores = stats.nbinom.logpmf(x, size, size / (size + np.exp(pieces["mean"])))
    if "gate" in pieces:
        gate = special.expit(pieces["gate"])
        scores = np.log(gate * (x == 0) + (1.0 - gate) * np.exp(scores))
    return _summed(scores, part)


COUNTS = tuple(map(float, range(700)))  # beyond, less than 1e-12 in all rows


def _continuous_bernoulli(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    """An exponential variable of rate |l|, cut off at one, measured from the likelier end."""
    away = np.where(raw > 0, 1.0 - x, x)
    return _summed(
        stats.truncexpon.logpdf(away * np.abs(raw), np.abs(raw)) + np.log(abs(raw)), part
    )


def _level_masses(loc: np.ndarray, raw_scale: np.ndarray, x: np.ndarray, n: int) -> np.ndarray:
    """By SciPy's distribution function, in the tail that a level stands in."""
    logistic = stats.logistic(0.5 * n * (1.0 + loc), 0.5 * n * scale_of(raw_scale))
    low = np.where(x == 0, -np.inf, x - 0.5)
    high = np.where(x == n, np.inf, x + 0.5)
    below = logistic.cdf(high) - logistic.cdf(low)
    return np.where(x > logistic.mean(), logistic.sf(low) - logistic.sf(high), below)


def _discretized_logistic(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    loc, raw_scale = np.split(raw, 2, axis=-len(part.event_shape))
    return _summed(np.log(_level_masses(loc, raw_scale, x, part.total_count)), part)


def _discretized_logistic_mixture(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    blocks = np.stack(np.split(raw, 3 * part.components, axis=-len(part.event_shape)))
    logits, loc, raw_scale = np.split(blocks, 3)
    masses = special.softmax(logits, axis=0) * _level_masses(loc, raw_scale, x, part.total_count)
    return _summed(np.log(masses.sum(0)), part)


def _low_rank_likelihood(part: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    depth = len(part.event_shape)
    blocks = np.split(raw, 2 + part.rank, axis=-depth)
    loc, scale, *lean = (block.reshape(*raw.shape[:-depth], -1) for block in blocks)
    flat = x.reshape(*x.shape[: x.ndim - depth], -1)
    scores = np.empty(np.broadcast_shapes(loc.shape[:-1], flat.shape[:-1]))
    loc, scale, flat, *lean = (np.broadcast_to(t, (*scores.shape, t.shape[-1]))
                               for t in (loc, scale_of(scale), flat, *lean))  # fmt: skip
    bound = 10.0 / np.sqrt(part.rank)
    for row in np.ndindex(scores.shape):
        columns = scale[row] * bound * np.tanh(np.stack([column[row] for column in lean]) / bound)
        covariance = np.diag(scale[row] ** 2) + columns.T @ columns
        scores[row] = stats.multivariate_normal.logpdf(flat[row], loc[row], covariance)
    return scores


def _multinomial(likelihood: Any, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    dims = tuple(range(-len(likelihood.event_shape), 0))
    x, p = np.broadcast_arrays(x, special.softmax(raw, axis=dims))
    x, p = (v.reshape(*v.shape[: dims[0]], -1) for v in (x, p))
    return stats.multinomial.logpmf(x, x.sum(-1), p)


LIKELIHOODS: dict[str, Case] = {
    "Bernoulli": Case(
        lambda shape=(3,): Bernoulli(shape),
        lambda part, raw, x: _summed(stats.bernoulli.logpmf(x, special.expit(raw)), part),
        outcomes=(0.0, 1.0),
    ),
    "Binomial": Case(
        lambda shape=(3,): Binomial(shape, total_count=5),
        lambda part, raw, x: _summed(stats.binom.logpmf(x, 5, special.expit(raw)), part),
        outcomes=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
    ),
    "Normal": Case(lambda shape=(3,): Normal(shape, scale=0.5), _normal),
    "Normal shared": Case(lambda shape=(3,): Normal(shape, scale="shared"), _normal),
    "Normal element": Case(lambda shape=(3,): Normal(shape, scale="element"), _normal),
    "Normal network": Case(lambda shape=(3,): Normal(shape, scale="network"), _normal),
    "Standardized": Case(_standardized, _unstandardized),
    "Mixed": Case(_mixed, _side_by_side, composite=True),
    "Normal optimal": Case(lambda shape=(3,): Normal(shape, scale="optimal"), _normal),
    "Laplace fixed": Case(lambda shape=(3,): Laplace(shape, scale=0.5), _laplace),
    "Laplace shared": Case(
        lambda shape=(3,): Laplace(shape, scale="shared"), _laplace, line="long"
    ),
    "Laplace element": Case(
        lambda shape=(3,): Laplace(shape, scale="element"), _laplace, line="long"
    ),
    "Laplace network": Case(lambda shape=(3,): Laplace(shape, scale="network"), _laplace),
    "StudentT fixed": Case(
        lambda shape=(3,): StudentT(shape, scale=0.5, df=4), _student_t, line="wide"
    ),
    "StudentT shared": Case(
        lambda shape=(3,): StudentT(shape, scale="element", df="shared"), _student_t, line="wide"
    ),
    "StudentT element": Case(
        lambda shape=(3,): StudentT(shape, scale="shared", df="element"), _student_t, line="wide"
    ),
    "StudentT network": Case(
        lambda shape=(3,): StudentT(shape, scale="network", df="network"), _student_t, line="wide"
    ),
    "LogNormal fixed": Case(
        lambda shape=(3,): LogNormal(shape, scale=0.5), _log_normal, line="positive"
    ),
    "LogNormal shared": Case(lambda shape=(3,): LogNormal(shape), _log_normal, line="positive"),
    "LogNormal element": Case(
        lambda shape=(3,): LogNormal(shape, scale="element"), _log_normal, line="positive"
    ),
    "LogNormal network": Case(
        lambda shape=(3,): LogNormal(shape, scale="network"), _log_normal, line="positive"
    ),
    "Gamma fixed": Case(
        lambda shape=(3,): Gamma(shape, concentration=2.5), _gamma, line="positive"
    ),
    "Gamma shared": Case(lambda shape=(3,): Gamma(shape), _gamma, line="positive"),
    "Gamma element": Case(
        lambda shape=(3,): Gamma(shape, concentration="element"), _gamma, line="positive"
    ),
    "Gamma network": Case(
        lambda shape=(3,): Gamma(shape, concentration="network"), _gamma, line="positive"
    ),
    "Beta fixed": Case(lambda shape=(3,): Beta(shape, concentration=2.5), _beta, line="unit"),
    "Beta shared": Case(lambda shape=(3,): Beta(shape), _beta, line="unit"),
    "Beta element": Case(
        lambda shape=(3,): Beta(shape, concentration="element"), _beta, line="unit"
    ),
    "Beta network": Case(
        lambda shape=(3,): Beta(shape, concentration="network"), _beta, line="unit"
    ),
    "Categorical levels": Case(  # there is a prior's row of the name alone
        lambda shape=(3,): likelihoods.Categorical(shape, levels=4),
        _codes,
        outcomes=(0.0, 1.0, 2.0, 3.0),
    ),
    "Ordinal": Case(
        lambda shape=(3,): Ordinal(shape, levels=4), _ordinal, outcomes=(0.0, 1.0, 2.0, 3.0)
    ),
    "Ordinal shared": Case(
        lambda shape=(3,): Ordinal(shape, cuts="shared"), _ordinal, outcomes=(0.0, 1.0, 2.0)
    ),
    "Poisson": Case(
        lambda shape=(3,): Poisson(shape),
        lambda part, raw, x: _summed(stats.poisson.logpmf(x, np.exp(raw)), part),
        outcomes=COUNTS[:100],
    ),
    "NegativeBinomial": Case(lambda shape=(3,): NegativeBinomial(shape), _counts, outcomes=COUNTS),
    "NegativeBinomial 0.3": Case(
        lambda shape=(3,): NegativeBinomial(shape, dispersion=0.3), _counts, outcomes=COUNTS
    ),
    "NegativeBinomial shared": Case(
        lambda shape=(3,): NegativeBinomial(shape, dispersion="shared"), _counts, outcomes=COUNTS
    ),
    "NegativeBinomial network": Case(
        lambda shape=(3,): NegativeBinomial(shape, dispersion="network"), _counts, outcomes=COUNTS
    ),
    "ZeroInflatedNegativeBinomial": Case(
        lambda shape=(3,): ZeroInflatedNegativeBinomial(shape), _counts, outcomes=COUNTS
    ),
    "ZeroInflatedNegativeBinomial network": Case(
        lambda shape=(3,): ZeroInflatedNegativeBinomial(shape, dispersion="network"),
        _counts,
        outcomes=COUNTS,
    ),
    "ContinuousBernoulli": Case(
        lambda shape=(3,): ContinuousBernoulli(shape), _continuous_bernoulli, line="unit"
    ),
    "DiscretizedLogistic": Case(
        lambda shape=(3,): DiscretizedLogistic(shape, total_count=5),
        _discretized_logistic,
        outcomes=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
    ),
    "DiscretizedLogisticMixture": Case(
        lambda shape=(3,): DiscretizedLogisticMixture(shape, total_count=5, components=3),
        _discretized_logistic_mixture,
        outcomes=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
    ),
    "LowRankNormal likelihood": Case(  # there is a posterior's row of the name alone
        lambda shape=(3,): LowRankNormal(shape), _low_rank_likelihood, dependent=True
    ),
    "Multinomial": Case(
        lambda shape=(3,): Multinomial(shape, total=5),
        _multinomial,
        outcomes=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
        total=5,
    ),
    "Multinomial data": Case(  # before it has seen any: one count
        lambda shape=(3,): Multinomial(shape), _multinomial, outcomes=(0.0, 1.0), total=1
    ),
}

# The rows that costly tests walk over: of each class the last, and the normal with two networks.
FAMILIES = [
    "Normal network",
    *{type(case.make((3,))).__name__: name for name, case in LIKELIHOODS.items()}.values(),
]

# -------------------------------------------------------------------------------------- q(z | x)


def _shaped(posterior: Any, raw: np.ndarray) -> np.ndarray:
    """Raw numbers of a flat head in the shape of z."""
    return raw.reshape(*raw.shape[:-1], *posterior.event_shape)


def _mean_field(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    loc, raw_scale = np.split(raw, 2, axis=-1)
    return stats.norm.logpdf(z, loc, scale_of(raw_scale)).sum(-1)


def _full_rank(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    (dim,) = posterior.event_shape
    scores = np.empty(np.broadcast_shapes(raw.shape[:-1], z.shape[:-1]))
    raw = np.broadcast_to(raw, (*scores.shape, raw.shape[-1]))
    z = np.broadcast_to(z, (*scores.shape, dim))
    for row in product(*map(range, scores.shape)):
        loc, raw_scale, below = np.split(raw[row], [dim, 2 * dim])
        lean = np.eye(dim)
        lean[np.tril_indices(dim, -1)] = 100.0 * np.tanh(below / 100.0)
        factor = np.diag(scale_of(raw_scale)) @ lean
        scores[row] = stats.multivariate_normal.logpdf(z[row], loc, factor @ factor.T)
    return scores


def _softmax_normal(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    loc, raw_scale = np.split(raw, 2, axis=-1)
    return _log_ratios(z, loc, scale_of(raw_scale) ** 2)


def _spike_and_slab(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    loc, raw_scale, gate = np.split(raw, 3, axis=-1)
    return _spikes(z, gate, loc, scale_of(raw_scale))


def _normal_mixture(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    count, dim = posterior.components, z.shape[-1]
    loc, raw_scale, logits = np.split(raw, [count * dim, 2 * count * dim], axis=-1)
    shape = (*raw.shape[:-1], count, dim)
    return _mixture(z, loc.reshape(shape), scale_of(raw_scale.reshape(shape)), logits)


def _isotropic(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    return stats.norm.logpdf(z, raw[..., :-1], scale_of(raw[..., -1:])).sum(-1)


def _low_rank(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    (dim,), rank = posterior.event_shape, posterior.rank
    scores = np.empty(np.broadcast_shapes(raw.shape[:-1], z.shape[:-1]))
    raw = np.broadcast_to(raw, (*scores.shape, raw.shape[-1]))
    z = np.broadcast_to(z, (*scores.shape, dim))
    longest = 100.0 / np.sqrt(dim * rank)
    for row in product(*map(range, scores.shape)):
        loc, raw_scale, lean = np.split(raw[row], [dim, 2 * dim])
        lean = longest * np.tanh(lean.reshape(dim, rank) / longest)
        stretch = np.diag(scale_of(raw_scale))
        covariance = stretch @ (np.eye(dim) + lean @ lean.T) @ stretch
        scores[row] = stats.multivariate_normal.logpdf(z[row], loc, covariance)
    return scores


def _laplace(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    loc, raw_scale = np.split(raw, 2, axis=-1)
    return stats.laplace.logpdf(z, loc, scale_of(raw_scale)).sum(-1)


def _mean_direction(raw: np.ndarray) -> np.ndarray:
    moved = raw[..., :-1] + 1e-3 * np.eye(raw.shape[-1] - 1)[0]
    return moved / np.linalg.norm(moved, axis=-1, keepdims=True)


def _power_spherical(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    (dim,) = posterior.event_shape
    k, b = scale_of(raw[..., -1]), 0.5 * (dim - 1)
    log_norm = (k + 2.0 * b) * np.log(2.0) + b * np.log(np.pi)
    log_norm += special.gammaln(k + b) - special.gammaln(k + 2.0 * b)
    return k * np.log1p((_mean_direction(raw) * z).sum(-1)) - log_norm


def _von_mises_fisher(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    loc, k = _mean_direction(raw), scale_of(raw[..., -1])
    scores = np.empty(np.broadcast_shapes(raw.shape[:-1], z.shape[:-1]))
    loc, z = (np.broadcast_to(given, (*scores.shape, z.shape[-1])) for given in (loc, z))
    k = np.broadcast_to(k, scores.shape)
    for row in product(*map(range, scores.shape)):
        scores[row] = stats.vonmises_fisher(loc[row], k[row]).logpdf(z[row])
    return scores


def _per_datum(posterior: Any, raw: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Of the first row of the table, which is what an index of zeros looks up."""
    return _mean_field(posterior, array(posterior.table[0]), z)


POSTERIORS: dict[str, Case] = {
    "MeanFieldNormal": Case(MeanFieldNormal, _mean_field),
    "FullRankNormal": Case(FullRankNormal, _full_rank),
    "Categorical enumerated": Case(
        posteriors.Categorical,
        lambda posterior, raw, z: _one_hot(z, _shaped(posterior, raw)),
        kind="one-hot codes",
        fits="Categorical",
        sizes=(2, 3),
    ),
    "StraightThroughCategorical": Case(
        posteriors.StraightThroughCategorical,
        lambda posterior, raw, z: _one_hot(z, _shaped(posterior, raw)),
        kind="one-hot codes",
        fits="Categorical",
        sizes=(2, 3),
    ),
    "BernoulliCode enumerated": Case(
        posteriors.BernoulliCode,
        lambda posterior, raw, z: _bits(z, raw),
        kind="binary codes",
        fits="BernoulliCode",
    ),
    "RelaxedCategorical drawn": Case(
        posteriors.RelaxedCategorical,
        lambda posterior, raw, z: _relaxed_one_hot(
            z, _shaped(posterior, raw), posterior.temperature, len(posterior.event_shape) - 1
        ),
        kind="points of a simplex",
        fits="RelaxedCategorical",
        sizes=(2, 3),
    ),
    "RelaxedBernoulli drawn": Case(
        posteriors.RelaxedBernoulli,
        lambda posterior, raw, z: _relaxed_bits(z, raw, posterior.temperature),
        fits="RelaxedBernoulli",
        alone=True,
    ),
    "LogisticNormal": Case(LogisticNormal, _softmax_normal, **SIMPLEX, fits="LogisticNormal 0.8"),
    "NormalMixture": Case(lambda: NormalMixture(components=3), _normal_mixture),
    "SpikeAndSlab": Case(SpikeAndSlab, _spike_and_slab, **SPIKES, fits="SpikeAndSlab 0.3"),
    "IsotropicNormal": Case(posteriors.IsotropicNormal, _isotropic),
    "LowRankNormal": Case(posteriors.LowRankNormal, _low_rank),
    "Laplace": Case(posteriors.Laplace, _laplace, fits="Laplace"),
    "Deterministic": Case(posteriors.Deterministic, fits="StandardNormal", point=True),
    "PowerSpherical": Case(
        PowerSpherical,
        _power_spherical,
        kind="points of a sphere",
        fits="HypersphericalUniform",
        sizes=(2, 3),
    ),
    "VonMisesFisher": Case(
        VonMisesFisher,
        _von_mises_fisher,
        kind="points of a sphere",
        fits="HypersphericalUniform",
        sizes=(2, 3),
    ),
    "SemiAmortized": Case(lambda: SemiAmortized(MeanFieldNormal(), steps=2), _mean_field),
    "PerDatum": Case(lambda: PerDatum(data=64, steps=3), alone=True),
    "PlanarFlow": Case(lambda: PlanarFlow(layers=2)),
    "SylvesterFlow": Case(lambda: SylvesterFlow(layers=2, householder=2)),
    "SylvesterFlow triangular": Case(lambda: SylvesterFlow(layers=2, householder=0)),
    "InverseAutoregressiveFlow": Case(
        lambda: InverseAutoregressiveFlow(layers=2, hidden=(4,), context=2), sparse=True
    ),
    "SplineFlow": Case(lambda: SplineFlow(layers=1, hidden=(4,), context=2), sparse=True),
}


def latent_shape(kind: str, size: int) -> Shape:
    """The shape of one z of a kind: codes stand in a row, each of so many classes."""
    return (1, size) if kind == "one-hot codes" else (size,)


def bound(name: str, size: int = 2) -> Any:
    """A prior or a posterior for z of a size, bound as a model would bind it.

    The posterior `"q Laplace"` is told from the prior `"Laplace"`; a name of one room needs no q.
    """
    if name in PRIORS:
        prior = PRIORS[name].make(size)
        prior.bind((size,))
        return prior
    case = POSTERIORS[name.removeprefix("q ")]
    posterior = case.make()
    posterior.event_shape = latent_shape(case.kind, size)
    posterior.bind((4,))
    return posterior


def partner(name: str) -> str:
    """The row that a prior's or a posterior's row trains with; see `bound` for the names."""
    if name in PRIORS:
        return PRIORS[name].fits or "MeanFieldNormal"
    return POSTERIORS[name.removeprefix("q ")].fits or "StandardNormal"


# ------------------------------------------------------------- networks, schedules, objectives

NETWORKS: dict[str, Case] = {
    "MLP": Case(lambda: MLP((7, 5), activation="tanh")),
    "MLP linear": Case(lambda: MLP(())),
    "GatedMLP": Case(lambda: GatedMLP((7, 5))),
    "GatedMLP linear": Case(lambda: GatedMLP(())),
    "Conv": Case(lambda: Conv((3, 4), hidden=6, activation="elu")),
    "Conv no stage": Case(lambda: Conv((), hidden=6)),
    "MLP batch": Case(lambda: MLP((7, 5), activation="tanh", normalization="batch")),
    "MLP layer": Case(lambda: MLP((7, 5), activation="tanh", normalization="layer")),
    "Conv batch": Case(
        lambda: Conv((3, 4), hidden=6, activation="elu", normalization="batch"),
    ),
    "ResNet": Case(lambda: ResNet((3, 4), blocks=2, hidden=6)),
    "ResNet batch": Case(lambda: ResNet((4,), hidden=6, normalization="batch")),
    "ResNet layer": Case(lambda: ResNet((4,), hidden=6, normalization="layer")),
    "ResNet no stage": Case(lambda: ResNet((), hidden=6)),
    "Embedding": Case(lambda: Embedding(network=MLP((7,)))),  # codes: test_networks_tables.py
    "SetEncoder": Case(lambda: SetEncoder(6, network=MLP((7,)))),
    "SetEncoder mean": Case(lambda: SetEncoder(6, pooling="mean", network=GatedMLP((7,)))),
}

SCHEDULES: dict[str, Case] = {
    "Constant": Case(lambda: Constant(0.25)),
    "Ramp": Case(lambda: Ramp(0.2, 1.4, steps=10, delay=3)),
    "Cosine": Case(lambda: Cosine(0.2, 1.4, steps=10, delay=3)),
    "Cycle": Case(lambda: Cycle(0.2, 1.4, period=8, fraction=0.75)),
}

OBJECTIVES: dict[str, Case] = {
    "ELBO": Case(lambda: ELBO()),
    "ELBO sampled": Case(lambda: ELBO(kl="sampled", particles=3)),
    "ELBO beta": Case(lambda: ELBO(beta=Ramp(0.0, 2.0, steps=4), particles=2)),
    "ELBO free bits": Case(lambda: ELBO(free_bits=0.05)),
    "ELBO site floor": Case(lambda: ELBO(free_bits=3.0, free_bits_group="site")),
    "IWAE": Case(lambda: IWAE(particles=4)),
    "FactorVAE": Case(lambda: FactorVAE(network=MLP((6,)))),
    "Adversarial": Case(lambda: Adversarial(network=MLP((6,)), particles=2)),
    "GECO": Case(lambda: GECO(target=-5.0)),
    "ELBO stl": Case(lambda: ELBO(particles=2, estimator="stl")),
    "ELBO mixed": Case(lambda: ELBO(particles=2, estimator="mixed")),
    "ELBO score": Case(lambda: ELBO(particles=2, estimator="score")),
    "IWAE stl": Case(lambda: IWAE(particles=4, estimator="stl")),
    "IWAE dreg": Case(lambda: IWAE(particles=4, estimator="dreg")),
    "IWAE score": Case(lambda: IWAE(particles=4, estimator="score")),
    "IWAE vimco": Case(lambda: IWAE(particles=4, estimator="vimco")),
    "ReweightedWakeSleep": Case(lambda: ReweightedWakeSleep(particles=4)),
    "Renyi": Case(lambda: Renyi(alpha=0.3, particles=4)),
    "MultiplyIWAE": Case(lambda: MultiplyIWAE(particles=2, groups=3)),
    "Capacity": Case(lambda: Capacity(capacity=Ramp(0.1, 2.1, steps=4), weight=3.0)),
    "TotalCorrelation": Case(lambda: TotalCorrelation()),
    "TotalCorrelation stratified": Case(
        lambda: TotalCorrelation(
            beta=Ramp(0.0, 2.0, steps=4), sampling="stratified", size=50, particles=3
        )
    ),
    "DIP": Case(lambda: DIP()),
    "DIP II": Case(lambda: DIP(kind="II", diagonal=1.0, kl="sampled", particles=2)),
    "Wasserstein": Case(lambda: Wasserstein(weight=Ramp(1.0, 5.0, steps=4))),
    "InfoVAE": Case(
        lambda: InfoVAE(alpha=0.5, distance=SlicedWasserstein(projections=3), particles=2)
    ),
}

# ----------------------------------------------------------------------------------- D(q(z), p(z))

DISTANCES: dict[str, Case] = {
    "MMD": Case(lambda: MMD()),
    "MMD of a Gaussian kernel": Case(lambda: MMD(kernel=RBF(scale=(0.5, 2.0)))),
    "SlicedWasserstein": Case(lambda: SlicedWasserstein(projections=7)),
    "SlicedWasserstein of order 1.5": Case(lambda: SlicedWasserstein(order=1.5)),
    "Energy": Case(lambda: Energy()),
    "Energy along directions": Case(lambda: Energy(projections=9)),
    "Sinkhorn": Case(lambda: Sinkhorn(blur=1.0, iterations=16)),
}
KERNELS: dict[str, Case] = {
    "RBF": Case(lambda: RBF()),
    "RBF of several": Case(lambda: RBF(scale=(0.5, 2.0))),
    "InverseMultiquadratic": Case(lambda: InverseMultiquadratic()),
    "InverseMultiquadratic 0.3": Case(lambda: InverseMultiquadratic(scale=0.3)),
}
REPORTED: dict[str, Case] = {"CUBO": Case(lambda: CUBO(order=3.0, particles=4))}  # not trained by

# What the names of objectives hold that need a KL which splits into dimensions.
SPLIT = ("free bits", "TotalCorrelation")

# ---------------------------------------------------------------------------------------- models


def small_vae(
    prior: Any = None,
    posterior: Any = None,
    likelihood: Any = "Bernoulli",
    shape: Shape = (1, 4, 3),
    encoder: Any = None,
    decoder: Any = None,
) -> VAE:
    """A VAE of parts, each by its row's name or given itself, with two latent dimensions.

    Of a prior and a posterior one may be left out: it is the other's partner.
    """
    if prior is None:
        prior = partner(f"q {posterior}") if isinstance(posterior, str) else "StandardNormal"
    if posterior is None:
        posterior = partner(prior) if isinstance(prior, str) else "MeanFieldNormal"

    def part(given: Any, room: dict[str, Case], *arguments: Any) -> Any:
        return room[given].make(*arguments) if isinstance(given, str) else given

    made = part(posterior, POSTERIORS)
    network = MLP((6,)) if encoder is None else encoder
    return VAE(
        prior=part(prior, PRIORS),
        posterior=made,
        likelihood=part(likelihood, LIKELIHOODS, shape),
        encoder=network if getattr(getattr(made, "head", None), "sizes", True) else None,
        decoder=MLP((6,)) if decoder is None else decoder,
    )


# Pairs of a prior and a posterior in which each row occurs; the vectors first known, in all ways.
FIRST = ("StandardNormal", "GaussianMixture", "VampPrior"), ("MeanFieldNormal", "FullRankNormal")
PAIRS = list(
    dict.fromkeys(
        [
            *product(*FIRST),
            *((name, partner(name)) for name in PRIORS),
            *((partner(f"q {name}"), name) for name in POSTERIORS),
        ]
    )
)
PAIRS = [(p, q) for p, q in PAIRS if not (PRIORS[p].alone or POSTERIORS[q].alone)]


def objectives(posterior: str) -> list[Any]:
    """The objectives that a posterior's row is trained by."""
    return [ELBO(beta=0)] if POSTERIORS[posterior].point else [ELBO(), IWAE(particles=2)]


def small_cvae(shape: Shape = (1, 4, 3), **changed: Any) -> ConditionalVAE:
    """A conditional VAE of three classes, with two latent dimensions, and arguments changed."""
    parts: dict[str, Any] = {
        "prior": priors.StandardNormal(2),
        "likelihood": Bernoulli(shape),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((6,)),
        "decoder": MLP((6,)),
    }
    if "condition_shape" not in changed:
        parts["levels"] = 3
    return ConditionalVAE(**(parts | changed))


MODELS: dict[str, Case] = {"VAE": Case(small_vae), "ConditionalVAE": Case(small_cvae)}

ROOMS: dict[str, dict[str, Case]] = {
    "priors": PRIORS,
    "likelihoods": LIKELIHOODS,
    "posteriors": POSTERIORS,
    "networks": NETWORKS,
    "schedules": SCHEDULES,
    "objectives": OBJECTIVES | REPORTED,
    "distances": DISTANCES | KERNELS,
    "models": MODELS,
}


def small_semi_supervised(**changed: Any) -> SemiSupervisedVAE:
    """A semi-supervised VAE of three classes, with two latent dimensions, and arguments changed."""
    parts: dict[str, Any] = {
        "prior": StandardNormal(2),
        "likelihood": Bernoulli((6,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
        "target": likelihoods.Categorical((), levels=3),
        "classifier": MLP((4,)),
        "label_weight": 1.7,
    }
    return SemiSupervisedVAE(**(parts | changed))


def small_cluster(**changed: Any) -> ClusterVAE:
    """A clustering VAE of three clusters in two latent dimensions, and arguments changed."""
    parts: dict[str, Any] = {
        "dim": 2,
        "clusters": 3,
        "likelihood": Bernoulli((6,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
        "warmup": 2,
    }
    return ClusterVAE(**(parts | changed))


def small_classifier(**changed: Any) -> Classifier:
    """A classifier of three classes by itself, with arguments changed."""
    parts: dict[str, Any] = {
        "likelihood": Bernoulli((6,)),
        "target": likelihoods.Categorical((), levels=3),
        "classifier": MLP((4,)),
    }
    return Classifier(**(parts | changed))


def small_auxiliary(**changed: Any) -> AuxiliaryVAE:
    """An auxiliary model of three classes, with two latent dimensions, and arguments changed."""
    parts: dict[str, Any] = {
        "prior": StandardNormal(2),
        "likelihood": Bernoulli((6,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
        "target": likelihoods.Categorical((), levels=3),
        "classifier": MLP((4,)),
        "auxiliary_dim": 3,
    }
    return AuxiliaryVAE(**(parts | changed))


def small_stacked(**changed: Any) -> StackedVAE:
    """A model of three classes over two features, as if these had been trained."""
    parts: dict[str, Any] = {
        "features": small_vae(),
        "prior": StandardNormal(2),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
        "target": likelihoods.Categorical((), levels=3),
        "classifier": MLP((4,)),
    }
    model = StackedVAE(**(parts | changed))
    model.features.prepared.fill_(True)
    return model


MODELS |= {
    "AuxiliaryVAE": Case(small_auxiliary),
    "Classifier": Case(small_classifier),
    "StackedVAE": Case(small_stacked),
    "SemiSupervisedVAE": Case(small_semi_supervised),
    "ClusterVAE": Case(small_cluster),
}


def data_for(vae: VAE, n: int = 5, seed: int = 11) -> Tensor:
    """Draws from the model, and so of its dtype and within its likelihood's support."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return vae.sample(n)
