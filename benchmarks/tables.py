"""Hidden cells of tables: a VAE beside column means and scikit-learn's IterativeImputer.

Three real tables of numbers, and one with columns of all kinds that depend on one another in
nonlinear ways, from a seeded generator. A share of the cells is hidden at random; each method sees
the rest of the same table, written as CSV and read by `Table`, and fills them in. The error of a
column of numbers is the root of the mean squared error in standard deviations of the column, that
of codes the share of wrong ones; the table shows means over columns and their errors over seeds.

    python benchmarks/tables.py [--seeds N] [--epochs N] [--share P] [--table NAME] [--quick]
"""

import argparse
import csv
import math
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import sklearn.datasets
import torch

import pyrovae
from pyrovae.config import suggested
from pyrovae.data import Table
from pyrovae.evaluation import impute
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state

Columns = dict[str, list[str]]
WAYS = ("column mean, mode", "IterativeImputer", "VAE")
REAL = {
    "breast cancer": sklearn.datasets.load_breast_cancer,
    "wine": sklearn.datasets.load_wine,
    "diabetes": lambda: sklearn.datasets.load_diabetes(scaled=False),
}
TABLES = (*REAL, "mixed")


def real_table(name: str) -> tuple[Columns, dict[str, Any]]:
    """Return a table of scikit-learn, every column as texts, and how it is declared."""
    found = REAL[name]()
    return {
        str(column): [f"{value:g}" for value in values]
        for column, values in zip(found.feature_names, found.data.T, strict=True)
    }, {}


def mixed_table(rows: int = 1000) -> tuple[Columns, dict[str, Any]]:
    """Return a table with columns of all kinds, made of two hidden numbers of each row."""
    draw = np.random.default_rng(0)
    u, v = draw.normal(size=(2, rows))
    noise = draw.normal(size=(4, rows))
    grade = np.digitize(v + 0.3 * noise[0], [-0.8, 0.0, 0.8])
    city = np.digitize(np.arctan2(v, u), [-1.6, 0.0, 1.6])
    columns = {
        "real": [f"{value:.4f}" for value in u + 0.1 * noise[1]],
        "curved": [f"{value:.4f}" for value in u * u + 0.2 * noise[2]],
        "product": [f"{value:.4f}" for value in u * v + 0.2 * noise[3]],
        "positive": [f"{value:.4f}" for value in np.exp(v + 0.1 * draw.normal(size=rows))],
        "count": [str(value) for value in draw.poisson(np.exp(1.0 + 0.8 * np.sin(2.0 * u)))],
        "grade": [("none", "low", "mid", "high")[code] for code in grade],
        "city": [("Bern", "Lima", "Oslo", "Rome")[code] for code in city],
        "binary": [("no", "yes")[code] for code in (np.abs(u) > np.abs(v)).astype(int)],
    }
    return columns, {"grade": ["none", "low", "mid", "high"]}


def hidden(columns: Columns, *, share: float, seed: int) -> np.ndarray:
    """Return which cells are hidden, `[rows, columns]`; each row keeps one."""
    shape = (len(next(iter(columns.values()))), len(columns))
    draw = np.random.default_rng(seed)
    chosen = draw.random(shape) < share
    chosen[np.arange(shape[0]), draw.integers(shape[1], size=shape[0])] = False
    return chosen


def written(file: Path, columns: Columns, holes: np.ndarray) -> None:
    """Write a table with holes."""
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(columns)
        for cells, gone in zip(zip(*columns.values(), strict=True), holes, strict=True):
            writer.writerow(["" if none else cell for cell, none in zip(cells, gone, strict=True)])


def by_the_model(source: Table, seed: int, options: argparse.Namespace) -> np.ndarray:
    """Return x filled in by a VAE that was trained on the known cells, with early stopping."""
    with random_state(seed):
        vae = pyrovae.VAE(
            prior=StandardNormal(options.dim),
            likelihood=suggested(source),
            posterior=MeanFieldNormal(),
            encoder=MLP((options.hidden,)),
            decoder=MLP((options.hidden,)),
        )
    splits = source.load()
    pyrovae.fit(
        vae,
        splits.train,
        valid=splits.valid,
        epochs=options.epochs,
        batch_size=32,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-2),
        patience=options.patience,
        seed=seed,
        compile=options.compile,
        progress=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = impute(vae, source.tensors(), draws=50, samples=options.samples, seed=seed)
    return found.filled.numpy()


def by_columns(source: Table, x: np.ndarray) -> np.ndarray:
    """Return x filled in by the mean of each column, and the commonest code."""
    filled = x.copy()
    for at, column in enumerate(source.schema.of_x):
        known = x[~np.isnan(x[:, at]), at]
        values, counts = np.unique(known, return_counts=True)
        middle = values[counts.argmax()] if column.levels else known.mean()
        filled[np.isnan(x[:, at]), at] = middle
    return filled


def by_regression(source: Table, x: np.ndarray, seed: int) -> np.ndarray:
    """Return x filled in by scikit-learn, categories as columns of zeros and ones."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    wide, places = [], []
    for at, column in enumerate(source.schema.of_x):
        codes = range(len(column.levels)) if column.kind == "category" else [None]
        places.append(slice(len(wide), len(wide) + len(codes)))
        for code in codes:
            values = x[:, at] if code is None else (x[:, at] == code).astype(float)
            wide.append(np.where(np.isnan(x[:, at]), np.nan, values))
    table = np.stack(wide, 1)
    centre, spread = np.nanmean(table, 0), np.nanstd(table, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged in its ten rounds
        made = IterativeImputer(random_state=seed).fit_transform((table - centre) / spread)
    made = made * spread + centre
    filled = x.copy()
    for at, (column, place) in enumerate(zip(source.schema.of_x, places, strict=True)):
        values = made[:, place]
        found = values.argmax(1) if column.kind == "category" else values[:, 0]
        if column.levels:
            found = np.clip(np.rint(found), 0, len(column.levels) - 1)
        filled[:, at] = np.where(np.isnan(x[:, at]), found, x[:, at])
    return filled


def errors(
    source: Table, truth: np.ndarray, filled: np.ndarray, holes: np.ndarray
) -> tuple[float, float]:
    """Return the mean error of the columns of numbers, and that of codes."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for at, column in enumerate(source.schema.of_x):
        here = holes[:, at]
        if column.levels:
            error = float(np.mean(np.rint(filled[here, at]) != truth[here, at]))
        else:
            squares = np.mean((filled[here, at] - truth[here, at]) ** 2)
            error = math.sqrt(float(squares)) / float(truth[:, at].std())
        found[bool(column.levels)].append(error)
    return tuple(mean(some) if some else math.nan for some in found.values())  # type: ignore[return-value]


def measured(name: str, seed: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return the errors of each way on one table with other cells hidden for each seed."""
    columns, declared = mixed_table(options.rows) if name == "mixed" else real_table(name)
    columns = {key: cells[: options.rows] for key, cells in columns.items()}
    file = folder / f"{name.replace(' ', '_')}-{seed}.csv"
    written(file, columns, hidden(columns, share=0.0, seed=seed))
    whole = Table(str(file), columns=declared).settled()  # the kinds of the whole table
    holes = hidden(columns, share=options.share, seed=seed)
    written(file, columns, holes)
    source = Table(str(file), columns=whole.columns, valid=0.1, test=0, seed=seed)
    order = [list(columns).index(column.name) for column in source.schema.of_x]
    holes = holes[:, order]
    found = source.tensors()
    x = np.where(found["observed"].numpy(), found["x"].numpy(), np.nan).astype(float)
    written(file, columns, np.zeros_like(holes))
    truth = source.tensors()["x"].numpy().astype(float)
    written(file, columns, hidden(columns, share=options.share, seed=seed))
    made = {
        WAYS[0]: by_columns(source, x),
        WAYS[1]: by_regression(source, x, seed),
        WAYS[2]: by_the_model(source, seed, options),
    }
    return {way: errors(source, truth, filled, holes) for way, filled in made.items()}


def _cell(values: list[float]) -> str:
    """Return a mean over seeds and its error, blanks where a table has no such columns."""
    if any(map(math.isnan, values)):
        return " " * 18
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{mean(values):>10.3f}{error:>8.3f}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--patience", type=int, default=40)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--share", type=float, default=0.3, help="of the cells that is hidden")
    parser.add_argument("--dim", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--table", choices=TABLES, action="append")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    options.rows, options.compile = 2000, False  # a small step gains little
    if options.quick:
        options.rows, options.compile, options.table = 60, False, ["wine", "mixed"]
        options.seeds, options.epochs, options.samples, options.hidden = 1, 2, 10, 8
    print(f"{options.share:.0%} of the cells hidden, {options.seeds} seeds")
    print(f"{'table':<16}{'way':<20}{'numbers':>10}{'+-':>8}{'codes':>10}{'+-':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.table or TABLES:
            began = time.monotonic()
            runs = [measured(name, seed, options, Path(folder)) for seed in range(options.seeds)]
            for way in WAYS:
                cells = ""
                for kind in (0, 1):
                    cells += _cell([run[way][kind] for run in runs])
                print(f"{name:<16}{way:<20}{cells}", flush=True)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
