"""What a model makes of missing pixels: MNIST with half of them hidden, in training and test.

The squared error of imputed pixels, by the model's mean and by one draw, stands beside that of the
mean of each pixel over the training images that show it. The networks are gated, 300-300, with 32
latent dimensions; the pixels are binarised, and the hidden ones are the same in each epoch. Errors
are taken against the binary pixels, of which the noise of their drawing is a part that nobody can
predict, and against the grey levels that they were drawn from, where it is not.

    python benchmarks/imputing.py [--epochs N] [--rows N] [--samples N] [--share P] [--quick]
"""

import argparse
import sys
import time
import warnings
from functools import partial
from typing import Any

from torch import Tensor

import pyrovae
from pyrovae.data import MNIST, Data, Digits, Hidden, TensorData
from pyrovae.likelihoods import Bernoulli, Binomial
from pyrovae.networks import GatedMLP
from pyrovae.objectives import IWAE
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state


def first(data: Data, rows: int) -> dict[str, Tensor]:
    """Return the first rows of a split."""
    batch = next(data.batches(batch_size=rows))
    return {key: value for key, value in batch.items() if key in ("x", "observed")}


def pixel_means(train: Data) -> Tensor:
    """Return the mean of each pixel over the data that show it."""
    total: Any = 0.0
    count: Any = 0.0
    with random_state(0):
        for batch in train.batches(batch_size=1000):
            total = total + (batch["x"] * batch["observed"]).double().sum(0)
            count = count + batch["observed"].double().sum(0)
    return total / count.clamp(min=1.0)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1000, help="test images that are imputed")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--share", type=float, default=0.5, help="of the pixels that is hidden")
    parser.add_argument("--particles", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    hidden, dim = 300, 32
    whole: Any = MNIST()
    likelihood: Any = Bernoulli
    if options.quick:
        options.epochs, options.rows, options.samples = 1, 30, 20
        hidden, dim, whole = 16, 4, Digits()
        likelihood = partial(Binomial, total_count=16)
    source = Hidden(whole, share=options.share, seed=options.seed)
    splits = source.load()
    with random_state(options.seed):
        vae = pyrovae.VAE(
            prior=StandardNormal(dim),
            likelihood=likelihood(source.event_shape),
            posterior=MeanFieldNormal(),
            encoder=GatedMLP((hidden, hidden)),
            decoder=GatedMLP((hidden, hidden)),
        )
    began = time.monotonic()
    pyrovae.fit(
        vae,
        splits.train,
        objective=IWAE(particles=options.particles),
        epochs=options.epochs,
        batch_size=128,
        seed=options.seed,
        compile=False if options.quick else "auto",
        progress=False,
    )
    print(f"trained in {time.monotonic() - began:.0f} s", file=sys.stderr)
    truth = first(whole.load().test, options.rows)["x"]
    batch = first(splits.test, options.rows)
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pyrovae.impute(vae, TensorData(batch), samples=options.samples, seed=options.seed)
        with random_state(options.seed):
            plain = vae.reconstruct(batch["x"], observed=batch["observed"])
    seconds = time.monotonic() - began
    means = pixel_means(splits.train).to(truth)
    ways = {
        "pixel means": means.expand_as(truth),
        "one reconstruction": plain,
        "one draw of x": made.draws[0],
        "imputed mean": made.filled,
    }
    print(
        f"{whole!r}, {options.share:.0%} of the pixels hidden, {options.epochs} epochs; "
        f"{len(truth)} test images imputed in {seconds:.0f} s, {options.samples} samples, "
        f"{float(made.ess.mean()):.1f} effective"
    )
    truths = {"the data": truth}
    if not options.quick:
        grey = first(MNIST(binarize="none").load().test, options.rows)["x"] / 255.0
        truths = {"binary": truth, "grey": grey}
    for kind, pixels in truths.items():
        print(f"{'against ' + kind + ', filled by':<36}{'squared error':>16}{'share':>10}")
        errors = {
            name: float((filled - pixels)[made.missing].double().square().mean())
            for name, filled in ways.items()
        }
        for name, error in errors.items():
            print(f"{name:<36}{error:>16.5f}{error / errors['pixel means']:>10.3f}")


if __name__ == "__main__":
    main()
