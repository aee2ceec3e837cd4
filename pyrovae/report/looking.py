"""Looking: what a trained model makes of held-out data, and what it draws, a block at a time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pyrovae.data import Data
from pyrovae.evaluation.importance import Sampler, evaluating
from pyrovae.evaluation.latents import latent_means, latent_sites, without_label
from pyrovae.evaluation.memory import rows_within
from pyrovae.heads import FLOOR
from pyrovae.models import Model, Pair
from pyrovae.objectives import Terms
from pyrovae.report.facts import ENOUGH
from pyrovae.scopes import random_state

ROWS = 1000  # data that latents are shown of
NUMBERS = 2**25  # numbers in all that are read of data, and drawn of a model
ACTIVE = 0.01  # the variance above which a dimension is active, as in `evaluate`

_NEAR = 2.0  # a scale below the floor times this is at its floor


@dataclass
class Latents:
    """What the posterior makes of held-out data.

    Arguments:
        place: where each datum lies, `[rows, dimensions]`: the posterior's mean, or a draw of it.
        is_mean: whether it is the mean.
        labels: the class of each datum, None where there are none; -1 is unlabelled.
        names: what each dimension is called.
        kl: the KL of each dimension in nats per datum, None where it does not split.
        floored: the share of the likelihood's learned scales at their floor, None where it has
            none.
        posterior_floored: the same of the posterior's scales.
    """

    place: Tensor
    is_mean: bool
    labels: Tensor | None
    names: list[str]
    kl: Tensor | None
    floored: float | None
    posterior_floored: float | None

    @property
    def variance(self) -> Tensor:
        """The variance of each dimension's place over the data."""
        return self.place.var(0, correction=0)

    @property
    def active(self) -> Tensor | None:
        """Whether each dimension is active, None where means are unknown or of few data."""
        enough = self.is_mean and len(self.place) >= ENOUGH
        return self.variance > ACTIVE if enough else None

    @property
    def order(self) -> list[int]:
        """The dimensions, the most active first: by their KL, else by their variance."""
        weight = self.variance if self.kl is None else self.kl
        return [int(at) for at in weight.argsort(descending=True, stable=True)]


def rows_of(shape: Sequence[int], most: int = ROWS) -> int:
    """Return how many data of a shape are looked at: fewer of large ones, four at least.

    Example:
        >>> rows_of((1, 8, 8)), rows_of((3, 1024, 1024))
        (1000, 10)
    """
    return max(4, min(most, NUMBERS // max(1, math.prod(shape))))


def some(data: Data, *, seed: int, rows: int, block: int) -> Iterator[dict[str, Tensor]]:
    """Yield data chosen at random, the same ones for a seed, in blocks."""
    generator = torch.Generator().manual_seed(seed) if data.sized else None
    left = rows
    for batch in data.batches(batch_size=max(1, min(block, rows)), generator=generator):
        yield {name: value[:left] for name, value in batch.items()}
        left -= len(batch["x"])
        if left <= 0:
            return


def latents_of(model: Model, data: Data, *, seed: int) -> Latents:
    """Return what the posterior makes of some held-out data.

    Raises:
        ValueError: the data cannot be scored by the model.
    """
    pair = Pair(model)
    latent = getattr(getattr(model, "prior", None), "event_shape", ())
    rows = min(rows_of(data.event_shape), rows_of(latent))
    found = _Sums(model)
    with random_state(seed), evaluating(pair):
        probe = next(some(data, seed=seed, rows=2, block=2))
        pair.check(probe)
        sampler = Sampler(pair, probe, samples=1)
        for batch in some(data, seed=seed, rows=rows, block=min(sampler.batch_size, rows)):
            pair.check(batch)
            found.add(sampler.trace(batch, particles=1), batch.get("y"))
    return found.latents()


def drawn(model: Any, n: int, *, seed: int, mean: bool) -> Iterator[Tensor]:
    """Yield n draws of a model, or their means at the very same z, in blocks."""
    with random_state(seed), torch.no_grad():
        block = min(n, rows_within(model.sample))
    for first in range(0, n, block):
        with random_state(seed + first):
            yield model.sample(min(block, n - first), mean=mean)


def decoded(model: Any, z: Tensor, **given: Any) -> Tensor:
    """Return `E[x | z]` for each row of z, in blocks, at a given label y where there is one."""
    with torch.no_grad(), evaluating(Pair(model)):
        one = z[:1]
        typical = model.likelihood.typical

        def made(part: Tensor) -> Tensor:
            found: Tensor = typical(model.decode(part, **given))
            return found

        block = rows_within(lambda rows: made(one.expand(rows, *one.shape[1:])))
        return torch.cat([made(part) for part in z.split(block)])


@dataclass
class _Sums:
    """Sums over batches of what their records tell."""

    model: Model
    places: list[Tensor] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    is_mean: bool = True
    splits: bool = True
    kl: Tensor | None = None
    rows: int = 0
    scales: list[tuple[float, int]] = field(default_factory=list)
    posterior_scales: list[tuple[float, int]] = field(default_factory=list)

    def add(self, terms: Terms, labels: Tensor | None) -> None:
        """Add the record of a batch."""
        sites = latent_sites(self.model, terms)
        if not sites:
            raise ValueError(f"a {type(self.model).__name__} has no latent variable z")
        rows = terms.log_weight.shape[-1]
        means = latent_means(self.model, terms, rows=rows)
        self.is_mean = self.is_mean and all(mean is not None for mean in means)
        drawn = latent_sites(self.model, without_label(self.model, terms))
        flat = [
            (site.value if mean is None else mean).detach().float().reshape(rows, -1)
            for site, mean in zip(drawn, means, strict=True)
        ]
        self.names = [
            name
            for site, value in zip(sites, flat, strict=True)
            for name in _names(site.name, value.shape[1])
        ]
        self.places.append(torch.cat(flat, dim=1))
        if labels is not None and not labels.is_floating_point():  # classes, to be coloured by
            self.labels.append(labels)
        self._add_kl([terms.kl_per_dimension(site, "auto") for site in sites], rows)
        for site in terms.observed.values():
            self.scales += _near_floor(site.model)
        for site in sites:
            self.posterior_scales += _near_floor(site.guide)
        self.rows += rows

    def _add_kl(self, parts: list[Tensor | None], rows: int) -> None:
        if any(part is None for part in parts):
            self.splits = False
            return
        sums = []
        for part in parts:
            if part is not None:  # [particles, batch or 1, *event]
                sums.append(part.double().expand(-1, rows, *part.shape[2:])[0].sum(0).flatten())
        total = torch.cat(sums)
        self.kl = total if self.kl is None else self.kl + total

    def latents(self) -> Latents:
        """Return what was gathered."""
        place = torch.cat(self.places)
        finite = place.isfinite().all(1)
        if not bool(finite.any()):
            raise ValueError("q(z | x) has no finite numbers: the weights of the model are spoilt")
        whole = self.splits and self.kl is not None and bool(self.kl.isfinite().all())
        # of codes there is one term for each vector, not one for each of its numbers
        whole = whole and self.kl is not None and len(self.kl) == place.shape[1]
        labels = torch.cat(self.labels) if self.labels else None
        given = isinstance(getattr(self._likelihood, "scale", None), int | float)
        return Latents(
            place=place[finite],
            is_mean=self.is_mean,
            labels=None if labels is None else labels[finite],
            names=self.names,
            kl=self.kl / self.rows if whole and self.kl is not None else None,
            floored=None if given else _share(self.scales),
            posterior_floored=_share(self.posterior_scales),
        )

    @property
    def _likelihood(self) -> Any:
        return getattr(self.model, "likelihood", None)


def _names(site: str, dimensions: int) -> list[str]:
    return [f"{site}[{at}]" for at in range(dimensions)]


def _near_floor(distribution: Any) -> list[tuple[float, int]]:
    """Return how many scales of a distribution are at their floor, and of how many."""
    while distribution is not None:
        scale = vars(distribution).get("scale")
        if isinstance(scale, Tensor):
            return [(float((scale <= _NEAR * FLOOR).sum()), scale.numel())]
        distribution = getattr(distribution, "base_dist", None)
    return []


def _share(counts: list[tuple[float, int]]) -> float | None:
    total = sum(count for _, count in counts)
    return sum(near for near, _ in counts) / total if total else None
