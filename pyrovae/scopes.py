"""Scopes: context managers for the state of the process and of a module, always put back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from pyro import poutine
from pyro.distributions import util as distributions_util
from pyro.infer import util as infer_util
from torch import Tensor, nn
from torch.distributions import Distribution


@contextmanager
def validation(*, enabled: bool) -> Iterator[None]:
    """Switch the validation of Pyro and of torch's distributions on or off inside this context.

    Pyro's own context manager puts torch's default to Pyro's, whatever it was before; this one
    puts each of the four settings back to its own.

    Arguments:
        enabled: whether distributions and programs check their arguments.

    Example:
        >>> with validation(enabled=False):
        ...     torch.distributions.Normal(0.0, -1.0).scale.item()
        -1.0
    """
    before = (
        distributions_util.is_validation_enabled(),
        Distribution._validate_args,
        infer_util.is_validation_enabled(),
        poutine.util.is_validation_enabled(),
    )
    _set_validation(enabled, enabled, enabled, enabled)
    try:
        yield
    finally:
        _set_validation(*before)


def _set_validation(pyro: bool, torch_default: bool, infer: bool, handlers: bool) -> None:  # noqa: FBT001
    distributions_util.enable_validation(pyro)
    Distribution.set_default_validate_args(torch_default)
    infer_util.enable_validation(infer)
    poutine.util.enable_validation(handlers)


@contextmanager
def random_state(seed: int | None = None, *, device: torch.device | None = None) -> Iterator[None]:
    """Put torch's random state back to what it was when this context ends.

    Arguments:
        seed: what to seed it with inside; None goes on from the caller's state.
        device: an accelerator whose random state counts as well.

    Example:
        >>> before = torch.random.get_rng_state()
        >>> with random_state(3):
        ...     _ = torch.rand(5)
        >>> bool((torch.random.get_rng_state() == before).all())
        True
    """
    accelerated = device is not None and device.type != "cpu"
    devices = [device.index or 0] if accelerated and device is not None else []
    kind = device.type if accelerated and device is not None else "cuda"
    with torch.random.fork_rng(devices=devices, device_type=kind):
        if seed is not None:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed them all
            if accelerated:
                torch.get_device_module(device).manual_seed(seed)
        yield


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode inside this context, each submodule as it was behind it."""
    training = [submodule for submodule in module.modules() if submodule.training]
    module.eval()
    try:
        yield
    finally:
        for submodule in training:
            submodule.training = True


def frozen_tensors(module: nn.Module) -> list[Tensor]:
    """Return the parameters that require no gradient, and the buffers of wholly frozen submodules.

    A submodule is frozen where it has parameters and none of them requires a gradient.

    Example:
        >>> layer = nn.BatchNorm1d(2).requires_grad_(False)
        >>> len(frozen_tensors(layer))  # weight, bias, two statistics and their count
        5
    """
    found: dict[int, Tensor] = {}
    for submodule in module.modules():
        parameters = list(submodule.parameters())
        frozen = [parameter for parameter in parameters if not parameter.requires_grad]
        buffers = submodule.buffers() if frozen and len(frozen) == len(parameters) else ()
        found |= {id(tensor): tensor for tensor in (*frozen, *buffers)}
    return list(found.values())
