"""Clusters of MNIST without labels: accuracy and mutual information over seeds.

All ways have the same networks, 784-HIDDEN-LATENT with Bernoulli pixels, binarised dynamically, and
ten clusters. What clusters and digits share is measured on the test images: the accuracy is by the
best one-to-one map from clusters to digits, which sees the test labels; nothing else does.

- warm: `ClusterVAE`, whose components begin where a warm-up finds them.
- cold: `ClusterVAE` with warmup=0, whose components begin at random.
- afterwards: `VAE` with the standard normal as prior, and scikit-learn's `GaussianMixture` with
  diagonal covariances, the best of three starts, on the means of q(z | x) of 10 000 images.

Over seeds the mean comes with its 95 % interval by Student's t, and with the worst and the best.

    python benchmarks/clustering.py [--seeds COUNT] [--epochs COUNT] [--rows ROWS] [--quick]
"""

import argparse
import math
import time
from statistics import mean, stdev

import torch
from scipy import stats
from torch import Tensor

import pyrovae
from pyrovae.data import MNIST, TensorData
from pyrovae.evaluation import Clustering, clustering
from pyrovae.likelihoods import Bernoulli
from pyrovae.models import ClusterVAE
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state

CLUSTERS = 10
BATCH = 128
FITTED = 10_000  # images that a mixture is fitted to afterwards
WAYS = ("warm", "cold", "afterwards")


def parts(hidden: int) -> dict[str, object]:
    """Return the parts that all ways share, made anew."""
    return {
        "likelihood": Bernoulli((1, 28, 28)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((hidden, hidden)),
        "decoder": MLP((hidden, hidden)),
    }


def means_of(vae: pyrovae.VAE, x: Tensor) -> Tensor:
    """Return the means of q(z | x)."""
    return torch.cat([vae.encode(part).mean for part in x.split(1000)])


def assigned(
    way: str, train: TensorData, test: Tensor, options: argparse.Namespace, seed: int
) -> Tensor:
    """Train by one way from one seed and return the clusters of the test images."""
    with random_state(seed):
        if way == "afterwards":
            prior = StandardNormal(options.latent)
            model = pyrovae.VAE(prior=prior, **parts(options.hidden))  # type: ignore[arg-type]
        else:
            model = ClusterVAE(  # type: ignore[assignment]
                dim=options.latent,
                clusters=CLUSTERS,
                warmup=options.warmup if way == "warm" else 0,
                **parts(options.hidden),  # type: ignore[arg-type]
            )
    pyrovae.fit(
        model,
        train,
        epochs=options.epochs,
        batch_size=min(BATCH, len(train)),
        seed=seed,
        progress=False,
        device="cpu",
    )
    model.eval()
    with torch.no_grad():
        if isinstance(model, ClusterVAE):
            return torch.cat([model.classify(x).logits.argmax(-1) for x in test.split(1000)])
        from sklearn.mixture import GaussianMixture

        seen = next(train.batches(batch_size=min(FITTED, len(train))))["x"]
        mixture = GaussianMixture(CLUSTERS, covariance_type="diag", n_init=3, random_state=seed)
        mixture.fit(means_of(model, seen).numpy())
        return torch.as_tensor(mixture.predict(means_of(model, test).numpy()))


def interval(values: list[float]) -> str:
    """Return the mean with its 95 % interval, the worst and the best."""
    half = math.nan
    if len(values) > 1:
        half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return f"{mean(values):.4f} +- {half:.4f}, {min(values):.4f} to {max(values):.4f}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--latent", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=400)
    parser.add_argument("--warmup", type=int, default=2000, help="steps before the first epoch")
    parser.add_argument("--rows", type=int, help="images to train and to test on; all by default")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.epochs, options.hidden = 2, 2, 16
        options.warmup, options.rows = 20, options.rows or 500
    splits = MNIST(valid=0).load()
    kept = {name: tensor[: options.rows] for name, tensor in splits.train.tensors.items()}
    train = TensorData(kept, transform=splits.train.transform)
    test = next(splits.test.batches(batch_size=options.rows or len(splits.test)))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {len(train)} images")
    found: dict[str, list[Clustering]] = {way: [] for way in options.ways}
    for seed in range(options.seeds):
        for way in options.ways:
            began = time.perf_counter()
            clusters = assigned(way, train, test["x"], options, seed)
            found[way].append(clustering(test["y"], clusters))
            taken = time.perf_counter() - began
            print(f"  seed {seed}  {way:10}  {found[way][-1]}  ({taken:.0f} s)", flush=True)
    for way, results in found.items():
        print(f"{way:10}  accuracy {interval([result.accuracy for result in results])}")
        print(f"{'':10}  NMI      {interval([result.nmi for result in results])}")


if __name__ == "__main__":
    main()
