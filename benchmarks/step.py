"""The cost of a training step and of an epoch, against Pyro and against PyTorch by hand.

The model is a variational autoencoder of one hidden layer and Bernoulli pixels, in float32 and
eager, with as many threads as torch takes by itself. All ways run in turns in one process.

Step: one forward, backward and update on a batch that lies ready in memory.

- ours: `ELBO()(vae.model, vae.guide)`, as the loop of `fit` takes a step: checks off, fused Adam,
  the loss divided by the batch size, the logged quantities kept.
- Trace_ELBO, our pair: Pyro's `Trace_ELBO()` on the same two programs, checks off, fused Adam.
- Trace_ELBO, Pyro by hand: the same on a model and a guide written as Pyro's VAE example has them.
- PyTorch by hand: no Pyro at all, the closed form of the KL, fused Adam; for orientation.
- SVI, Pyro by hand: `SVI` with `pyro.optim.Adam`, with the checks that Pyro has on by default.

Epoch: all training images of MNIST, reading and binarisation or conversion included.

- ours: one call of `fit` for one epoch, with dynamic binarisation and all that it logs.
- Pyro by hand: `SVI` over torchvision's MNIST through a `DataLoader`, as Pyro's VAE example does.

The images are those of MNIST where PYROVAE_DATA or the cache folder holds them. Nothing is
downloaded: without them steps are timed on random bits and the epoch is left out.

    python benchmarks/step.py [--repeats ROUNDS] [--quick]
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import pyro
import pyro.distributions as dist
import torch
from _timing import alternate, table
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

import pyrovae
from pyrovae.data import MNIST, TensorData, binarized, torchvision
from pyrovae.data.image_files import data_folder
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state, validation

Step = Callable[[Tensor], object]

OURS = "ours"
RATE = 1e-3
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a comparison of steps."""

    pixels: int = 784
    hidden: int = 400
    latent: int = 50
    batch: int = 256

    def __str__(self) -> str:
        return f"{self.pixels}-{self.hidden}-{self.latent}, batch {self.batch}"


TINY = Sizes(pixels=20, hidden=16, latent=4, batch=64)

# ------------------------------------------------------------------------------------- our model


def our_vae(sizes: Sizes, event_shape: tuple[int, ...]) -> pyrovae.VAE:
    return pyrovae.VAE(
        prior=StandardNormal(sizes.latent),
        likelihood=Bernoulli(event_shape),
        posterior=MeanFieldNormal(),
        encoder=MLP((sizes.hidden,)),
        decoder=MLP((sizes.hidden,)),
    )


def our_step(sizes: Sizes) -> Step:
    vae = our_vae(sizes, (sizes.pixels,))
    loss_of = ELBO()(vae.model, vae.guide)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=RATE, fused=True)
    steps = iter(range(2**31))

    def step(x: Tensor) -> object:
        loss_of.step.fill_(next(steps))
        with validation(enabled=False):
            loss = loss_of(x=x)
        optimizer.zero_grad(set_to_none=True)
        (loss / len(x)).backward()
        optimizer.step()
        return loss_of.logged

    return step


def our_pair_step(sizes: Sizes) -> Step:
    vae = our_vae(sizes, (sizes.pixels,))
    return trace_elbo_step(Trace_ELBO()(vae.model, vae.guide), list(vae.parameters()))


# ---------------------------------------------------------------------------------- Pyro by hand


class Encoder(nn.Module):
    """Two heads for q(z | x), as in Pyro's example."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.hidden = nn.Linear(sizes.pixels, sizes.hidden)
        self.loc = nn.Linear(sizes.hidden, sizes.latent)
        self.log_scale = nn.Linear(sizes.hidden, sizes.latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = nn.functional.softplus(self.hidden(x))
        return self.loc(hidden), torch.exp(self.log_scale(hidden))


class Decoder(nn.Module):
    """The logits of the pixels."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.hidden = nn.Linear(sizes.latent, sizes.hidden)
        self.pixels = nn.Linear(sizes.hidden, sizes.pixels)

    def forward(self, z: Tensor) -> Tensor:
        return self.pixels(nn.functional.softplus(self.hidden(z)))


class PyroVAE(nn.Module):
    """A model and a guide in the idiom of Pyro's VAE example.

    The networks are registered under names of one instance: under fixed names a second instance
    would never be trained.
    """

    def __init__(self, sizes: Sizes, *, name: str) -> None:
        super().__init__()
        self.name = name
        self.latent = sizes.latent
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)

    def model(self, x: Tensor) -> None:
        pyro.module(f"{self.name} decoder", self.decoder)
        with pyro.plate("data", len(x)):
            loc, scale = x.new_zeros(len(x), self.latent), x.new_ones(len(x), self.latent)
            z = pyro.sample("latent", dist.Normal(loc, scale).to_event(1))
            probs = torch.sigmoid(self.decoder(z))
            # grey levels between 0 and 1 are outside the support, so Pyro's example skips the check
            pixels = dist.Bernoulli(probs, validate_args=False).to_event(1)
            pyro.sample("obs", pixels, obs=x.flatten(1))

    def guide(self, x: Tensor) -> None:
        pyro.module(f"{self.name} encoder", self.encoder)
        with pyro.plate("data", len(x)):
            loc, scale = self.encoder(x.flatten(1))
            pyro.sample("latent", dist.Normal(loc, scale).to_event(1))


def trace_elbo_step(loss_of: nn.Module, parameters: list[nn.Parameter]) -> Step:
    """Return a step on a loss of Pyro, with the same optimiser as ours and no check at all."""
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def step(x: Tensor) -> object:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x)
        (loss / len(x)).backward()
        optimizer.step()
        return loss.detach()

    return step


def pyro_by_hand_step(sizes: Sizes) -> Step:
    vae = PyroVAE(sizes, name="Trace_ELBO")
    return trace_elbo_step(Trace_ELBO()(vae.model, vae.guide), list(vae.parameters()))


def svi_step(sizes: Sizes) -> Step:
    vae = PyroVAE(sizes, name="SVI")
    return SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": RATE}), loss=Trace_ELBO()).step


# ------------------------------------------------------------------------------- PyTorch by hand


def pytorch_step(sizes: Sizes) -> Step:
    encoder, decoder = Encoder(sizes), Decoder(sizes)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def step(x: Tensor) -> object:
        loc, scale = encoder(x)
        logits = decoder(loc + scale * torch.randn_like(scale))
        negative = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (loc.square() + scale.square() - 1.0).sum() - scale.log().sum()
        loss = negative + kl
        optimizer.zero_grad(set_to_none=True)
        (loss / len(x)).backward()
        optimizer.step()
        return loss.detach()

    return step


# ------------------------------------------------------------------------------------- the tables


@contextmanager
def left_as_found() -> Iterator[None]:
    """Give Pyro an empty parameter store, and put it and the random state back behind."""
    with pyro.get_param_store().scope(), random_state(SEED):
        yield


def step_table(
    *, sizes: Sizes, images: Tensor | None = None, rounds: int = 20, steps: int = 20
) -> str:
    """Time a step of each way and return the table.

    Arguments:
        sizes: those of the networks and the batch.
        images: binary images `[N, pixels]` to train on; None draws random bits.
        rounds: how many blocks of each way are timed.
        steps: how many steps a block has.
    """
    ways: dict[str, tuple[Callable[[Sizes], Step], bool]] = {  # and whether Pyro checks
        OURS: (our_step, True),
        "Trace_ELBO, our pair": (our_pair_step, False),
        "Trace_ELBO, Pyro by hand": (pyro_by_hand_step, False),
        "PyTorch by hand": (pytorch_step, True),
        "SVI, Pyro by hand": (svi_step, True),
    }
    with left_as_found():
        if images is None:
            images = (torch.rand(steps * sizes.batch, sizes.pixels) < 0.5).float()
        whole = len(images) // sizes.batch * sizes.batch
        batches = images[:whole].split(sizes.batch)

        def block(step: Step, *, checks: bool) -> Callable[[], None]:
            given = cycle(batches)

            def run() -> None:
                with validation(enabled=checks):
                    for _ in range(steps):
                        step(next(given))

            return run

        blocks = {name: block(make(sizes), checks=checks) for name, (make, checks) in ways.items()}
        times = alternate(blocks, rounds=rounds, per_block=steps)
    return table(f"One step, {sizes}", times, ours=OURS)


def epoch_table(*, rounds: int = 5, rows: int | None = None, batch: int = 256) -> str:
    """Time an epoch of MNIST in our way and in that of Pyro's example, and return the table.

    Arguments:
        rounds: how many epochs of each way are timed.
        rows: how many of the training images to take; None for all.
        batch: the batch size.
    """
    sizes = Sizes(batch=batch)
    vision = torchvision()
    grey = vision.datasets.MNIST(
        str(data_folder()), train=True, transform=vision.transforms.ToTensor()
    )
    rows = len(grey) if rows is None else min(rows, len(grey))
    loader = DataLoader(Subset(grey, range(rows)), batch_size=batch, shuffle=True)
    source = MNIST(valid=0).load().train
    train = source
    if rows < len(source):
        kept = {key: value[:rows] for key, value in source.tensors.items()}
        train = TensorData(kept, transform=source.transform)

    with left_as_found(), validation(enabled=True):
        vae = our_vae(sizes, train.event_shape)
        step = svi_step(sizes)

        def ours() -> object:
            return pyrovae.fit(vae, train, epochs=1, batch_size=batch, device="cpu", progress=False)

        def pyro_by_hand() -> float:
            return sum(step(x) for x, _ in loader) / rows

        times = alternate({OURS: ours, "Pyro by hand": pyro_by_hand}, rounds=rounds)
    return table(f"One epoch of {rows} images, {sizes}", times, ours=OURS, unit="s")


def has_mnist() -> bool:
    """Return whether the files of MNIST lie where the source looks for them."""
    raw = data_folder() / "MNIST" / "raw"
    splits, kinds = ("train", "t10k"), ("images-idx3", "labels-idx1")
    return all((raw / f"{split}-{kind}-ubyte").is_file() for split in splits for kind in kinds)


def mnist_bits(rows: int) -> Tensor:
    """Return the first training images, binarised once, as `[rows, 784]` in float32."""
    with random_state(SEED):
        grey = MNIST(valid=0).load().train.tensors["x"][:rows]
        return binarized(grey).float().flatten(1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--repeats", type=int, default=20, help="rounds of steps; of epochs a fourth as many"
    )
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats expects a number of at least 1; got {options.repeats}")
    rounds = min(options.repeats, 2) if options.quick else options.repeats
    steps = 2 if options.quick else 20
    found = has_mnist()
    print(f"torch {torch.__version__}, Pyro {pyro.__version__}, {torch.get_num_threads()} threads")
    if not found:
        print("MNIST was not found: steps on random bits, and no epoch. See benchmarks/README.md")
    images = mnist_bits(10_240) if found else None
    print("\n" + step_table(sizes=Sizes(), images=images, rounds=rounds, steps=steps))
    print("\n" + step_table(sizes=TINY, rounds=rounds, steps=5 * steps))
    if found:
        rows = 1024 if options.quick else None
        print("\n" + epoch_table(rounds=max(1, rounds // 4), rows=rows))


if __name__ == "__main__":
    main()
