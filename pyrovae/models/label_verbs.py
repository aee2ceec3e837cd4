"""What models of labels do for their users: draw data of a label, and change the label of one."""

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.memory import memory_advice
from pyrovae.models.labels import prior_draws, require_count
from pyrovae.scopes import evaluation_mode

Label = Tensor | float | None


@torch.no_grad()
def sampled(
    model: Any,
    n: int,
    *,
    y: Label,
    mean: bool,
    prior: Callable[[Tensor], TorchDistributionMixin],
    decode: Callable[[Tensor, Tensor], TorchDistributionMixin],
) -> Tensor:
    """Draw n data from a model, of shape `[n, *event_shape]`.

    Arguments:
        model: the model, with its target as `label`, and its likelihood.
        n: how many.
        y: their labels, or one for all; None draws them from p(y).
        mean: return E[x | y, z] at each draw in place of a draw of x; of codes, the likeliest.
        prior: makes p(z | y) of y as a network sees it.
        decode: makes p(x | y, z) of z and y.

    Raises:
        ValueError: n is no count, or y are no labels.
        MemoryError: so many do not fit into memory.
    """
    rows = max(require_count(n), 1)
    if n == 0 and isinstance(y, Tensor) and y.numel() == 0:
        y = None  # one row is drawn, and left out
    with evaluation_mode(model), memory_advice(lambda: f"drawing {n} data; draw fewer at once"):
        code = model.label.code(model.label.drawn(rows, y))
        x_given_z = decode(prior_draws(prior(code), rows), code)
        drawn: Tensor = model.likelihood.typical(x_given_z) if mean else x_given_z.sample()
        return drawn[:n]


@torch.no_grad()
def translated(
    model: Any, x: Tensor, *, y: Label, source: Label, observed: Tensor | None
) -> Tensor:
    """Return `E[x | y, z]` at one draw z ~ q(z | x, y') of each datum, of the shape of x.

    Arguments:
        model: the model, with `classify`, `encode` and `decode`.
        x: the data, of shape `[*batch, *event_shape]`.
        y: the labels to decode under, or one for all; where unknown, what stands for q(y | x).
        source: the labels y' that x have, likewise.
        observed: which entries of x are known.
    """
    with evaluation_mode(model):
        z = model.encode(x, y=source, observed=observed).sample()
        batch = z.shape[: z.dim() - len(model.prior.event_shape)]
        label = model.label.completed(y, batch, lambda: model.classify(x, observed=observed))
        typical: Tensor = model.likelihood.typical(model.decode(z, y=label))
        return typical
