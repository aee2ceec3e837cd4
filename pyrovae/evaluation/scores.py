"""Scores: log p(x) of each datum, with its error."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.compiling import Compile, check_compile
from pyrovae.data import Data, DataLike, as_data
from pyrovae.evaluation.asked import check_count, check_seed, held_out, require_density
from pyrovae.evaluation.importance import Sampler, device_of, evaluating
from pyrovae.evaluation.memory import within_memory
from pyrovae.evaluation.scoring import scoring
from pyrovae.models import Pair, Programs
from pyrovae.scopes import random_state

_PROBED_ROWS = 2


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What `score` returns, a number for each datum, in nats.

    Arguments:
        log_prob: the importance-sampled log p(x), a lower bound in expectation; of what is known
            of x, where entries are missing.
        error: its Monte Carlo standard error; nan for one sample.
        ess: the effective sample size of its importance weights, from 1 to `samples`: where that
            is small, log p(x) is too low and its error too small.
        index: which datum it is.
        samples: the number of draws for each datum.
    """

    log_prob: Tensor
    error: Tensor
    ess: Tensor
    index: Tensor
    samples: int

    def sorted(self) -> "Scores":
        """Return the same, of the least likely datum first; what is nan comes before all."""
        order = self.log_prob.nan_to_num(nan=-torch.inf).sort(stable=True).indices
        rows = {name: getattr(self, name)[order] for name in ("log_prob", "error", "ess", "index")}
        return Scores(**rows, samples=self.samples)


def score(
    model: Programs,
    data: DataLike,
    *,
    samples: int = 1000,
    seed: int = 0,
    compile: Compile = "auto",
) -> Scores:
    """Estimate log p(x) of each datum, with its error, to find those that are unlikely.

    Arguments:
        model: a model, or a tuple `(model, guide)` of Pyro programs.
        data: as of `evaluate`.
        samples: how many draws of the posterior each datum gets.
        seed: seeds the draws.
        compile: as of `evaluate`.

    Raises:
        ValueError: the number of samples is not positive, the seed is negative, or the data cannot
            be scored.
        MemoryError: not even a small block fits.

    Example:
        >>> import pyrovae
        >>> from pyrovae.likelihoods import Normal
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = pyrovae.VAE(prior=StandardNormal(1), likelihood=Normal((2,)),
        ...                   posterior=MeanFieldNormal(), encoder=MLP(()), decoder=MLP(()))
        >>> x = torch.tensor([[0.0, 0.0], [9.0, -9.0], [0.1, 0.0]])
        >>> score(vae, x, samples=20).sorted().index[0].item()
        1
    """
    check_count("samples", samples)
    check_seed(seed)
    check_compile(compile)
    return _scores(Pair(model), held_out(data), samples=samples, seed=seed, compile=compile)


def log_prob(
    model: Programs,
    x: DataLike,
    *,
    samples: int = 1000,
    seed: int = 0,
    compile: Compile = "auto",
) -> Tensor:
    """Return the importance-sampled log p(x) of each datum in nats, of shape `[batch]`.

    Arguments:
        model: a model, or a tuple `(model, guide)` of Pyro programs.
        x: a tensor of shape `[batch, *event_shape]`, or a dict of tensors with "x".
        samples: how many draws of the posterior each datum gets.
        seed: seeds the draws.
        compile: as of `evaluate`.

    Raises:
        ValueError: the number of samples is not positive, the seed is negative, or the data cannot
            be scored.
    """
    check_count("samples", samples)
    check_seed(seed)
    check_compile(compile)
    found = _scores(Pair(model), as_data(x), samples=samples, seed=seed, compile=compile)
    return found.log_prob


def _scores(pair: Pair, data: Data, *, samples: int, seed: int, compile: Compile) -> Scores:
    require_density(pair)
    device = device_of(pair)
    scorer = scoring(pair, compile, draws=len(data) * samples if data.sized else None)

    def estimated(budget: int) -> dict[str, list[Tensor]]:
        found: dict[str, list[Tensor]] = {"log_prob": [], "error": [], "ess": [], "index": []}
        with random_state(seed, device=device), evaluating(pair):
            probe = next(data.batches(batch_size=_PROBED_ROWS, device=device))
            pair.check(probe)
            sampler = Sampler(pair, probe, samples=samples, budget=budget, score=scorer)
            for batch in data.batches(batch_size=sampler.batch_size, device=device):
                pair.check(batch)
                weights = sampler.weights(batch)[0]
                found["log_prob"].append(weights.log_prob)
                found["error"].append(weights.variance.sqrt())
                found["ess"].append(weights.ess)
                found["index"].append(batch["index"])
        return found

    found = {name: torch.cat(parts) for name, parts in within_memory(estimated).items()}
    dtype = torch.get_default_dtype()
    numbers = {name: found[name].to(dtype) for name in ("log_prob", "error", "ess")}
    return Scores(**numbers, index=found["index"], samples=samples)
