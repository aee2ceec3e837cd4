"""The ways of taking a training step that the benchmarks compare: ours, Pyro's, PyTorch's.

A way takes sizes, makes its networks and its optimiser, and returns a function that takes one step
on a batch `[batch, pixels]`. All have the same networks, Adam at the same rate, fused where the way
allows it.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor, nn

import pyrovae
from pyrovae.data import MNIST, binarized
from pyrovae.data.image_files import data_folder
from pyrovae.likelihoods import Bernoulli
from pyrovae.models import Pair
from pyrovae.networks import MLP, autocast
from pyrovae.objectives import ELBO, Objective
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state, validation
from pyrovae.training.compiled import CompiledLoss
from pyrovae.training.guard import Guard
from pyrovae.training.losses import Loss
from pyrovae.training.precision import Precision, dtype_of

Step = Callable[[Tensor], object]

RATE = 1e-3
SEED = 0
DRAWS = 50


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a comparison of steps."""

    pixels: int = 784
    hidden: int = 400
    latent: int = 50
    batch: int = 256

    def __str__(self) -> str:
        return f"{self.pixels}-{self.hidden}-{self.latent}, batch {self.batch}"

    @property
    def flops(self) -> int:
        """Multiplications and additions of the matrix products of one step, forward and back."""
        first = self.pixels * self.hidden
        others = self.hidden * (2 * self.latent + self.latent + self.pixels)
        return 2 * self.batch * (2 * first + 3 * others)  # x itself needs no gradient


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


def our_step(
    sizes: Sizes, *, objective: Objective | None = None, precision: Precision = "32-true"
) -> Step:
    """Return an eager step as `fit` takes it, with the guard and the logged quantities."""
    loss_of, finish = _ours(sizes, objective)

    def step(x: Tensor) -> object:
        with validation(enabled=False), autocast(dtype_of(precision)):
            loss = loss_of({"x": x})
        for parameter in loss_of.parameters():
            parameter.grad = None
        (loss / len(x)).backward()
        return finish(loss, loss_of.logged)

    return step


def our_compiled_step(
    sizes: Sizes, *, objective: Objective | None = None, precision: Precision = "32-true"
) -> Step:
    """Return a compiled step as `fit` takes it, likewise."""
    loss_of, finish = _ours(sizes, objective)
    compiled = CompiledLoss(loss_of, precision=precision)

    def step(x: Tensor) -> object:
        loss = compiled.step({"x": x}, divisor=len(x))
        return finish(loss, compiled.logged)

    return step


def _ours(
    sizes: Sizes, objective: Objective | None
) -> tuple[Loss, Callable[[Tensor, object], object]]:
    """Return the loss of our model, and what follows its gradients in a step of `fit`."""
    pair = Pair(our_vae(sizes, (sizes.pixels,)))
    loss_of = Loss(ELBO() if objective is None else objective, pair)
    parameters = list(loss_of.parameters())
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)
    guard = Guard(parameters, pair.buffers(), optimizer, torch.device("cpu"))
    steps = iter(range(2**31))

    def finish(loss: Tensor, logged: object) -> object:
        loss_of.set_step(next(steps))
        guard.begin()
        guard.step(loss)
        return logged

    return loss_of, finish


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


def pytorch_step(sizes: Sizes, *, compiled: bool = False, bf16: bool = False) -> Step:
    """Return a step on the ELBO with the closed form of its KL."""

    def loss_of(encoder: Encoder, decoder: Decoder, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loc, scale = encoder(x)
        loc, scale = loc.float(), scale.float()
        z = loc + scale * torch.randn_like(scale)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = decoder(z)
        logits = logits.float()
        negative = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return negative + 0.5 * (loc.square() + scale.square() - 1.0).sum() - scale.log().sum()

    return _by_hand(sizes, loss_of, compiled=compiled)


def pytorch_iwae_step(sizes: Sizes, *, compiled: bool = False) -> Step:
    """Return a step on the importance-weighted bound."""

    def loss_of(encoder: Encoder, decoder: Decoder, x: Tensor) -> Tensor:
        loc, scale = encoder(x)
        noise = torch.randn(DRAWS, *loc.shape)
        z = loc + scale * noise
        logits = decoder(z)
        negative = nn.functional.binary_cross_entropy_with_logits(
            logits, x.expand_as(logits), reduction="none"
        ).sum(-1)
        log_ratio = (0.5 * (noise.square() - z.square()) + scale.log()).sum(-1)
        return -((log_ratio - negative).logsumexp(0) - math.log(DRAWS)).sum()

    return _by_hand(sizes, loss_of, compiled=compiled)


def _by_hand(
    sizes: Sizes, loss_of: Callable[[Encoder, Decoder, Tensor], Tensor], *, compiled: bool
) -> Step:
    encoder, decoder = Encoder(sizes), Decoder(sizes)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)
    function = torch.compile(loss_of) if compiled else loss_of

    def step(x: Tensor) -> object:
        loss = function(encoder, decoder, x)
        optimizer.zero_grad(set_to_none=True)
        (loss / len(x)).backward()
        optimizer.step()
        return loss.detach()

    return step


# ---------------------------------------------------------------------------------- surroundings


@contextmanager
def left_as_found() -> Iterator[None]:
    """Give Pyro an empty parameter store, and put it and the random state back behind."""
    with pyro.get_param_store().scope(), random_state(SEED):
        yield


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


def matmul_block(rows: int, inner: int, columns: int) -> Callable[[], Tensor]:
    """Return one matrix product in float32 of these sizes, for the rate of the machine."""
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    return lambda: left @ right
