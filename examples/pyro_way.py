"""The plain Pyro way: the two programs of a model are Pyro programs, for anything Pyro does.

Trains a variational autoencoder with `pyro.infer.SVI`, draws from it with `Predictive`, conditions
it with `poutine.condition`; then trains a pair of programs written by hand with `fit`.

    python examples/pyro_way.py
"""

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.optim import Adam
from torch import Tensor, nn

import pyrovae
from pyrovae.likelihoods import Binomial
from pyrovae.networks import MLP
from pyrovae.objectives import IWAE
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal


class Generative(nn.Module):
    """A program written by hand: z ~ N(0, I), and x normal around a linear map of z."""

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.dim = dim
        self.loc = nn.Linear(dim, size)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> None:
        """Draw z and score x; the plate must be called `data`."""
        pyro.module("generative", self)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(self.dim), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(self.loc(z), self.log_scale.exp()).to_event(1), obs=x)


class Guide(nn.Module):
    """Its guide: z normal around a linear map of x."""

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.loc = nn.Linear(size, dim)
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> None:
        """Draw z given x."""
        pyro.module("guide", self)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.loc(x), self.log_scale.exp()).to_event(1))


def our_model_with_svi(train: pyrovae.data.Data, epochs: int) -> tuple[pyrovae.VAE, list[float]]:
    """Train our model with Pyro's own loop; return the loss of each epoch in nats per datum."""
    vae = pyrovae.VAE(
        prior=StandardNormal(8),
        likelihood=Binomial((1, 8, 8), total_count=16),
        posterior=MeanFieldNormal(),
        encoder=MLP((128,)),
        decoder=MLP((128,)),
    )
    svi = SVI(vae.model, vae.guide, Adam({"lr": 2e-3}), Trace_ELBO())
    order = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(epochs):
        batches = train.batches(batch_size=64, generator=order)
        losses.append(sum(svi.step(batch["x"]) for batch in batches) / len(train))
    return vae, losses


def draws(vae: pyrovae.VAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return data drawn from the model, and log p(x, z) of each datum at z = 0."""
    drawn = Predictive(vae.model, num_samples=16)()["x"]  # [16, 1, 1, 8, 8]: a plate of one
    at_zero = poutine.condition(vae.model, data={"z": torch.zeros(len(x), 8)})
    trace = poutine.trace(at_zero).get_trace(x)
    trace.compute_log_prob()
    return drawn[:, 0], trace.nodes["z"]["log_prob"] + trace.nodes["x"]["log_prob"]


def main(epochs: int = 20) -> dict[str, float]:
    """Do all of it on the handwritten digits; print and return numbers in nats per datum."""
    train, _, test = pyrovae.data.load("digits")
    pyro.set_rng_seed(0)

    vae, losses = our_model_with_svi(train, epochs)
    print(f"SVI: ELBO {-losses[0]:.1f} in epoch 1, {-losses[-1]:.1f} in epoch {epochs}")
    print(f"Pyro's parameter store now holds {len(pyro.get_param_store())} tensors")
    batch = next(test.batches(batch_size=100))
    drawn, joint = draws(vae, batch["x"])
    print(f"Predictive: {list(drawn.shape)}; mean log p(x, z=0) = {joint.mean():.1f}")

    # A pair written by hand goes through `fit` and `evaluate` like one of ours. The store is not
    # touched: it holds as many tensors as before.
    x, held_out = (
        next(split.batches(batch_size=len(split)))["x"].flatten(1) / 16.0 for split in (train, test)
    )
    pair = (Generative(4, 64), Guide(4, 64))
    history = pyrovae.fit(
        pair,
        x,
        objective=IWAE(particles=8),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
        epochs=epochs,
        seed=0,
    )
    result = pyrovae.evaluate(pair, held_out, samples=200)
    print(f"fit: IWAE {history['train/iwae'][0]:.1f} in epoch 1, ", end="")
    print(f"{history['train/iwae'][-1]:.1f} in epoch {epochs}")
    print(f"log p(x) = {result.log_prob:.1f} +- {result.log_prob_data_error:.1f} (data)")
    print(f"Pyro's parameter store still holds {len(pyro.get_param_store())} tensors")
    return {
        "svi first": -losses[0],
        "svi last": -losses[-1],
        "joint": joint.mean().item(),
        "fit first": history["train/iwae"][0],
        "fit last": history["train/iwae"][-1],
        "log_prob": result.log_prob,
    }


if __name__ == "__main__":
    main()
