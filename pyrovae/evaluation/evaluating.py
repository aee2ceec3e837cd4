"""Evaluate: numbers about a trained model that can be trusted."""

import math
import warnings
from typing import Any

import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor

from pyrovae.compiling import Compile, check_compile
from pyrovae.data import DataLike
from pyrovae.distributions import Joined
from pyrovae.evaluation.asked import check_count, check_seed, held_out, require_density
from pyrovae.evaluation.importance import Sampler, Weights, device_of, evaluating
from pyrovae.evaluation.latents import latent_means
from pyrovae.evaluation.memory import within_memory
from pyrovae.evaluation.result import Evaluation
from pyrovae.evaluation.scoring import scoring
from pyrovae.models import Pair, Programs
from pyrovae.objectives import Terms
from pyrovae.scopes import random_state

_ACTIVE = 0.01
_POOR = 5
_PROBED_ROWS = 2


def evaluate(
    model: Programs,
    data: DataLike,
    *,
    samples: int = 1000,
    seed: int = 0,
    compile: Compile = "auto",
) -> Evaluation:
    """Estimate log p(x), the ELBO with its split and the CUBO, all from the same draws.

    Data and draws are taken in blocks that fit into about 256 MiB, however many there are, or into
    less where that is not free. No parameter, buffer or random state is changed.

    Arguments:
        model: a model, or a tuple `(model, guide)` of Pyro programs.
        data: a dict of tensors, a tensor, a torch `Dataset`, a split, or a source, of which the
            test split is taken.
        samples: how many draws of the posterior each datum gets, S.
        seed: seeds the draws.
        compile: run the decoder and the likelihood as one compiled function, which takes some
            seconds to make; "auto" does so for an evaluation of many draws of many data. What
            cannot be compiled runs as it is.

    Raises:
        TypeError: the model is none of x, such as a `Classifier`.
        ValueError: the number of samples is not positive, the seed is negative, or the data cannot
            be scored.
        MemoryError: not even a small block fits.

    Warns:
        UserWarning: the mean effective sample size, arithmetic or harmonic, is below a fifth of
            the samples, or log p(x) is not finite.

    Example:
        >>> import pyrovae
        >>> from pyrovae.likelihoods import Normal
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = pyrovae.VAE(prior=StandardNormal(1), likelihood=Normal((2,)),
        ...                   posterior=MeanFieldNormal(), encoder=MLP(()), decoder=MLP(()))
        >>> result = evaluate(vae, torch.zeros(10, 2), samples=20)
        >>> result.elbo <= result.log_prob
        True
    """
    check_count("samples", samples)
    check_seed(seed)
    check_compile(compile)
    pair = Pair(model)
    require_density(pair)
    split = held_out(data)
    device = device_of(pair)

    score = scoring(pair, compile, draws=len(split) * samples if split.sized else None)

    def summed(budget: int) -> _Summary:
        summary = _Summary(pair.whole)
        with random_state(seed, device=device), evaluating(pair):
            probe = next(split.batches(batch_size=_PROBED_ROWS, device=device))
            pair.check(probe)
            sampler = Sampler(pair, probe, samples=samples, budget=budget, score=score)
            for batch in split.batches(batch_size=sampler.batch_size, device=device):
                pair.check(batch)
                summary.add(*sampler.weights(batch))
        return summary

    summary = within_memory(summed)
    result = summary.result(samples)
    if not math.isfinite(result.log_prob):
        warnings.warn(
            f"log p(x) is {result.log_prob}: some data have no finite density under the model; "
            f"a model whose training failed may hold weights that are nan",
            stacklevel=2,
        )
    elif summary.poor(samples):
        warnings.warn(
            f"poor importance weights: the mean effective sample size is {result.ess:.1f} of "
            f"{samples} (harmonic mean {summary.harmonic_ess:.1f}), below a fifth, so log p(x) is "
            f"too low, by about {result.log_prob_bias:.2g} or more, and its error too small; more "
            f"samples help, or a posterior that comes closer to p(z | x)",
            stacklevel=2,
        )
    return result


class _Summary:
    """Sums over data of what the weights of each batch tell.

    Arguments:
        model: the model; None for programs that are not our own.
    """

    def __init__(self, model: Any = None) -> None:
        self.model = model
        self.log_prob: list[Tensor] = []
        self.variance = 0.0
        self.bias = 0.0
        self.inverse_ess = 0.0
        self.sums: dict[str, float] = dict.fromkeys(("ess", "elbo", "cubo", "reconstruction"), 0.0)
        self.dimensions: Tensor | None = None
        self.splits = True
        self.means: list[Tensor] = []
        self.has_means = True
        self.event_size: int | None = None

    def add(self, weights: Weights, terms: Terms) -> None:
        """Add a batch."""
        self.log_prob.append(weights.log_prob)
        self.variance += weights.variance.sum().item()
        self.bias += weights.bias.sum().item()
        self.sums["ess"] += weights.ess.sum().item()
        self.inverse_ess += weights.ess.reciprocal().sum().item()
        self.sums["elbo"] += weights.elbo.sum().item()
        self.sums["cubo"] += weights.cubo.sum().item()
        self.sums["reconstruction"] += (weights.sum_reconstruction / weights.samples).sum().item()
        if weights.sum_dimensions is None:
            self.splits = False
        else:
            total = (weights.sum_dimensions / weights.samples).sum(0)
            self.dimensions = total if self.dimensions is None else self.dimensions + total
        self._add_means(terms)
        self.event_size = _counted_elements(terms)

    @property
    def harmonic_ess(self) -> float:
        """The harmonic mean of the effective sample sizes, which a few poor data bring down."""
        return sum(map(len, self.log_prob)) / self.inverse_ess

    def poor(self, samples: int) -> bool:
        """Return whether the weights are too poor for the errors to be believed."""
        count = sum(map(len, self.log_prob))
        return min(self.sums["ess"] / count, self.harmonic_ess) * _POOR < samples

    def _add_means(self, terms: Terms) -> None:
        """Keep the posterior means of a batch, where the posterior has one."""
        rows = len(self.log_prob[-1])
        means = latent_means(self.model, terms, rows=rows)
        known = [mean for mean in means if mean is not None]
        if len(known) < len(means):
            self.has_means = False
        elif known:
            self.means.append(torch.cat(known, dim=-1).double())

    def result(self, samples: int) -> Evaluation:
        """Return the numbers."""
        log_prob = torch.cat(self.log_prob)
        count = len(log_prob)
        mean = log_prob.mean().item()
        means = {name: total / count for name, total in self.sums.items()}
        spread = log_prob.std().item() / math.sqrt(count) if count > 1 else math.nan
        active = None
        if self.has_means and self.means:
            variance = torch.cat(self.means).var(0, correction=0)
            active = int((variance > _ACTIVE).sum())
        bits = None if self.event_size is None else -mean / (self.event_size * math.log(2.0))
        dimensions = self.dimensions if self.splits else None
        return Evaluation(
            log_prob=mean,
            log_prob_error=math.sqrt(self.variance) / count,
            log_prob_bias=self.bias / count,
            log_prob_data_error=spread,
            ess=means["ess"],
            elbo=means["elbo"],
            cubo=means["cubo"],
            reconstruction=means["reconstruction"],
            kl=means["reconstruction"] - means["elbo"],
            kl_per_dimension=None if dimensions is None else (dimensions / count).cpu(),
            active_units=active,
            bits_per_dim=bits,
            samples=samples,
            data=count,
        )


def _counted_elements(terms: Terms) -> int | None:
    """Return the elements of one x where all are discrete and observed, else None."""
    observed: list[Any] = [site.model for site in terms.observed.values()]
    if not all(map(_is_counted, observed)):
        return None
    return sum(distribution.event_shape.numel() for distribution in observed) or None


def _is_counted(distribution: Any) -> bool:
    """Return whether all elements are discrete and observed."""
    if isinstance(distribution, Joined):
        return all(map(_is_counted, distribution.groups))
    base = distribution
    while base is not None:
        if isinstance(base, MaskedDistribution) or getattr(base, "observed", None) is not None:
            return False
        base = getattr(base, "base_dist", None)
        if isinstance(base, Joined):  # behind draws that are decoded a part at a time
            return _is_counted(base)
    try:
        return bool(distribution.support.is_discrete)
    except NotImplementedError:
        return False
