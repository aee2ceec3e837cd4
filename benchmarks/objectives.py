"""What each objective makes of one network: log p(x), reconstruction, and the law of its latents.

The same pair of networks, 784-200-200 and back with 20 latent dimensions, is trained on MNIST,
binarised dynamically, for the same number of epochs by each objective, from the same seeds: one
seed decides starting weights, order and binarisation for all of them. The posterior is a normal
one, so that log p(x) can be estimated by importance sampling also where the objective reads draws
alone. Gains over the ELBO are taken seed by seed, with the standard error of their mean. The
distance is the energy distance of the aggregated posterior to the prior, by draws of both.

    python benchmarks/objectives.py [--epochs N] [--seeds N] [--only NAME ...] [--quick]
"""

import argparse
import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

import pyrovae
from pyrovae.data import MNIST, Digits, Source
from pyrovae.distances import MMD, SlicedWasserstein
from pyrovae.evaluation import surgery
from pyrovae.likelihoods import Bernoulli, Binomial
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE, Adversarial, Objective, TotalCorrelation, Wasserstein
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state

OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "ELBO": ELBO,
    "IWAE-5": lambda: IWAE(particles=5),
    "IWAE-50": lambda: IWAE(particles=50),
    "DReG-50": lambda: IWAE(particles=50, estimator="dreg"),
    "beta-TC": lambda: TotalCorrelation(beta=6.0),
    "WAE-MMD": lambda: Wasserstein(distance=MMD()),
    "sliced Wasserstein": lambda: Wasserstein(distance=SlicedWasserstein()),
    "adversarial": Adversarial,
}
BASE = "ELBO"
COLUMNS = ("log_prob", "reconstruction", "distance", "active", "seconds")


def trained_and_measured(
    objective: Objective, source: Source, *, seed: int, options: argparse.Namespace
) -> dict[str, float]:
    """Train a model of one seed and return the numbers of its row."""
    shape = source.event_shape
    levels = source.total_count
    with random_state(seed):
        vae = pyrovae.VAE(
            prior=StandardNormal(options.dim),
            posterior=MeanFieldNormal(),
            likelihood=Binomial(shape, total_count=levels) if levels else Bernoulli(shape),
            encoder=MLP(options.hidden),
            decoder=MLP(options.hidden),
        )
    splits = source.load()
    began = time.perf_counter()
    pyrovae.fit(
        vae,
        splits.train,
        objective=objective,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=seed,
        compile=not options.quick,
        progress=False,
    )
    seconds = (time.perf_counter() - began) / options.epochs
    with warnings.catch_warnings():  # the weights of objectives without a KL are poor
        warnings.filterwarnings("ignore", "poor importance weights")
        result = pyrovae.evaluate(vae, splits.test, samples=options.samples)
    return {
        "log_prob": result.log_prob,
        "reconstruction": result.reconstruction,
        "distance": surgery(vae, splits.test).distance,
        "active": float(result.active_units),
        "seconds": seconds,
    }


def row(name: str, found: list[dict[str, float]], base: list[dict[str, float]]) -> str:
    """Return a line of the table: means over seeds, and the gain over the ELBO with its error."""
    means = {column: mean(values[column] for values in found) for column in COLUMNS}
    gains = [
        values["log_prob"] - other["log_prob"] for values, other in zip(found, base, strict=False)
    ]
    gain = mean(gains) if gains else math.nan
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
    return (
        f"{name:<20}{means['log_prob']:>10.2f}{gain:>9.2f}{error:>8.2f}"
        f"{means['reconstruction']:>16.2f}{means['distance']:>10.4f}{means['active']:>8.1f}"
        f"{means['seconds']:>10.1f}"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=500, help="draws of z for each log p(x)")
    parser.add_argument("--only", nargs="+", choices=OBJECTIVES, default=list(OBJECTIVES))
    parser.add_argument("--kept", type=Path, help="a file of finished cells, read and added to")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    sizes: dict[str, Any] = {"dim": 20, "hidden": (200, 200), "batch_size": 128}
    source: Source = MNIST(valid=0)
    if options.quick:
        sizes = {"dim": 2, "hidden": (8,), "batch_size": 64}
        options.epochs, options.seeds, options.samples = 1, 2, 10
        source = Digits(valid=0, test=50)
    for name, value in sizes.items():
        setattr(options, name, value)
    cells: dict[str, dict[str, float]] = {}
    if options.kept is not None and options.kept.exists():
        cells = json.loads(options.kept.read_text())
    for seed in range(options.seeds):
        for name in options.only:
            key = f"{name}, seed {seed}, {options.epochs} epochs"
            if key in cells:
                continue
            cells[key] = trained_and_measured(
                OBJECTIVES[name](), source, seed=seed, options=options
            )
            print(f"{key}: {cells[key]}", file=sys.stderr, flush=True)
            if options.kept is not None:
                options.kept.write_text(json.dumps(cells, indent=1))
    found = {
        name: [
            cells[key]
            for seed in range(options.seeds)
            if (key := f"{name}, seed {seed}, {options.epochs} epochs") in cells
        ]
        for name in OBJECTIVES
    }
    print(
        f"{source!r}, torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{options.epochs} epochs, {options.seeds} seeds, {options.samples} samples"
    )
    print(
        f"{'objective':<20}{'log p(x)':>10}{'gain':>9}{'error':>8}{'reconstruction':>16}"
        f"{'distance':>10}{'active':>8}{'s/epoch':>10}"
    )
    for name, values in found.items():
        if values:
            print(row(name, values, found[BASE]))


if __name__ == "__main__":
    main()
