"""Whether latents on a sphere are better than normal ones: test log p(x) of both on MNIST.

The comparison of Davidson et al. (2018, arXiv:1804.00891, table 1): networks of 256 and 128 units,
dynamic binarisation, Adam at 1e-3, batches of 64. As there, z = d means a normal z of d elements,
or a point of the d-dimensional sphere, which is a vector of d + 1 elements. The posterior on the
sphere is the power spherical one (De Cao and Aziz, 2020, arXiv:2006.04437), its prior the uniform.
Both are trained for the same number of epochs, the KL weighed from 0 to 1 over the first tenth of
them, on all 60 000 images, with the same seed, order and binarisation; there is no early stopping.
The difference is taken seed by seed.

    python benchmarks/hyperspherical.py [--epochs EPOCHS] [--seeds COUNT] [--dims D ...] [--quick]
"""

import argparse
import math
import time
import warnings
from statistics import mean, stdev

import torch

import pyrovae
from pyrovae.data import MNIST, Digits, Source
from pyrovae.likelihoods import Bernoulli, Binomial, Likelihood
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import MeanFieldNormal, PowerSpherical
from pyrovae.priors import HypersphericalUniform, StandardNormal
from pyrovae.schedules import Ramp
from pyrovae.scopes import random_state

WAYS = ("normal", "spherical")
HIDDEN = (256, 128)
BATCH = 64


def made(way: str, dim: int, likelihood: Likelihood, *, seed: int) -> pyrovae.VAE:
    """Return a new model whose z has so many dimensions."""
    spherical = way == "spherical"
    with random_state(seed):
        return pyrovae.VAE(
            prior=HypersphericalUniform(dim + 1) if spherical else StandardNormal(dim),
            posterior=PowerSpherical() if spherical else MeanFieldNormal(),
            likelihood=likelihood,
            encoder=MLP(HIDDEN, activation="relu"),
            decoder=MLP(HIDDEN[::-1], activation="relu"),
        )


def trained_and_scored(
    way: str, dim: int, *, seed: int, source: Source, epochs: int, samples: int, compiles: bool
) -> tuple[float, float, float]:
    """Train one model and return its test log p(x), its KL and the share of effective samples."""
    splits = source.load()
    shape = source.event_shape
    levels = source.total_count
    likelihood = Binomial(shape, total_count=levels) if levels else Bernoulli(shape)
    vae = made(way, dim, likelihood, seed=seed)
    ramp = max(1, epochs * math.ceil(len(splits.train) / BATCH) // 10)
    pyrovae.fit(
        vae,
        splits.train,
        objective=ELBO(beta=Ramp(0.0, 1.0, steps=ramp)),
        epochs=epochs,
        batch_size=BATCH,
        seed=seed,
        compile="auto" if compiles else False,
        progress=False,
    )
    with warnings.catch_warnings():  # effective samples are printed
        warnings.filterwarnings("ignore", "poor importance weights")
        result = pyrovae.evaluate(vae, splits.test, samples=samples, seed=0)
    return result.log_prob, result.kl, result.ess / samples


def row(dim: int, found: dict[str, list[float]]) -> str:
    """Return a line of the table: both means over seeds, and the mean difference of the pairs."""
    pairs = zip(*(found[way] for way in reversed(WAYS)), strict=True)
    differences = [spherical - normal for spherical, normal in pairs]
    count = len(differences)
    error = f"{stdev(differences) / math.sqrt(count):8.3f}" if count > 1 else f"{'-':>8}"
    means = "".join(f"{mean(found[way]):12.3f}" for way in WAYS)
    return f"  z = {dim:<4}{means}{mean(differences):+12.3f}{error}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 5, 10])
    parser.add_argument("--samples", type=int, default=500, help="draws of z for each log p(x)")
    parser.add_argument("--quick", action="store_true", help="small, only to see that it runs")
    options = parser.parse_args(arguments)
    source: Source = MNIST(valid=0)
    if options.quick:
        source = Digits(valid=0, test=50)
        options.epochs, options.seeds, options.dims, options.samples = 2, 1, [2, 5], 20
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {source!r}")
    lines = []
    for dim in options.dims:
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for seed in range(options.seeds):
            for way in WAYS:
                began = time.perf_counter()
                score, kl, share = trained_and_scored(
                    way, dim, seed=seed, source=source, epochs=options.epochs,
                    samples=options.samples, compiles=not options.quick,
                )  # fmt: skip
                found[way].append(score)
                print(
                    f"  seed {seed}, z = {dim}, {way:10} {score:9.3f}   KL {kl:6.2f}   "
                    f"{100.0 * share:3.0f} % effective   {time.perf_counter() - began:.0f} s",
                    flush=True,
                )
        lines.append(row(dim, found))
    widths = "-".join(map(str, (math.prod(source.event_shape), *HIDDEN)))
    print(
        f"test log p(x) in nats, {options.samples} samples, {widths}, {options.epochs} epochs, "
        f"{options.seeds} seeds"
    )
    print(f"  {'':8}{'normal':>12}{'spherical':>12}{'difference':>12}{'error':>8}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
