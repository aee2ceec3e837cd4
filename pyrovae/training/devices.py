"""Devices: the one that a name stands for, as Lightning Fabric finds it."""

from lightning_fabric import Fabric

_KNOWN = ("auto", "cpu", "cuda", "gpu", "mps")


def fabric_of(device: str) -> Fabric:
    """Return Fabric for one process on a device; the networks' precision is ours, not Fabric's.

    Arguments:
        device: "auto", "cpu", "cuda", "cuda:1", "mps".

    Raises:
        ValueError: there is no such device here, or this is one process of several.

    Example:
        >>> fabric_of("cpu").device
        device(type='cpu')
    """
    accelerator, _, number = str(device).partition(":")
    if accelerator not in _KNOWN or not (number == "" or number.isdigit()):
        raise ValueError(f"device expects one of {_KNOWN} or such as 'cuda:1'; got {device!r}")
    try:
        fabric = Fabric(accelerator=accelerator, devices=[int(number)] if number else 1)
    except (RuntimeError, ValueError, ImportError) as error:
        raise ValueError(f"device {device!r} cannot be used here: {error}") from error
    if fabric.world_size > 1:
        raise ValueError(
            f"fit trains in one process and was started in {fabric.world_size}; start it once"
        )
    return fabric
