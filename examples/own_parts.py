"""Parts of your own: a prior, a likelihood, an encoder and a flow-based posterior.

Nothing here is part of pyrovae, and nothing in pyrovae knows of it. Each part is one class. It
keeps its constructor arguments under their own names; that is all that `repr`, saving and loading
ask for. Importing zuko here switches torch's validation of distributions off for the whole process,
while `fit` still validates one batch.

    python examples/own_parts.py
"""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyro.distributions as dist
import torch
import zuko
from torch import Tensor, nn

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import Foreign
from pyrovae.heads import Head, positive, raw_of
from pyrovae.likelihoods import Likelihood
from pyrovae.networks import Network
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior

Shape = tuple[int, ...]


class StudentT(Prior):
    """Independent Student t dimensions, `p(z) = prod_i t(z_i; df)`: heavier tails than a normal."""

    def __init__(self, dim: int = 8, *, df: float = 5.0) -> None:
        super().__init__()
        self.dim = dim
        self.df = df
        self.event_shape = (dim,)
        # A buffer goes where the model goes; it follows from df, so it need not be saved.
        self.register_buffer("freedom", torch.full((dim,), df), persistent=False)

    def forward(self, context: Context) -> dist.Distribution:
        """Return p(z)."""
        return dist.StudentT(self.freedom).to_event(1)


class BetaBinomial(Likelihood):
    """Counts out of n whose probability is itself Beta(a(z), b(z)): wider than a binomial."""

    head = Head(a=1, b=1)  # two raw numbers for each element of x

    def __init__(self, event_shape: Shape, *, total_count: int) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.total_count = total_count
        self.register_buffer("ceiling", torch.tensor(float(total_count)), persistent=False)

    def forward(self, raw: Tensor, context: Context) -> dist.Distribution:
        """Return p(x | z)."""
        a, b = self.head.unpack(raw, self.event_shape).values()
        counts = dist.BetaBinomial(positive(a), positive(b), total_count=self.ceiling)
        return self.over_elements(counts, context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean of the data, with a + b = 2 (optional)."""
        mean = (batch["x"].float().mean(0) / self.total_count).clamp(0.01, 0.99)
        return torch.cat([raw_of(2 * mean), raw_of(2 * (1 - mean))])


class ResidualBlock(nn.Module):
    """A hidden layer that adds to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())

    def forward(self, value: Tensor) -> Tensor:
        """Return the input and the layer's change of it."""
        return value + self.change(value)


class Residual(Network):
    """A residual network: a description, which builds the module once it is told the shapes."""

    def __init__(self, width: int = 128, *, blocks: int = 2) -> None:
        self.width = width
        self.blocks = blocks

    def __call__(self, in_shape: Shape, out_shape: Shape) -> nn.Module:
        """Build the module that takes `[batch, *in_shape]` to `[batch, *out_shape]`."""
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(in_shape), self.width),
            *(ResidualBlock(self.width) for _ in range(self.blocks)),
            nn.Linear(self.width, math.prod(out_shape)),
            nn.Unflatten(1, out_shape),
        )


def one_hidden_layer(in_shape: Shape, out_shape: Shape) -> nn.Module:
    """Build a network: any function of the two shapes is one, and can be saved by its name."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(in_shape), 128),
        nn.GELU(),
        nn.Linear(128, math.prod(out_shape)),
        nn.Unflatten(1, out_shape),
    )


class Flow(Posterior):
    """A normalising flow given x: real NVP (Dinh, Sohl-Dickstein and Bengio, arXiv:1605.08803).

    The encoder's output is not a location and a scale but what the flow is conditioned on.
    """

    def __init__(self, *, features: int = 16, transforms: int = 2, hidden: int = 32) -> None:
        super().__init__()
        self.features = features
        self.transforms = transforms
        self.hidden = hidden
        self.head = Head(features=lambda event: (features,))  # for z as a whole

    def bind(self, data_shape: Shape) -> None:
        """Build the flow; the model has set `event_shape`, the shape of one z."""
        self.flow = zuko.flows.NICE(  # with affine couplings, zuko's default: real NVP
            *self.event_shape,
            context=self.features,
            transforms=self.transforms,
            hidden_features=(self.hidden,),
        )

    def forward(self, raw: Tensor, context: Context) -> dist.Distribution:
        """Return q(z | x): zuko's distribution, as one that `pyro.sample` takes.

        `Foreign` tells, by `has_rsample`, that draws carry gradients, which the ELBO needs, and
        keeps the score that the flow makes along with a draw.
        """
        return Foreign(self.flow(raw))


def build(dim: int = 8) -> pyrovae.VAE:
    """Return a variational autoencoder for the digits in which every part is our own."""
    return pyrovae.VAE(
        prior=StudentT(dim, df=5.0),
        likelihood=BetaBinomial((1, 8, 8), total_count=16),
        posterior=Flow(features=16),
        encoder=Residual(128),
        decoder=one_hidden_layer,
    )


def main(epochs: int = 20, samples: int = 200, out: str | Path | None = None) -> dict[str, float]:
    """Train, evaluate, save, load; print and return numbers in nats per datum."""
    train, valid, test = pyrovae.data.load("digits")
    torch.manual_seed(0)  # for the networks' starting values
    vae = build()
    history = pyrovae.fit(vae, train, valid=valid, epochs=epochs, batch_size=64, seed=0)
    result = pyrovae.evaluate(vae, test, samples=samples)
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside if out is None else out) / "model"
        pyrovae.save(vae, folder)
        # Loading imports nothing outside pyrovae but the packages that are named here.
        loaded = pyrovae.load(folder, allow=(__name__,))
    again = pyrovae.evaluate(loaded, test, samples=samples)
    print(vae)
    print(f"validation ELBO: {history['valid/elbo'][0]:.1f} after epoch 1, ", end="")
    print(f"{history['valid/elbo'][-1]:.1f} after epoch {len(history)}; KL {history.kl['z']}")
    print(result)
    print(f"saved and loaded: log p(x) {again.log_prob:.3f}")
    return {
        "first": history["valid/elbo"][0],
        "last": history["valid/elbo"][-1],
        "log_prob": result.log_prob,
        "loaded": again.log_prob,
    }


if __name__ == "__main__":
    # A class of the script that runs, `__main__`, has no name under which it could be loaded
    # again; the same file imported as a module has.
    from own_parts import main as run

    run()
