"""torchvision, imported where its compiled operators are missing as well.

A torchvision built for another torch finds no `torchvision::nms` and dies while it is imported,
although reading data sets needs no such operator. Declaring the two operators it asks for, without
an implementation, lets the import run to its end.
"""

import importlib
import sys
from types import ModuleType

import torch

_MISSING = "torchvision::nms does not exist"
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: dict[str, torch.library.Library] = {}  # a dropped library takes its operators with it


def torchvision() -> ModuleType:
    """Import torchvision and return it, declaring the operators its build may lack.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: torchvision fails for another reason than the missing operators.

    Example:
        >>> torchvision().datasets.MNIST.__name__
        'MNIST'
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    _declare_operators()
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # half imported: a second import would trip over it
    return importlib.import_module("torchvision")


def _declare_operators() -> None:
    """Define `nms` and `qnms` once in a process; calling them still fails, as it should."""
    if "torchvision" in _kept:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(name + _SIGNATURE)
    _kept["torchvision"] = library
