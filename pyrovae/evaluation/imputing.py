"""Impute: the missing entries of data, drawn from what a model makes of the known ones.

`p(x_missing | x_known)` is the mean of `p(x_missing | z, x_known)` over `p(z | x_known)`. Draws of
q(z | x_known), weighed by `p(x_known, z) / q(z | x_known)`, stand for the latter.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pyrovae.context import Context
from pyrovae.data import Data, DataLike
from pyrovae.evaluation.asked import check_count, check_seed, held_out
from pyrovae.evaluation.importance import Batch, Sampler, device_of, evaluating
from pyrovae.evaluation.imputation import Imputation, Tally, joined
from pyrovae.evaluation.memory import BUDGET, IN_CACHE, rows_within, within_memory
from pyrovae.evaluation.resampling import Resampled
from pyrovae.models import VAE, Pair
from pyrovae.scopes import random_state

_BYTES = 8  # of a number, at most
_BESIDE = 6  # tensors of the size of x beside the draws


def impute(
    model: VAE, data: DataLike, *, draws: int = 10, samples: int = 1000, seed: int = 0
) -> Imputation:
    r"""Fill in missing entries, by draws from p(x_missing | x_known) and by their mean.

        w_s = p(x_known, z_s) / q(z_s | x_known),    z_s ~ q(z | x_known)
        E[x_missing | x_known] = sum_s w_s E[x_missing | z_s, x_known] / sum_s w_s

    A draw is one of p(x | z, x_known) at a z that is chosen by its weight, so that draws do not
    depend on how well q fits, as long as the effective sample size is good. No parameter, buffer or
    random state is changed; memory grows with the result alone.

    References:
        Mattei and Frellsen, 2019, arXiv:1812.02633; Rezende, Mohamed and Wierstra, 2014,
        arXiv:1401.4082, on imputing by the model.

    Arguments:
        model: a `VAE`.
        data: as of `evaluate`, with the key "observed", which says what of x is known.
        draws: how often each datum is completed.
        samples: how many draws of the posterior each datum gets, S.
        seed: seeds the draws.

    Raises:
        TypeError: the model is no `VAE`.
        ValueError: the data do not say what is missing, cannot be scored, or a number is no count.
        MemoryError: not even a small block fits.

    Warns:
        UserWarning: more than one datum in a hundred has fewer than 20 effective samples, or fewer
            than a fifth of the samples where these are few.

    Example:
        >>> import pyrovae
        >>> from pyrovae.likelihoods import Normal
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = pyrovae.VAE(prior=StandardNormal(1), likelihood=Normal((2,)),
        ...                   posterior=MeanFieldNormal(), encoder=MLP(()), decoder=MLP(()))
        >>> x = torch.tensor([[0.5, float("nan")]])
        >>> made = impute(vae, {"x": x, "observed": ~x.isnan()}, draws=3)
        >>> made.draws.shape, made.filled[0, 0].item()
        (torch.Size([3, 1, 2]), 0.5)
    """
    check_count("draws", draws)
    check_count("samples", samples)
    check_seed(seed)
    split = held_out(data)
    pair = imputing(model, split)

    def made(budget: int) -> list[Imputation]:
        with random_state(seed, device=device_of(pair)), evaluating(pair):
            parts = imputed(pair, split, draws=draws, samples=samples, budget=budget)
            return [part for part, _ in parts]

    result = joined(within_memory(made))
    tally = Tally()
    tally.add(result)
    tally.warn(stacklevel=3)
    return result


def imputing(model: VAE, data: Data) -> Pair:
    """Return a model as a pair that can impute data.

    Raises:
        TypeError: it is no `VAE`, or one with a generative program of its own.
        ValueError: the data do not say what is missing.
    """
    if not isinstance(model, VAE) or type(model).model is not VAE.model:
        raise TypeError(
            f"impute expects a pyrovae.VAE with its own generative program, whose p(x | z) it can "
            f"draw from; got {type(model).__name__}"
        )
    if "observed" not in data.keys:
        raise ValueError(
            "these data declare no missing entries, so there is nothing to impute: give "
            "'observed' beside x, which says of each entry whether it is known"
        )
    return Pair(model)


def imputed(
    pair: Pair, data: Data, *, draws: int, samples: int, budget: int = BUDGET
) -> Iterator[tuple[Imputation, Batch]]:
    """Yield the imputation of one batch after the other, and the batch.

    It draws from torch's random state, and expects to run under `evaluating`.

    Arguments:
        pair: what `imputing` returned.
        data: the data.
        draws: how often each datum is completed.
        samples: how many draws of the posterior each datum gets.
        budget: bytes that a block may take.
    """
    device = device_of(pair)
    probe = next(data.batches(batch_size=1, device=device))
    pair.check(probe)
    imputer = Imputer(pair, probe, draws=draws, samples=samples, budget=budget)
    for batch in data.batches(batch_size=imputer.batch_size, device=device):
        pair.check(batch)
        yield imputer(batch), batch


class Imputer:
    """Imputes batches in blocks of data and draws that fit into a budget.

    Arguments:
        pair: the model.
        probe: a first batch, for measuring.
        draws: how often each datum is completed.
        samples: how many draws of the posterior each datum gets.
        budget: bytes that a block may take.
    """

    def __init__(self, pair: Pair, probe: Batch, *, draws: int, samples: int, budget: int) -> None:
        whole: Any = pair.whole
        self.vae: VAE = whole  # `imputing` has seen to it
        self.draws = draws
        self.sampler = Sampler(pair, probe, samples=samples, budget=budget)
        like = self.vae.decoder_network.offset

        def decoded(rows: int) -> object:
            return self._moments(torch.randn(rows, 1, *self._place).to(like), probe)

        with torch.random.fork_rng(devices=[]):
            self.rows = rows_within(decoded, budget=min(budget, IN_CACHE))
        self.codes = self.vae.likelihood.coded().to(like.device)
        size = self.vae.decoder_network.offset.new_empty(self.vae.event_shape).numel()
        most = budget // (size * (draws + _BESIDE) * _BYTES)
        self.batch_size = max(1, min(self.sampler.batch_size, most))

    @property
    def _place(self) -> tuple[int, ...]:
        return tuple(self.vae.prior.event_shape)

    def __call__(self, batch: Batch) -> Imputation:
        """Return the imputation of a batch."""
        x, missing = batch["x"], ~batch["observed"]
        kept = Resampled(self.draws)
        exact = False
        for terms in self.sampler.traces(batch, self.sampler.blocks(len(x))):
            log_weight = terms.log_weight
            exact = terms.log_mass is not None
            if terms.log_mass is not None:  # z alone is latent, so these are all its values
                log_weight = log_weight + terms.log_mass
            z = terms.latent["z"].value.expand(*log_weight.shape, *self._place)
            parts = z.reshape(-1, len(x), *self._place).split(max(1, self.rows // len(x)))
            weights = log_weight.reshape(-1, len(x)).split(len(parts[0]))
            for some, weight in zip(parts, weights, strict=True):
                kept.add(weight, some)
                kept.moments(*self._moments(some, batch))
            if exact:
                break
        ess = kept.ess
        if exact:
            ess = torch.where(ess.isnan(), ess, float(self.sampler.samples))
        mean, spread = (moment.to(x.dtype) for moment in kept.mean_and_spread())
        found = {
            "draws": self._completed(kept.z, batch),
            "mean": torch.where(missing, mean, x),
            "spread": torch.where(missing, spread, 0.0),
            "missing": missing,
            "codes": self.codes,
            "index": batch["index"],
            "ess": ess.to(x.dtype),
        }
        on_host = {name: value.cpu() for name, value in found.items()}
        return Imputation(**on_host, samples=self.sampler.samples)

    def _given(self, z: Tensor, batch: Batch) -> Any:
        """Return p(x' | z, x_known) at draws of z."""
        likelihood = self.vae.likelihood
        raw = self.vae.decoder_network(z)
        context = Context(index=batch.get("index"), observed=batch["observed"])
        return likelihood.given(raw, batch["x"].to(raw.dtype), context)

    def _moments(self, z: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of x at draws of z, nan where there are none."""
        x_given_z = self._given(z, batch)
        none = z.new_full((), torch.nan).expand(*z.shape[:2], *self.vae.event_shape)
        found = []
        for name in ("mean", "variance"):
            try:
                found.append(getattr(x_given_z, name))
            except (NotImplementedError, AttributeError):
                found.append(none)
        return found[0], found[1]

    def _completed(self, z: Tensor, batch: Batch) -> Tensor:
        """Return the data with a draw of x in place of what is missing, at each z."""
        x = batch["x"]
        parts = [
            torch.where(batch["observed"], x, self._given(some, batch).sample().to(x.dtype))
            for some in z.split(max(1, self.rows // len(x)))
        ]
        return torch.cat(parts)
