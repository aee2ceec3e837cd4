"""The distribution of a label with another variable averaged out."""

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.distributions import Codes
from pyrovae.numeric import is_count, limit
from pyrovae.scopes import random_state

DRAWS = 32


def averaged(label: Any, raw: Tensor) -> TorchDistributionMixin:
    """Return the mean over draws of distributions of a label, `1/K sum_k q(y; raw_k)`.

    Arguments:
        label: the model's target.
        raw: raw numbers of y at each draw, of shape `[draws, *batch, *raw_shape]`.

    Returns:
        Of classes their probabilities, of numbers a mixture; of batch shape `[*batch]`.
    """
    if label.levels is not None:
        return Codes(label.given(raw).logits.logsumexp(0))
    behind = raw.movedim(0, raw.dim() - label.raw.dim() - 1)
    each = label.given(behind)
    weights = dist.Categorical(logits=raw.new_zeros(each.batch_shape))
    return dist.MixtureSameFamily(weights, each)


def same_draws(q: Any, draws: int, *, device: torch.device) -> Tensor:
    """Return draws of a distribution, the same at each call, of shape `[draws, *batch, *event]`.

    Arguments:
        q: the distribution.
        draws: how many.
        device: where its parameters are.

    Raises:
        ValueError: it is no positive number of draws.
    """
    if not is_count(draws):
        raise ValueError(
            f"classify expects a positive number of draws{limit(draws)}; got {draws!r}"
        )
    with torch.no_grad(), random_state(0, device=device):
        drawn: Tensor = q.sample(torch.Size((draws,)))
    return drawn
