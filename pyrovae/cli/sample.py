"""The verb `sample`."""

import math
from collections.abc import Sequence
from typing import Any

from pyrovae.cli.arguments import Parser, allowed_packages, positive
from pyrovae.cli.given_y import HELP, given_y, rows_of

_BYTES = 4  # of a number


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "sample",
        "Draw data from a run's model, and write them to a file.",
        example="pyrovae sample runs/digits-1 --n 1000 --out drawn.npy",
    )
    made.takes_run()
    made.add_argument("--n", type=positive, default=64, metavar="N", help="how many to draw")
    made.add_argument(
        "--out",
        metavar="FILE",
        help="the file to write: .png for a picture of images, .npy or .npz for numbers, .csv for "
        "a table with the columns of the data (default: samples.png, samples.npy or samples.csv "
        "in RUN)",
    )
    made.add_argument("--mean", action="store_true", help="E[x | z] instead of a draw of x")
    made.add_argument("--y", metavar="Y", help=HELP)
    made.takes_seed()
    made.takes_allow()
    return made


def run(words: Sequence[str]) -> int:
    """Draw from a run's model as the words say, and write what was drawn."""
    given = parser().read(words)
    if given is None:
        return 0
    import numpy as np

    from pyrovae.cli.growing import arrays_to
    from pyrovae.cli.images import grid, in_unit
    from pyrovae.cli.opening import (
        closed_form,
        form_of,
        no_room,
        open_model,
        part_of,
        rows_at_once,
    )
    from pyrovae.cli.outputs import check_picture, default_file, output, written
    from pyrovae.cli.run_folder import find_run
    from pyrovae.cli.written_table import form_to
    from pyrovae.memory import memory_advice
    from pyrovae.scopes import random_state, validation

    found = find_run(given.run)
    allow = allowed_packages(given.allow)
    model = open_model(found, "sample", allow=allow)
    y = given_y(given.y, model=model, found=found, allow=allow)
    shape = tuple(model.event_shape)
    form = form_of(found, allow=allow)
    suffixes = (".png", ".npy", ".npz", *([".csv"] if form else []))
    file = output(given.out, default_file(found.folder, "samples", shape, form), suffixes)
    check_picture(file, shape, count=given.n, numbers=".npy")

    unknown = f"--mean: p(x | z) of {part_of(model, 'likelihood')!r} has no mean in closed form"

    def drawn(count: int, first: int = 0) -> Any:
        with validation(enabled=False), closed_form(unknown):
            return model.sample(count, mean=given.mean, **rows_of(y, first, count)).numpy()

    rows = rows_at_once(drawn, count=given.n)
    picture, csv = file.suffix.lower() == ".png", file.suffix.lower() == ".csv"
    size = 0 if picture else given.n * math.prod(shape) * _BYTES
    with memory_advice(no_room), random_state(given.seed), written(file, size=size) as path:
        chunks = (drawn(min(rows, given.n - at), at) for at in range(0, given.n, rows))
        if picture:
            grid(in_unit(np.concatenate([*chunks]), part_of(model, "likelihood"))).save(path)
        else:
            with form_to(path, form, key="x") if csv else arrays_to(path) as rows_of_file:
                for chunk in chunks:
                    rows_of_file.add({"x": chunk})
    print(f"{given.n} {'means' if given.mean else 'samples'} of shape {list(shape)}: {file}")
    return 0
