"""Preparing: starting values that the parts of a model take from data."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyrovae.models.inputs import known
from pyrovae.scopes import frozen_tensors


@torch.no_grad()
def prepare_parts(model: Any, batch: Mapping[str, Tensor], *, offset: Tensor) -> None:
    """Let a model's prior, likelihood and posterior set their starting values from data.

    What is frozen keeps the values it has. A model that was prepared is left as it is.

    Arguments:
        model: the model, with the parts `prior`, `likelihood` and `posterior`.
        batch: the data.
        offset: the buffer that shifts the likelihood's raw numbers, which is put to where the data
            lie.
    """
    if model.prepared:
        return
    x, observed = batch["x"], batch.get("observed")
    kept = [(tensor, tensor.clone()) for tensor in frozen_tensors(model)]
    likelihood = model.likelihood
    start = likelihood.prepare({**batch, "x": known(x, observed, likelihood, offset.dtype)})
    # what stands in for missing entries may be known only now
    shown = likelihood.inputs(known(x, observed, likelihood, offset.dtype))
    model.prior.prepare({**batch, "x": shown})
    model.posterior.prepare({**batch, "x": shown})
    if start is not None:
        offset.copy_(start)
    for tensor, before in kept:
        tensor.copy_(before)
    model.prepared.fill_(True)
