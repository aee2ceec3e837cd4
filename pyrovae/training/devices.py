"""Devices and processes: what a name stands for, as Lightning Fabric sets it up."""

import logging
import os
from datetime import timedelta

import torch
from lightning_fabric import Fabric

from pyrovae.launched import launched
from pyrovae.training.processes import OneProcess, Processes, SeveralProcesses

_KNOWN = ("auto", "cpu", "cuda", "gpu", "mps")
_LONGEST = timedelta(days=1)  # that one process waits for another: it may read or download data


def fabric_of(device: str) -> Fabric:
    """Return Fabric on a device; the networks' precision is ours, not Fabric's.

    Under `torchrun` each process gets a device of its own of that kind, and they are connected, by
    gloo on CPUs and by NCCL on GPUs.

    Arguments:
        device: "auto", "cpu", "cuda", "cuda:1", "mps".

    Raises:
        ValueError: there is no such device here, or too few for the processes.

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
    _, size = launched()
    if size > 1 and numbered:
        raise ValueError(
            f"device {device!r} is one device, and there are {size} processes: give "
            f"{accelerator!r}, of which each gets its own"
        )
    try:
        if size > 1:
            fabric = _one_of_several(accelerator, size)
        else:
            fabric = Fabric(accelerator=accelerator, devices=[int(number)] if number else 1)
    except Exception as error:  # Fabric's own kinds of errors differ between devices
        few = f", and {size} processes need one each" if size > 1 else ""
        raise ValueError(
            f"device {device!r} cannot be used here: there are {', '.join(_present())}{few}"
        ) from error
    if size > 1:
        _connect(fabric)
    elif fabric.world_size > 1:
        raise ValueError(
            f"fit was started in {fabric.world_size} processes, and not by torchrun; start it "
            f"once, or by torchrun --nproc-per-node {fabric.world_size}"
        )
    return fabric


def processes_of(fabric: Fabric) -> Processes:
    """Return the processes that Fabric has connected.

    Example:
        >>> processes_of(fabric_of("cpu")).size
        1
    """
    if fabric.world_size == 1:
        return OneProcess()
    return SeveralProcesses(rank=fabric.global_rank, size=fabric.world_size, device=fabric.device)


def _one_of_several(accelerator: str, size: int) -> Fabric:
    """Return Fabric for this process of several, not yet connected with the others."""
    from lightning_fabric.strategies.ddp import DDPStrategy

    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return Fabric(
        accelerator=accelerator,
        devices=here,
        num_nodes=size // here,
        strategy=DDPStrategy(timeout=_LONGEST),
    )


def _connect(fabric: Fabric) -> None:
    """Connect the processes, without the words that Fabric has for it."""
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        fabric.launch()
    finally:
        logger.setLevel(level)


def _present() -> list[str]:
    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]
