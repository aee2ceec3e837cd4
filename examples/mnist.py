"""MNIST, binarised anew in each epoch, with the variational mixture of posteriors as the prior.

The first run downloads MNIST into the folder that the environment variable PYROVAE_DATA names, or
into the user's cache folder. An epoch takes seconds to tens of seconds on two CPU cores.

    python examples/mnist.py --epochs 100
"""

import argparse
from collections.abc import Sequence

import torch

import pyrovae
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import GatedMLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import VampPrior
from pyrovae.schedules import Ramp


def main(argv: Sequence[str] | None = None) -> pyrovae.evaluation.Evaluation:
    """Train, save and evaluate; return the evaluation, in nats per datum."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--warmup", type=int, default=5000, help="steps in which beta rises to 1")
    parser.add_argument("--dim", type=int, default=50, help="latent dimensions")
    parser.add_argument("--components", type=int, default=500, help="pseudo-inputs of the prior")
    parser.add_argument("--width", type=int, default=300, help="of the two hidden layers")
    parser.add_argument("--samples", type=int, default=1000, help="draws for log p(x)")
    parser.add_argument("--test", type=int, default=10_000, help="test images to evaluate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/mnist", help="folder for metrics and the model")
    given = parser.parse_args(argv)

    train, valid, test = pyrovae.data.load("mnist")
    torch.manual_seed(given.seed)  # for the networks' starting values
    vae = pyrovae.VAE(
        prior=VampPrior(given.dim, components=given.components),
        likelihood=Bernoulli((1, 28, 28)),
        posterior=MeanFieldNormal(),
        encoder=GatedMLP((given.width, given.width)),
        decoder=GatedMLP((given.width, given.width)),
    )
    pyrovae.fit(
        vae,
        train,
        valid=valid,
        objective=ELBO(beta=Ramp(0.0, 1.0, steps=given.warmup)),
        epochs=given.epochs,
        batch_size=given.batch_size,
        seed=given.seed,
        out=given.out,
    )
    images = next(test.batches(batch_size=given.test))["x"]
    result = pyrovae.evaluate(vae, images, samples=given.samples)
    print(result)
    return result


if __name__ == "__main__":
    main()
