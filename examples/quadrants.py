"""Images completed from some of their quadrants: a conditional VAE on top of a plain prediction.

First a feed-forward network learns to predict the hidden pixels of MNIST from the visible ones,
each pixel by itself. Then a conditional VAE adds what makes the pixels agree with each other.
Printed is the negative log-likelihood of the hidden pixels of the test images, in nats per image;
that of the VAE by importance sampling.

    python examples/quadrants.py --quadrants 1 2 3
"""

import argparse
import math
from collections.abc import Sequence
from typing import Any

import pyro
import torch
from torch import Tensor, nn

import pyrovae
from pyrovae import likelihoods
from pyrovae.context import Context
from pyrovae.data import MNIST, Data, Digits, Quadrants, as_data
from pyrovae.models import program
from pyrovae.networks import MLP, Folded
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import ConditionalNormal


class Prediction(nn.Module):
    """The hidden pixels given the visible ones y, p(x | y), independent of each other."""

    def __init__(self, likelihood: likelihoods.Likelihood, width: int) -> None:
        super().__init__()
        self.likelihood = likelihood
        shape = tuple(likelihood.event_shape)
        self.network = Folded(MLP((width, width)), shape, shape, owner="the prediction")

    def given(self, y: Tensor, observed: Tensor) -> Any:
        """Return p(x | y) of the pixels that are to be scored."""
        return self.likelihood(self.network(y), Context(observed=observed))

    @program
    def model(self, x: Tensor, y: Tensor, observed: Tensor) -> None:
        """Score the hidden pixels."""
        pyro.module("prediction", self)
        with pyro.plate("data", len(x)):
            pyro.sample("x", self.given(y, observed), obs=x)

    @program
    def guide(self, x: Tensor, y: Tensor, observed: Tensor) -> None:
        """There is nothing to guess: the prediction has no latent variable."""

    @torch.no_grad()
    def nats(self, data: Data) -> float:
        """Return the mean of -log p(x | y)."""
        total = sum(
            float(self.given(batch["y"], batch["observed"]).log_prob(batch["x"]).double().sum())
            for batch in data.batches(batch_size=500)
        )
        return -total / len(data)


def complete(visible: int, given: argparse.Namespace) -> tuple[float, float]:
    """Train both on images of which so many quadrants are seen; return their test scores."""
    source = Quadrants(Digits() if given.quick else MNIST(), visible=visible)
    train, valid, test = source.load()
    assert test is not None
    if given.test < len(test):
        first = next(test.batches(batch_size=given.test))
        test = as_data({name: first[name] for name in ("x", "y", "observed")})
    suited = source.suggestion
    made = getattr(likelihoods, suited.likelihood)
    settings: dict[str, Any] = {
        "valid": valid,
        "epochs": given.epochs,
        "batch_size": given.batch_size,
        "patience": given.patience,
        "seed": given.seed,
    }

    torch.manual_seed(given.seed)  # for the networks' starting values
    prediction = Prediction(made(source.event_shape, **suited.arguments), given.width)
    pyrovae.fit((prediction.model, prediction.guide), train, **settings)
    baseline = prediction.nats(test)
    print(f"{visible} visible: prediction {baseline:.2f}", flush=True)

    widths = (given.width, given.width)
    cvae = pyrovae.ConditionalVAE(
        prior=ConditionalNormal(
            given.dim, condition=math.prod(source.event_shape), hidden=(given.width,)
        ),
        likelihood=made(source.event_shape, **suited.arguments),
        posterior=MeanFieldNormal(),
        encoder=MLP(widths),
        decoder=MLP(widths),
        condition_shape=source.event_shape,
        baseline=MLP(widths),
    )
    assert cvae.baseline_network is not None
    cvae.baseline_network.load_state_dict(prediction.network.state_dict())
    cvae.baseline_network.requires_grad_(False)  # it stays what was trained
    pyrovae.fit(cvae, train, **settings)
    result = pyrovae.evaluate(cvae, test, samples=given.samples)
    print(
        f"{visible} visible: conditional VAE {-result.log_prob:.2f} "
        f"+- {result.log_prob_data_error:.2f} (data), better by {baseline + result.log_prob:.2f}; "
        f"its -ELBO {-result.elbo:.2f}, {result.ess:.0f} effective samples of {given.samples}",
        flush=True,
    )
    return baseline, -result.log_prob


def main(argv: Sequence[str] | None = None) -> dict[int, tuple[float, float]]:
    """Return the scores of the prediction and of the VAE by the number of visible quadrants."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quadrants", type=int, nargs="+", default=[1, 2, 3], choices=(1, 2, 3))
    parser.add_argument("--epochs", type=int, default=50, help="at most, of each of the two")
    parser.add_argument("--patience", type=int, default=3, help="epochs without progress")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--dim", type=int, default=50, help="latent dimensions")
    parser.add_argument("--width", type=int, default=500, help="of the hidden layers")
    parser.add_argument("--samples", type=int, default=1000, help="draws for log p(x | y)")
    parser.add_argument("--test", type=int, default=10_000, help="test images to evaluate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="on small digits, without a download")
    given = parser.parse_args(argv)
    return {visible: complete(visible, given) for visible in given.quadrants}


if __name__ == "__main__":
    main()
