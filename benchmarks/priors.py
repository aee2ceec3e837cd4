"""What a better prior gains: three priors on MNIST, at equal epochs and paired seeds.

The networks are gated, 300-300, with 40 latent dimensions; the pixels are binarised anew in each
epoch. A seed decides starting weights, noise and order alike for each prior, so differences
between priors are taken seed by seed. log p(x) is importance-sampled on the whole test split.

    python benchmarks/priors.py [--epochs N] [--seeds N] [--samples N] [--quick]
"""

import argparse
import math
import sys
import time
import warnings
from statistics import mean, stdev
from typing import Any

import torch

import pyrovae
from pyrovae.data import MNIST, Digits
from pyrovae.likelihoods import Bernoulli, Binomial
from pyrovae.networks import GatedMLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import GaussianMixture, StandardNormal, VampPrior
from pyrovae.schedules import Ramp
from pyrovae.scopes import random_state

PRIORS = {
    "StandardNormal": lambda dim, k: StandardNormal(dim),
    "GaussianMixture": lambda dim, k: GaussianMixture(dim, components=k),
    "VampPrior": lambda dim, k: VampPrior(dim, components=k),
}


def trained(name: str, seed: int, source: Any, options: argparse.Namespace) -> pyrovae.VAE:
    """Return a model trained on a source."""
    with random_state(seed):
        vae = pyrovae.VAE(
            prior=PRIORS[name](options.dim, options.components),
            likelihood=options.likelihood(source.event_shape),
            posterior=MeanFieldNormal(),
            encoder=GatedMLP((options.hidden, options.hidden)),
            decoder=GatedMLP((options.hidden, options.hidden)),
        )
    steps = options.epochs * (len(source.load().train) // options.batch_size)
    pyrovae.fit(
        vae,
        source,
        objective=ELBO(beta=Ramp(0.0, 1.0, steps=max(1, steps // 4))),
        epochs=options.epochs,
        batch_size=options.batch_size,
        scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        seed=seed,
        compile=not options.quick,
        progress=False,
    )
    return vae


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    sizes = {"dim": 40, "hidden": 300, "components": 500, "batch_size": 256}
    source: Any = MNIST()
    options.likelihood = Bernoulli
    if options.quick:
        sizes = {"dim": 4, "hidden": 16, "components": 5, "batch_size": 128}
        options.epochs, options.seeds, options.samples = 1, 2, 10
        source = Digits()
        options.likelihood = lambda shape: Binomial(shape, total_count=source.total_count)
    for name, value in sizes.items():
        setattr(options, name, value)
    found: dict[str, list[float]] = {name: [] for name in PRIORS}
    for seed in range(options.seeds):
        for name in PRIORS:
            began = time.monotonic()
            vae = trained(name, seed, source, options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = pyrovae.evaluate(vae, source, samples=options.samples)
            found[name].append(result.log_prob)
            seconds = time.monotonic() - began
            print(f"{name}, seed {seed}: {result.log_prob:.3f}, {seconds:.0f} s", file=sys.stderr)
    print(f"{options.epochs} epochs, {options.seeds} seeds, {options.samples} samples")
    print(f"{'prior':<20}{'test log p(x)':>16}{'gain':>10}{'error':>10}")
    for name, values in found.items():
        gains = [a - b for a, b in zip(values, found["StandardNormal"], strict=True)]
        error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
        print(f"{name:<20}{mean(values):>16.3f}{mean(gains):>10.3f}{error:>10.3f}")


if __name__ == "__main__":
    main()
