"""Agreement: the processes of a run begin with the same settings and the same weights."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from pyrovae.scopes import random_state
from pyrovae.training.processes import Processes
from pyrovae.training.state import settings_of

if TYPE_CHECKING:
    from pyrovae.training.run import Run

_SHOWN = 120


def noise_seed(seed: int | None, processes: Processes) -> int | None:
    """Return what seeds the noise of this process; None goes on from the caller's random state.

    Arguments:
        seed: the seed of the run, None for none.
        processes: those of the run.
    """
    if processes.first:
        return seed
    if seed is None:
        with random_state():
            seed = int(torch.randint(2**62, ()))
    return processes.noise_seed(seed)


def share_weights(module: nn.Module, processes: Processes) -> None:
    """Give every process the first one's parameters and buffers.

    Raises:
        ValueError: the processes have not built the same module.
    """
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    shapes = {name: f"{tensor.dtype}{list(tensor.shape)}" for name, tensor in tensors.items()}
    _require_alike(shapes, processes)
    processes.copy(list(tensors.values()))


def require_agreement(run: "Run") -> None:
    """Raise ValueError where the processes of a run were not given the same settings."""
    _require_alike({**settings_of(run), "epochs": str(run.epochs)}, run.processes)


def _require_alike(facts: Mapping[str, str], processes: Processes) -> None:
    first, *others = processes.gather(dict(facts))
    for rank, other in enumerate(others, start=1):
        for name in [*first, *other]:
            if first.get(name) != other.get(name):
                raise ValueError(
                    f"the processes of a run must be given the same model, data and settings; "
                    f"{name} is {str(first.get(name))[:_SHOWN]} in process 0 and "
                    f"{str(other.get(name))[:_SHOWN]} in process {rank}"
                )
