"""Surgery on the ELBO: the aggregated posterior of a data set against the prior.

The data are read twice: once to draw z ~ q(z), and once to add up q(z | x_j) of all of them at
those draws. What is kept are the draws, and for each a few sums in float64; posteriors of data
times draws come in blocks that fit into a memory budget.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from pyro import poutine
from torch import Tensor

from pyrovae.data import Data, DataLike
from pyrovae.distances import Energy
from pyrovae.evaluation.asked import check_count, check_seed, held_out, require_density
from pyrovae.evaluation.decomposition import Surgery
from pyrovae.evaluation.importance import Batch, device_of, evaluating
from pyrovae.evaluation.latents import label_alone, without_label
from pyrovae.evaluation.memory import IN_CACHE, rows_within, within_memory
from pyrovae.models import Pair, Programs
from pyrovae.objectives import (
    LocalParameters,
    Site,
    aggregated_site,
    crossed,
    crossed_per_dimension,
    log_prior_per_dimension,
    trace_terms,
)
from pyrovae.scopes import random_state

_GROUPS = 20  # of draws, at least, whose spread is the error of the distance
_LARGEST = 1000  # draws of a group: the cost of the distance is of their order for each draw


def surgery(model: Programs, data: DataLike, *, samples: int = 2000, seed: int = 0) -> Surgery:
    """Take the mean KL of a data set apart at the aggregated posterior q(z).

    `q(z) = 1/N sum_j q(z | x_j)` is computed over all N data at each of S draws of z ~ q(z), and so
    has no error of its own; the cost is of order S x N x dimensions. The data are read twice, and
    should be the same each time: not pixels that are binarised anew. No parameter, buffer or random
    state is changed.

    References:
        Hoffman and Johnson, 2016, ELBO surgery; the second split: Chen et al., 2018,
        arXiv:1802.04942.

    Arguments:
        model: a model, or a tuple `(model, guide)` of Pyro programs.
        data: as of `evaluate`.
        samples: how many draws of q(z) in all, S: each of a datum that is drawn anew.
        seed: seeds the draws.

    Raises:
        ValueError: the number of samples is not positive, the seed is negative, or the model has
            not one latent site in the plate "data".
        MemoryError: not even a small block fits.

    Example:
        >>> import pyrovae
        >>> from pyrovae.likelihoods import Normal
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = pyrovae.VAE(prior=StandardNormal(2), likelihood=Normal((2,)),
        ...                   posterior=MeanFieldNormal(), encoder=MLP(()), decoder=MLP(()))
        >>> found = surgery(vae, torch.randn(30, 2), samples=100)
        >>> found.kl == found.mutual_information + found.aggregate_kl
        True
        >>> found.mutual_information <= math.log(30)
        True
    """
    check_count("samples", samples)
    check_seed(seed)
    pair = Pair(model)
    require_density(pair)
    split = held_out(data)
    device = device_of(pair)

    def estimated(budget: int) -> Surgery:
        if device.type == "cpu":
            budget = min(budget, IN_CACHE)
        with random_state(seed, device=device), evaluating(pair):
            rows = _rows(pair, split, budget)
            count = len(split) if split.sized else _counted(split, rows)
            # each draw is of a datum of its own, so that all are independent draws of q(z)
            times = torch.bincount(torch.randint(count, (samples,)), minlength=count)
            draws = _drawn(_repeated(split, times, rows, device), pair)
            densities = draws.densities
            parts = (
                {}
                if densities is None
                else _parts(densities, *_aggregate(draws, pair, split, rows, budget), count)
            )
            distance = _energy(draws.posterior, draws.prior)
            return _surgery(parts, distance, samples=samples, count=count)

    return within_memory(estimated)


@dataclass(frozen=True)
class _Densities:
    """Log-densities of draws of q(z), in float64.

    Arguments:
        own: log q of each draw given its own datum, of shape `[samples]`.
        prior: log p of each draw.
        prior_each: log p of each dimension, `[samples, dimensions]`, None where they do not split.
    """

    own: Tensor
    prior: Tensor
    prior_each: Tensor | None


@dataclass(frozen=True)
class _Draws:
    """Draws of q(z) and as many of p(z), of shape `[samples, *latent_shape]`."""

    posterior: Tensor
    prior: Tensor
    densities: _Densities | None  # none of points


def _rows(pair: Pair, data: Data, budget: int) -> int:
    """Return how many data the programs can be run on at once."""
    probe = next(data.batches(batch_size=1, device=device_of(pair)))

    def run(rows: int) -> Tensor:
        several = {name: value.repeat_interleave(rows, 0) for name, value in probe.items()}
        site = _site(pair, several)
        return site.value if site.is_point else site.log_q

    with torch.random.fork_rng(devices=[]):
        return rows_within(run, budget=budget)


def _counted(data: Data, rows: int) -> int:
    """Return how many data a stream gives."""
    return sum(len(batch["x"]) for batch in data.batches(batch_size=rows))


def _repeated(data: Data, times: Tensor, rows: int, device: torch.device) -> Iterator[Batch]:
    """Yield batches in which each datum comes as often as it is asked for."""
    begun = 0
    for batch in data.batches(batch_size=rows, device=device):
        here = times[begun : begun + len(batch["x"])]
        begun += len(here)
        chosen = torch.arange(len(here)).repeat_interleave(here)
        for part in chosen.split(rows) if len(chosen) else ():
            yield {name: value[part.to(value.device)] for name, value in batch.items()}


def _site(pair: Pair, batch: Batch) -> Site:
    """Return the latent site of one run on a batch; what could be enumerated is drawn."""
    pair.check(batch)
    args, kwargs = pair.arguments(pair.evidence(batch))
    guide = poutine.infer_config(pair.guide, config_fn=partial(label_alone, pair.whole))
    with LocalParameters(pair):
        terms = trace_terms(pair.model, guide, args, kwargs)
    return aggregated_site(without_label(pair.whole, terms), "surgery")


def _drawn(batches: Iterator[Batch], pair: Pair) -> _Draws:
    """Return one draw of q(z | x) for each row, and one of p(z)."""
    values: list[Tensor] = []
    priors: list[Tensor] = []
    own: list[Tensor] = []
    log_p: list[Tensor] = []
    each: list[Tensor] = []
    for batch in batches:
        site = _site(pair, batch)
        values.append(site.value)
        priors.append(site.value if site.model is None else site.model.sample())
        if site.is_point:
            continue
        own.append(site.log_q.squeeze(0).double())
        log_p.append(site.log_p.squeeze(0).double())
        split = log_prior_per_dimension(site)
        if split is not None:
            each.append(split.squeeze(0).double())
    densities = None
    if own:
        densities = _Densities(torch.cat(own), torch.cat(log_p), torch.cat(each) if each else None)
    return _Draws(torch.cat(values), torch.cat(priors), densities)


def _aggregate(
    draws: _Draws, pair: Pair, data: Data, rows: int, budget: int
) -> tuple[Tensor, Tensor | None]:
    """Return `log sum_j q(z | x_j)` at each draw, and that of each dimension where it splits."""
    z, total, each, block = draws.posterior, None, None, 0
    for batch in data.batches(batch_size=rows, device=z.device):
        site = _site(pair, batch)
        if not block:  # measured on the first batch, which is a largest one

            def several(n: int, site: Site = site) -> Tensor:
                return _added(site, z[:1].expand(n, *z.shape[1:]))[0]

            block = rows_within(several, budget=budget)
        parts = [_added(site, part) for part in z.split(block)]
        here = torch.cat([part[0] for part in parts])
        total = here if total is None else torch.logaddexp(total, here)
        split = [part[1] for part in parts if part[1] is not None]
        if split:
            here = torch.cat(split)
            each = here if each is None else torch.logaddexp(each, here)
    return (torch.zeros(0) if total is None else total), each


def _added(site: Site, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return `log sum_j q(z | x_j)` over one batch, and that of each dimension."""
    split = crossed_per_dimension(site, z)
    if split is None:
        return crossed(site, z).squeeze(0).double().logsumexp(-1), None
    split = split.squeeze(0)
    joint = split.sum(-1, dtype=torch.float64).logsumexp(-1)
    return joint, split.double().logsumexp(-2)


def _parts(
    densities: _Densities, total: Tensor, each: Tensor | None, count: int
) -> dict[str, Tensor]:
    """Return the parts of the KL at each draw, of shape `[samples]`, and "each" of dimensions."""
    log_q = total - math.log(count)
    found = {
        "kl": densities.own - densities.prior,
        "mutual_information": densities.own - log_q,
        "aggregate_kl": log_q - densities.prior,
    }
    if each is not None and densities.prior_each is not None:
        apart = each - math.log(count) - densities.prior_each
        found["total_correlation"] = found["aggregate_kl"] - apart.sum(-1)
        found["dimension_kl"] = apart.sum(-1)
        found["each"] = apart
    return found


def _surgery(
    parts: dict[str, Tensor], distance: tuple[float, float], *, samples: int, count: int
) -> Surgery:
    """Return the means of the parts with their errors; sums are those of the means."""
    names = ("kl", "mutual_information", "aggregate_kl", "total_correlation", "dimension_kl")
    means = {name: parts[name].mean().item() if name in parts else None for name in names}
    errors = {
        name: parts[name].std().item() / math.sqrt(samples) if samples > 1 else math.nan
        for name in names
        if name in parts
    }
    for whole, one, other in (names[2:], names[:3]):
        first, second = means[one], means[other]
        if first is not None and second is not None:  # exact to the last digit
            means[whole] = first + second
    each = parts.get("each")
    return Surgery(
        kl=means["kl"],
        kl_error=errors.get("kl"),
        mutual_information=means["mutual_information"],
        mutual_information_error=errors.get("mutual_information"),
        aggregate_kl=means["aggregate_kl"],
        aggregate_kl_error=errors.get("aggregate_kl"),
        total_correlation=means["total_correlation"],
        total_correlation_error=errors.get("total_correlation"),
        dimension_kl=means["dimension_kl"],
        dimension_kl_error=errors.get("dimension_kl"),
        kl_of_dimensions=None if each is None else each.mean(0).cpu(),
        distance=distance[0],
        distance_error=distance[1],
        samples=samples,
        data=count,
    )


def _energy(one: Tensor, other: Tensor) -> tuple[float, float]:
    """Return the energy distance of two sets of draws, and its error.

    It is the mean over groups of draws, of which each gives an unbiased estimate; nan for too few.
    """
    samples = len(one)
    one, other = one.reshape(samples, -1), other.reshape(samples, -1)
    groups = max(min(_GROUPS, samples // 2), samples // _LARGEST)
    if not groups:
        return math.nan, math.nan
    mixed = torch.randperm(samples)  # draws of one datum stand side by side
    distance = Energy()
    found = []
    for rows in mixed.tensor_split(groups):
        a, b = one[rows.to(one.device)], other[rows.to(other.device)]
        found.append(distance(a.double(), b.double()))
    each = torch.stack(found)
    error = each.std().item() / math.sqrt(groups) if groups > 1 else math.nan
    return each.mean().item(), error
