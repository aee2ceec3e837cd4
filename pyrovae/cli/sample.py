"""The verb `sample`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyrovae.cli.arguments import Parser, allowed_packages, positive
from pyrovae.cli.errors import UsageError
from pyrovae.cli.images import grid, is_image
from pyrovae.cli.run_folder import find_run

SUFFIXES = (".png", ".npy", ".npz")


def run(words: Sequence[str]) -> int:
    """Draw from a run's model as the words say, and write what was drawn."""
    parser = Parser("sample", "Draw data from a run's model.")
    parser.add_argument("run", metavar="RUN", help="the run folder, or a model folder")
    parser.add_argument("--n", type=positive, default=64, help="how many to draw")
    parser.add_argument(
        "--out", help="the file to write: .png for images, .npy or .npz for numbers"
    )
    parser.add_argument("--mean", action="store_true", help="E[x | z] instead of a draw of x")
    parser.add_argument("--seed", type=int, default=0, help="seeds the draws")
    parser.add_argument("--allow", action="append", default=[], help="a package to trust")
    given = parser.read(words)
    if given is None:
        return 0
    found = find_run(given.run)

    from pyrovae.saving import load
    from pyrovae.scopes import random_state

    model = load(found.model, allow=allowed_packages(given.allow))
    shape = tuple(model.event_shape)
    default = found.folder / ("samples.png" if is_image(shape) else "samples.npy")
    file = default if given.out is None else Path(given.out).expanduser()
    _check(file, shape)
    with random_state(given.seed):
        drawn = model.sample(given.n, mean=given.mean).numpy()
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix.lower() == ".png":
        grid(_unit(drawn, model.likelihood)).save(file)
    elif file.suffix.lower() == ".npy":
        np.save(file, drawn)
    else:
        np.savez_compressed(file, x=drawn)
    print(f"{given.n} {'means' if given.mean else 'samples'} of shape {list(shape)}: {file}")
    return 0


def _check(file: Path, shape: tuple[int, ...]) -> None:
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError([f"--out: expected a file ending in {', '.join(SUFFIXES)}; got {file}"])
    if file.suffix.lower() == ".png" and not is_image(shape):
        raise UsageError(
            [f"--out: data of shape {list(shape)} are no images; write them to a .npy file"]
        )


def _unit(images: Any, likelihood: Any) -> Any:
    """Return images between 0 and 1: counts by their ceiling, numbers as they are or stretched."""
    count = getattr(likelihood, "total_count", None)
    if isinstance(count, int):
        return images / count
    low, high = float(images.min()), float(images.max())
    if low >= -0.5 and high <= 1.5:  # a unit interval with noise around it
        return images
    return (images - low) / ((high - low) or 1.0)
