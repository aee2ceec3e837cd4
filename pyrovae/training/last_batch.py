"""The last batch of an epoch: batch normalisation cannot take one of a single row."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from pyrovae.data import Data
from pyrovae.networks import train_mode
from pyrovae.scopes import random_state
from pyrovae.training.losses import Loss

_SAID = "more than 1 value per channel"  # torch's words


def check_last_batch(
    loss: Loss, data: Data, batch_size: int, device: torch.device, *, parts: int = 1
) -> None:
    """Raise ValueError where an epoch has a batch of one row that the model cannot be trained on.

    Whether it can is found out by running it on one row, since particles and the pixels of images
    count as rows too; parameters, buffers and random states stay as they were.

    Arguments:
        loss: the objective and the programs.
        data: what is trained on.
        batch_size: rows in a batch, at most as many as there are data.
        device: where the model is.
        parts: how many processes share a batch.
    """
    if not data.sized or not any(isinstance(layer, _BatchNorm) for layer in loss.modules()):
        return
    count = len(data)
    if not _leaves_one(count, batch_size, parts):
        return
    buffers = [(buffer, buffer.clone()) for buffer in loss.buffers()]
    training = {module: module.training for module in loss.modules()}
    try:
        with random_state(device=device), torch.no_grad():
            train_mode(loss)
            loss(next(data.batches(batch_size=1, device=device)))
    except ValueError as error:
        if _SAID not in str(error):
            raise
        each = "" if parts == 1 else f" for each of {parts} processes"
        raise ValueError(
            f"batch normalisation needs two rows in a batch{each}, and "
            f"batch_size={batch_size} leaves a batch of one of {count} data; "
            f"{_remedy(count, batch_size, parts)}"
        ) from error
    finally:
        for module, mode in training.items():
            module.training = mode
        for buffer, before in buffers:
            buffer.copy_(before)


def _leaves_one(count: int, batch_size: int, parts: int) -> bool:
    """Return whether a process's share of some batch is a single row."""
    sizes = (batch_size, count % batch_size)
    return any(0 < size < 2 * parts for size in sizes)


def _remedy(count: int, batch_size: int, parts: int) -> str:
    sizes = [*range(batch_size - 1, 1, -1), *range(batch_size + 1, count + 1)]
    fitting = next((size for size in sizes if not _leaves_one(count, size, parts)), None)
    return "give more data" if fitting is None else f"choose another, such as {fitting}"
