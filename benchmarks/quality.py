"""What the compiled step in bfloat16 does to the result: the test ELBO against eager float32.

Two networks that begin alike, 784-400-50 with Bernoulli pixels, are trained on MNIST, binarised
dynamically, with the same order and noise, one by eager steps in float32 and one by compiled steps
in bfloat16. The difference of their ELBO on the test images, over several seeds, comes with its
95 % interval by Student's t.

    python benchmarks/quality.py [--seeds COUNT] [--epochs COUNT] [--rows ROWS]
"""

import argparse
import math
import time
import warnings
from statistics import mean, stdev

import torch
from scipy import stats

import pyrovae
from pyrovae.data import MNIST, TensorData
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state

WAYS = {
    "eager float32": {"compile": False, "precision": "32-true"},
    "compiled float32": {"compile": True, "precision": "32-true"},
    "compiled bf16": {"compile": True, "precision": "bf16-mixed"},
}
BASE = "eager float32"
DRAWS = 10
BATCH = 256


def test_elbo(way: str, *, seed: int, epochs: int, rows: int | None) -> float:
    """Train by one way from one seed and return the test ELBO, in nats per datum."""
    splits = MNIST(valid=0).load()
    train = splits.train
    if rows is not None:
        kept = {name: tensor[:rows] for name, tensor in train.tensors.items()}
        train = TensorData(kept, transform=train.transform)
    with random_state(seed):
        vae = pyrovae.VAE(
            prior=StandardNormal(50),
            likelihood=Bernoulli((1, 28, 28)),
            posterior=MeanFieldNormal(),
            encoder=MLP((400,)),
            decoder=MLP((400,)),
        )
    pyrovae.fit(
        vae, train, epochs=epochs, batch_size=BATCH, seed=seed, device="cpu", progress=False,
        **WAYS[way],
    )  # fmt: skip
    rows = 10_000 if rows is None else rows
    test = {name: tensor[:rows] for name, tensor in splits.test.tensors.items()}
    held = TensorData(test, transform=splits.test.transform)
    with warnings.catch_warnings():  # few draws are enough for the ELBO, the only number taken
        warnings.filterwarnings("ignore", "poor importance weights")
        return pyrovae.evaluate(vae, held, samples=DRAWS, seed=0).elbo


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rows", type=int, help="images to train and to test on; all by default")
    parser.add_argument("--ways", nargs="+", default=[BASE, "compiled bf16"], choices=list(WAYS))
    options = parser.parse_args(arguments)
    others = [way for way in options.ways if way != BASE]
    differences: dict[str, list[float]] = {way: [] for way in others}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; test ELBO in nats")
    for seed in range(options.seeds):
        found = {}
        for way in [BASE, *others]:
            began = time.perf_counter()
            found[way] = test_elbo(way, seed=seed, epochs=options.epochs, rows=options.rows)
            taken = time.perf_counter() - began
            print(f"  seed {seed}  {way:16}  {found[way]:9.3f}  ({taken:.0f} s)", flush=True)
        for way in others:
            differences[way].append(found[way] - found[BASE])
    for way, values in differences.items():
        if len(values) > 1:
            half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
            low, high = mean(values) - half, mean(values) + half
            print(f"{way} - {BASE}: {mean(values):+.3f}, 95 % interval {low:+.3f} to {high:+.3f}")


if __name__ == "__main__":
    main()
