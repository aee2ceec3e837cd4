"""Data sets of torchvision by the name of their class, whatever their constructors are like."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

from torch.utils.data import Dataset

from pyrovae.data.image_files import data_folder, downloading
from pyrovae.data.source import Role
from pyrovae.data.torchvision_import import torchvision
from pyrovae.spelling import nearest

# What the classes call their splits, in the order in which they are tried.
_SPLITS: dict[Role, tuple[str, ...]] = {
    "train": ("train", "trainval", "train-standard"),
    "valid": ("valid", "val"),
    "test": ("test",),
}
_CHOOSING = ("train", "split", "image_set")  # arguments that choose a split, the first one counts
_OURS = ("root", "download", "transform", "target_transform", "transforms")

_VIDEO = "its data are videos"
_BOXES = (
    "it is made for finding or describing what photographs of many sizes show; the photographs "
    "alone are read by ImageFolder, with a size"
)
_PAIRS = "its data are pairs of images"
_BASE = "it is no data set by itself; ImageFolder of pyrovae reads images in a folder"
_REFUSED = {
    "CocoCaptions": _BOXES,
    "CocoDetection": _BOXES,
    "DatasetFolder": _BASE,
    "HMDB51": _VIDEO,
    "ImageFolder": _BASE,
    "Kinetics": _VIDEO,
    "Kitti": _BOXES,
    "LFWPairs": _PAIRS,
    "MovingMNIST": _VIDEO,
    "PhotoTour": _PAIRS,
    "UCF101": _VIDEO,
    "VOCDetection": _BOXES,
    "VisionDataset": _BASE,
    "WIDERFace": _BOXES,
}


def set_names() -> list[str]:
    """Return the names of all data sets of torchvision; it is imported for that.

    Raises:
        ImportError: torchvision is not installed.
    """
    found = torchvision().datasets
    return [
        name
        for name in found.__all__
        if isinstance(getattr(found, name), type) and issubclass(getattr(found, name), Dataset)
    ]


def open_set(name: str, role: Role, root: str | None, options: Mapping[str, Any]) -> Any:
    """Return a split of a data set, downloaded first where it is missing.

    A class that has no splits, or whose split is chosen in the options, is whole "train".

    Arguments:
        name: the class of `torchvision.datasets`.
        role: the split; one that the class has not gives None.
        root: the folder that holds the files; None is `data_folder()`.
        options: more arguments of the class, by name.

    Raises:
        ImportError: a package is missing that the class needs.
        OSError: files are missing and cannot be downloaded, or are not what they should be.
        ValueError: no such class, one that holds no single images, or an option is wrong.
    """
    kind = _known(name)
    takes = _parameters(kind)
    _check_options(name, takes, options)
    chooser = next((word for word in _CHOOSING if word in takes), None)
    if chooser is None or chooser in options or "what" in options:  # QMNIST calls one so
        return _made(kind, takes, root, options) if role == "train" else None
    if chooser == "train":
        flag = {chooser: role == "train"}
        return None if role == "valid" else _made(kind, takes, root, {**options, **flag})
    for word in _SPLITS[role]:
        try:
            return _made(kind, takes, root, {**options, chooser: word}, tried=word)
        except _NoSuchSplitError:
            continue
    if role == "train":
        raise ValueError(
            f"{name} of torchvision has no split {' or '.join(_SPLITS['train'])}: choose one by "
            f"options={{{chooser!r}: ...}}"
        )
    return None


class _NoSuchSplitError(Exception):
    """A class does not know the split that was tried."""


def _known(name: str) -> Any:
    names = set_names()
    if name not in names:
        raise ValueError(f"torchvision has no data set {name!r}{nearest(name, names)}")
    kind = getattr(torchvision().datasets, name)
    takes = _parameters(kind)
    reason = _REFUSED.get(name)
    if reason is None and "frames_per_clip" in takes:
        reason = _VIDEO
    if reason is None and "transforms" in takes and "transform" not in takes:
        reason = "its data are images with others to match, such as depth, flow or outlines"
    if reason is not None:
        raise ValueError(f"{name} of torchvision is not read here: {reason}")
    return kind


def _parameters(kind: Any) -> dict[str, inspect.Parameter]:
    """Return what a constructor takes, with what it passes on to those of its bases."""
    found: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        given = list(inspect.signature(base.__init__).parameters.values())[1:]
        for parameter in given:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in given):
            break
    return found


def _check_options(
    name: str, takes: Mapping[str, inspect.Parameter], options: Mapping[str, Any]
) -> None:
    open_to = [word for word in takes if word not in _OURS]
    for word in options:
        if word not in open_to:
            raise ValueError(
                f"{name} of torchvision takes the options {', '.join(open_to) or '(none)'}; "
                f"got {word!r}{nearest(word, open_to)}"
            )
    chooser = next((word for word in _CHOOSING if word in takes), None)
    for word in open_to:
        if takes[word].default is inspect.Parameter.empty and word not in (*options, chooser):
            listed = getattr(getattr(torchvision().datasets, name), f"{word}s", ())
            known = f", one of {', '.join(listed)}" if isinstance(listed, tuple | list) else ""
            raise ValueError(
                f"{name} of torchvision needs its {word!r}{known if listed else ''}: "
                f"options={{{word!r}: ...}}, on the command line --data.options '{{{word}: ...}}'"
            )


def _made(
    kind: Any,
    takes: Mapping[str, inspect.Parameter],
    root: str | None,
    given: Mapping[str, Any],
    *,
    tried: str = "",
) -> Any:
    """Make a data set from the files that are there, else from downloaded ones."""
    folder = data_folder() if root is None else Path(root).expanduser()
    place = {"root": str(folder)} if "root" in takes else {}
    ways = ({"download": False}, {"download": True}) if "download" in takes else ({},)
    for way in ways:
        try:
            with downloading():
                return kind(**place, **given, **way)
        except ImportError as error:
            reason = shorten(str(error), 200)
            raise ImportError(f"{kind.__name__} of torchvision needs more: {reason}") from error
        except Exception as error:  # unsound files make torchvision raise whatever they lead to
            failure = error
            reason = shorten(str(error) or type(error).__name__, 200)
        if isinstance(failure, ValueError) and "Unknown value" in reason:
            if tried and repr(tried) in reason:
                raise _NoSuchSplitError from failure
            raise ValueError(f"{kind.__name__} of torchvision: {reason}") from failure
        if isinstance(failure, TypeError) or not place:
            raise ValueError(
                f"{kind.__name__} of torchvision cannot be made with {dict(given)} ({reason})"
            ) from failure
    how = "nor downloaded" if "download" in takes else "and torchvision does not download it"
    raise FileNotFoundError(
        f"{kind.__name__} cannot be read from {folder}, {how}: put its files there as torchvision "
        f"keeps them, in place of unsound ones, or set the environment variable PYROVAE_DATA to "
        f"the folder that holds them ({reason})"
    ) from failure
