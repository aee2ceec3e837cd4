"""Folders: which images lie in one, to which split each belongs, and of which class it is."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyrovae.data.source import Role
from pyrovae.spelling import nearest

SUFFIXES = (
    ".bmp",
    ".gif",
    ".jfif",
    ".jp2",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".pbm",
    ".pgm",
    ".png",
    ".pnm",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)

_SPLITS: dict[str, Role] = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "test": "test",
}  # by the folder


@dataclass(frozen=True)
class Listing:
    """The images of one split, in an order that does not depend on the file system.

    Arguments:
        folder: the folder that holds them.
        files: their paths below it.
        labels: the number of each one's class, None without classes.
        classes: the names of the classes, sorted.
    """

    folder: Path
    files: list[str]
    labels: list[int] | None
    classes: tuple[str, ...]


def listings(folder: Path) -> dict[Role, Listing]:
    """Return the images in a folder by split, all under "train" where it has no splits.

    A sub-folder `train` beside `test`, `valid` or `val`, or alone, makes the sub-folders the
    splits. Sub-folders are classes where every image lies in one.

    Arguments:
        folder: the folder.

    Raises:
        OSError: there is no such folder, or it holds no image.
        ValueError: its sub-folders are neither splits nor classes.
    """
    found = _images(folder)
    tops = {_top(file) for file in found}
    named = {top: _SPLITS[top.lower()] for top in sorted(tops) if top.lower() in _SPLITS}
    if "train" not in named.values() or (len(named) == 1 and len(tops) > 1):
        return {"train": _listing(folder, found)}
    others = [file for file in found if _top(file) not in named]
    if others:
        raise ValueError(
            f"{folder} has the splits {', '.join(named)} and beside them {others[0]}, which "
            f"belongs to none: keep the splits alone in it, or name a folder inside it"
        )
    if len(set(named.values())) < len(named):
        raise ValueError(f"{folder} has two folders for one split: {', '.join(named)}; keep one")
    parts: dict[str, list[str]] = {}
    for file in found:
        top, _, rest = file.partition("/")
        parts.setdefault(top, []).append(rest)
    listed = {named[top]: _listing(folder / top, files) for top, files in parts.items()}
    return {role: _with_classes_of(listed["train"], part) for role, part in listed.items()}


def _listing(folder: Path, files: list[str]) -> Listing:
    tops = [_top(file) for file in files]
    if not all(tops):
        return Listing(folder, files, None, ())
    classes = tuple(sorted(set(tops)))
    number = {name: at for at, name in enumerate(classes)}
    return Listing(folder, files, [number[top] for top in tops], classes)


def _with_classes_of(train: Listing, part: Listing) -> Listing:
    """Return a split with its labels counted as those of the training split are."""
    if not train.classes or part.labels is None:
        return Listing(part.folder, part.files, None, ())
    for name in part.classes:
        if name not in train.classes:
            raise ValueError(
                f"{part.folder} has the class {name!r}, which {train.folder} has not: its classes "
                f"are {_shown(train.classes)}{nearest(name, train.classes)}"
            )
    number = [train.classes.index(name) for name in part.classes]
    return Listing(part.folder, part.files, [number[at] for at in part.labels], train.classes)


def _images(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise FileNotFoundError(_missing(folder))
    others: list[str] = []
    found = sorted(_walk(str(folder), "", (), others), key=lambda file: file.split("/"))
    if not found:
        seen = f", but {others[0]!r}, say" if others else ""
        raise FileNotFoundError(
            f"{folder} holds no image{seen}: images end in {', '.join(SUFFIXES)}"
        )
    return found


def _walk(
    folder: str, inside: str, above: tuple[tuple[int, int], ...], others: list[str]
) -> Iterator[str]:
    """Yield the images below a folder; a link to a folder around it is not followed.

    Arguments:
        folder: the folder that was named.
        inside: where in it to look, empty or ending in "/".
        above: the folders on the way here.
        others: takes a file that is no image.
    """
    place = os.path.join(folder, inside)
    known = os.stat(place)
    if (known.st_dev, known.st_ino) in above:
        return
    with os.scandir(place) as entries:
        for entry in entries:
            name = inside + entry.name
            link = entry.is_symlink()  # asked with care: a link may lead to itself, or nowhere
            if entry.name.startswith("."):
                continue
            if os.path.isdir(entry.path) if link else entry.is_dir():
                here = (*above, (known.st_dev, known.st_ino))
                yield from _walk(folder, name + "/", here, others)
            elif entry.name.lower().endswith(SUFFIXES) and (link or entry.is_file()):
                yield name
            elif not others:
                others.append(name)


def _missing(folder: Path) -> str:
    if folder.exists():
        return (
            f"{folder} is a file and no folder of images; arrays are read from .npy and .npz files"
        )
    near = folder.parent
    beside = [entry.name for entry in near.glob("*") if entry.is_dir()] if near.is_dir() else []
    return f"there is no folder {folder}, seen from {Path.cwd()}{nearest(folder.name, beside)}"


def _top(file: str) -> str:
    return file.partition("/")[0] if "/" in file else ""


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 10 else f"{', '.join(names[:9])} and more"
