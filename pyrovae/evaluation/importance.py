"""Importance sampling of log p(x), a block of data and draws at a time.

`log p(x) ~ log 1/S sum_s w_s`, with `w_s = p(x, z_s) / q(z_s | x)` and z_s ~ q(z | x). Draws come
in blocks whose size follows from a memory budget; what is kept of a block are sums for each datum,
in float64, so memory does not grow with S.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyrovae.evaluation.latents import latent_sites
from pyrovae.evaluation.memory import BUDGET, IN_CACHE, rows_within
from pyrovae.models import Pair, Score
from pyrovae.objectives import LocalParameters, Site, Terms, trace_terms
from pyrovae.scopes import evaluation_mode, validation

Batch = dict[str, Tensor]

_DATA = 16  # of a batch, at least, where more blocks cost no further encoding


@dataclass
class Weights:
    """Sums over the draws of a batch; every estimate about its data follows from them.

    Arguments:
        samples: the number of draws so far, S.
        log_total: `log sum_s w_s` of each datum.
        log_square: `log sum_s w_s^2` of each datum.
        log_halves: `log sum w_s` over the even and over the odd draws, of shape `[2, batch]`.
        halves: how many draws each half has.
        sum_log: `sum_s log w_s` of each datum.
        sum_reconstruction: `sum_s log p(x | z_s)` of each datum.
        sum_dimensions: the sum over draws of each latent dimension's `log q - log p`, of shape
            `[batch, dimensions]`, None where it does not split.
    """

    samples: int
    log_total: Tensor
    log_square: Tensor
    log_halves: Tensor
    halves: tuple[int, int]
    sum_log: Tensor
    sum_reconstruction: Tensor
    sum_dimensions: Tensor | None

    @classmethod
    def of(cls, terms: Terms, model: Any = None) -> "Weights":
        """Return the sums of one record, of a model whose label is no latent dimension."""
        split = [_split(terms, site) for site in latent_sites(model, terms)]
        whole = [part for part in split if part is not None]
        splits = bool(whole) and len(whole) == len(split)
        if splits and len(whole) == len(terms.latent) and not terms.enumerated:
            # these are log q - log p: no need to compute it again
            log_weight = terms.log_likelihood.double()
            for part in whole:
                log_weight = log_weight - part.sum(-1, dtype=torch.float64)
        else:
            log_weight = terms.log_evidence_weight.double()
        elbo = terms.expectation(terms.log_weight).double() if terms.enumerated else log_weight
        reconstruction = terms.expectation(terms.log_likelihood).double()
        samples, dimensions = log_weight.shape[0], None
        if splits:  # an enumerated site has one term for all draws
            sums = [part.sum(0) * (samples / len(part)) for part in whole]
            dimensions = torch.cat(sums, -1).double()
        return cls(
            samples=samples,
            log_total=log_weight.logsumexp(0),
            log_square=(2 * log_weight).logsumexp(0),
            log_halves=torch.stack([log_weight[half::2].logsumexp(0) for half in (0, 1)]),
            halves=(len(log_weight[0::2]), len(log_weight[1::2])),
            sum_log=elbo.sum(0),
            sum_reconstruction=reconstruction.sum(0),
            sum_dimensions=dimensions,
        )

    def add(self, other: "Weights") -> None:
        """Add the sums of further draws of the same data."""
        self.samples += other.samples
        self.log_total = torch.logaddexp(self.log_total, other.log_total)
        self.log_square = torch.logaddexp(self.log_square, other.log_square)
        self.log_halves = torch.logaddexp(self.log_halves, other.log_halves)
        self.halves = self.halves[0] + other.halves[0], self.halves[1] + other.halves[1]
        self.sum_log += other.sum_log
        self.sum_reconstruction += other.sum_reconstruction
        if self.sum_dimensions is not None and other.sum_dimensions is not None:
            self.sum_dimensions += other.sum_dimensions

    def repeated(self, samples: int) -> None:
        """Let the sums stand for so many draws, where nothing is drawn and all are equal."""
        log_weight = self.log_total - math.log(self.samples)
        share = samples / self.samples
        self.samples, self.halves = samples, ((samples + 1) // 2, samples // 2)
        self.log_total = log_weight + math.log(samples)
        self.log_square = 2 * log_weight + math.log(samples)
        self.log_halves = log_weight + log_weight.new_tensor(self.halves).log().unsqueeze(-1)
        self.sum_log = self.sum_log * share
        self.sum_reconstruction = self.sum_reconstruction * share
        if self.sum_dimensions is not None:
            self.sum_dimensions = self.sum_dimensions * share

    @property
    def elbo(self) -> Tensor:
        """The mean of log w of each datum."""
        return self.sum_log / self.samples

    @property
    def log_prob(self) -> Tensor:
        """The log of the mean of w of each datum, never below the mean of its log."""
        return torch.maximum(self.log_total - math.log(self.samples), self.elbo)

    @property
    def cubo(self) -> Tensor:
        """Half the log of the mean of w^2 of each datum, never below `log_prob`."""
        return torch.maximum((self.log_square - math.log(self.samples)) / 2, self.log_prob)

    @property
    def ess(self) -> Tensor:
        """The effective sample size of each datum, `(sum w)^2 / sum w^2`, from 1 to S."""
        return (2 * self.log_total - self.log_square).exp().clamp(1.0, float(self.samples))

    @property
    def variance(self) -> Tensor:
        """The Monte Carlo variance of each `log_prob`, by the delta method; nan for one draw."""
        if self.samples == 1:
            return torch.full_like(self.log_total, float("nan"))
        return (self.samples / self.ess - 1.0).clamp(min=0.0) / (self.samples - 1)

    @property
    def bias(self) -> Tensor:
        """By how much each `log_prob` is about too low; nan for one draw.

        It is what the estimate gains over those of half the draws: the whole bias where that falls
        as 1/S, and less than the bias where it falls more slowly, as under heavy weights.
        """
        if self.samples == 1:
            return torch.full_like(self.log_total, float("nan"))
        counts = self.log_halves.new_tensor(self.halves).log().unsqueeze(-1)
        return (self.log_prob - (self.log_halves - counts).mean(0)).clamp(min=0.0)


def _split(terms: Terms, site: Site) -> Tensor | None:
    """Return a site's `log q - log p` of each dimension, `[particles, batch, dimensions]`, or None.

    One-hot codes split into vectors only, which are no dimensions.
    """
    part = terms.kl_per_dimension(site, "sampled")
    if part is None or site.guide is None:
        return None
    flat = part.reshape(*part.shape[:2], -1)
    return flat if flat.shape[-1] == site.guide.event_shape.numel() else None


class Sampler:
    """Draws weights for batches of a pair, in blocks of data x draws that fit into the budget.

    Where the pair is one of our models, a batch is encoded once for all its blocks, so that a block
    can be of many data and few draws, which is best for the matrix products. Of other programs a
    block has as many draws as it can, for their guide runs again for each.

    Arguments:
        pair: the programs.
        batch: a first batch, for measuring.
        samples: how many draws each datum gets, S.
        budget: bytes that a block may take; a processor's cache is the bound if it is smaller.
        score: scores the parts of a block, by default as they are.
    """

    def __init__(
        self,
        pair: Pair,
        batch: Batch,
        *,
        samples: int,
        budget: int = BUDGET,
        score: Score | None = None,
    ) -> None:
        self.pair = pair
        self.score: Score | None = None  # for measuring, as the parts are
        self.samples = samples
        if device_of(pair).type == "cpu" and not pair.fixes:  # those decode in parts themselves
            budget = min(budget, IN_CACHE)
        one = {name: value[:1] for name, value in pair.evidence(batch).items()}

        def several(data: int) -> Batch:
            return {name: value.repeat_interleave(data, 0) for name, value in one.items()}

        with torch.random.fork_rng(devices=[]):
            rows = rows_within(
                lambda particles: self.sums(self.trace(one, particles=particles)), budget=budget
            )
            # draws share what the guide makes of their datum, such as the encoder's layers
            data = rows_within(
                lambda data: self.sums(self.trace(several(data), particles=1)), budget=budget
            )
        least = min(_DATA, rows) if pair.fixes else 1
        self.batch_size = max(1, min(max(rows // samples, least), data))
        self.rows = rows
        self.score = score

    def sums(self, terms: Terms) -> Weights:
        """Return the sums of one record."""
        return Weights.of(terms, self.pair.whole)

    def trace(self, batch: Batch, *, particles: int) -> Terms:
        """Return the record of a batch."""
        return next(self.traces(batch, [particles]))

    def traces(self, batch: Batch, blocks: Iterable[int]) -> Iterator[Terms]:
        """Yield the record of each block of draws of a batch, with labels summed out."""
        given = self.pair.evidence(batch)
        args, kwargs = self.pair.arguments(given)
        model, guide = self.pair.fixed(given, score=self.score)
        for particles in blocks:
            with LocalParameters(self.pair):
                terms = trace_terms(model, guide, args, kwargs, particles=particles)
            terms.require_densities()
            yield terms

    def blocks(self, data: int) -> list[int]:
        """Return how many draws of each of so many data to take at once: S in about equal parts."""
        count = -(-self.samples // max(1, self.rows // data))
        least, more = divmod(self.samples, count)
        return [least + 1] * more + [least] * (count - more)

    def weights(self, batch: Batch) -> tuple[Weights, Terms]:
        """Return the sums over all draws of a batch, and the record of the first block."""
        traces = self.traces(batch, self.blocks(len(next(iter(batch.values())))))
        first = next(traces)
        weights = self.sums(first)
        if len(first.enumerated) == len(first.latent):
            weights.repeated(self.samples)
            return weights, first
        for terms in traces:
            weights.add(self.sums(terms))
        return weights, first


@contextmanager
def evaluating(pair: Pair) -> Iterator[None]:
    """Switch gradients, validation and training mode off inside this context."""
    with torch.no_grad(), evaluation_mode(pair), validation(enabled=False):
        yield


def device_of(pair: Pair) -> torch.device:
    """Return the device of the pair's parameters."""
    tensors = [*pair.parameters(), *pair.buffers()]
    return tensors[0].device if tensors else torch.device("cpu")
