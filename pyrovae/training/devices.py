"""Devices: the one that a name stands for, as Lightning Fabric finds it."""

import torch
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
    accelerator, colon, number = str(device).partition(":")
    numbered = number.isdecimal() and accelerator in ("cuda", "gpu")
    if accelerator not in _KNOWN or (colon and not numbered):
        raise ValueError(
            f"device expects one of {', '.join(_KNOWN)}, or a numbered one such as cuda:1; "
            f"got {device!r}"
        )
    try:
        fabric = Fabric(accelerator=accelerator, devices=[int(number)] if number else 1)
    except Exception as error:  # Fabric's own kinds of errors differ between devices
        raise ValueError(
            f"device {device!r} cannot be used here: there are {', '.join(_present())}"
        ) from error
    if fabric.world_size > 1:
        raise ValueError(
            f"fit trains in one process and was started in {fabric.world_size}; start it once"
        )
    return fabric


def _present() -> list[str]:
    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]
