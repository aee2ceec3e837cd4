"""The cost of an epoch of MNIST: reading, binarisation, steps and logging, against other packages.

The model is a variational autoencoder of one hidden layer and Bernoulli pixels, trained on batches
of 256 with as many threads as torch takes by itself. All ways run in turns in one process, one
epoch each; what is set up once, such as the compiling of the step, is not counted.

- ours, compiled: an epoch inside `fit`, with dynamic binarisation, logging and the guard.
- ours: the same with eager steps.
- bare compiled steps: as many compiled steps on one batch that lies ready in memory.
- Pyro by hand: `SVI` over torchvision's MNIST through a `DataLoader`, as Pyro's VAE example does.
- pythae: its own trainer, on a network of the same sizes; left out where it is not installed
  (`pip install pyrovae[bench]`).

The images are those of MNIST where PYROVAE_DATA or the cache folder holds them; nothing is
downloaded.

    python benchmarks/epoch.py [--repeats EPOCHS] [--quick]
"""

import argparse
import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from typing import Any

import pyro
import torch
from _timing import ratios, table
from _ways import Sizes, has_mnist, left_as_found, our_compiled_step, our_vae, svi_step
from torch import nn
from torch.utils.data import DataLoader, Subset

import pyrovae
from pyrovae.data import MNIST, TensorData, torchvision
from pyrovae.data.image_files import data_folder
from pyrovae.scopes import validation
from pyrovae.training import Callback
from pyrovae.training.run import Run

OURS = "ours, compiled"
BARE = "bare compiled steps"
PYRO = "Pyro by hand"
PYTHAE = "pythae"
SECONDS = "seconds"


class Turns(Callback):
    """Lets the other ways take their epoch behind each epoch of ours.

    Arguments:
        others: what runs one epoch of each other way, and returns its seconds.
    """

    def __init__(self, others: dict[str, Callable[[], float]]) -> None:
        self.others = others
        self.times: dict[str, list[float]] = {name: [] for name in others}

    def on_epoch(self, run: Run, record: dict[str, float]) -> None:
        """Run an epoch of each other way, and note down how long it took."""
        for name, epoch in self.others.items():
            self.times[name].append(epoch())


def mnist(rows: int | None) -> TensorData:
    """Return the training images, or the first of them."""
    train = MNIST(valid=0).load().train
    if rows is None or rows >= len(train):
        return train
    kept = {key: value[:rows] for key, value in train.tensors.items()}
    return TensorData(kept, transform=train.transform)


def pyro_epoch(sizes: Sizes, rows: int) -> Callable[[], object]:
    """Return an epoch in the idiom of Pyro's VAE example, with the checks it has on by default."""
    vision = torchvision()
    grey = vision.datasets.MNIST(
        str(data_folder()), train=True, transform=vision.transforms.ToTensor()
    )
    loader = DataLoader(Subset(grey, range(rows)), batch_size=sizes.batch, shuffle=True)
    step = svi_step(sizes)

    def epoch() -> object:
        with validation(enabled=True):
            return sum(float(step(x)) for x, _ in loader) / rows  # type: ignore[arg-type]

    return epoch


def pythae_epoch(sizes: Sizes, images: torch.Tensor, folder: str) -> Callable[[], object]:
    """Return an epoch of pythae's trainer: its loader, its steps and its callbacks."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(sizes.pixels, sizes.hidden)
            self.both = nn.Linear(sizes.hidden, 2 * sizes.latent)

        def forward(self, x: torch.Tensor) -> Any:
            hidden = nn.functional.softplus(self.hidden(x.flatten(1)))
            loc, log_variance = self.both(hidden).chunk(2, dim=1)
            return ModelOutput(embedding=loc, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(sizes.latent, sizes.hidden)
            self.pixels = nn.Linear(sizes.hidden, sizes.pixels)

        def forward(self, z: torch.Tensor) -> Any:
            logits = self.pixels(nn.functional.softplus(self.hidden(z)))
            return ModelOutput(reconstruction=torch.sigmoid(logits).unflatten(1, (1, 28, 28)))

    config = VAEConfig(
        input_dim=(1, 28, 28), latent_dim=sizes.latent, reconstruction_loss="bce",
        uses_default_encoder=False, uses_default_decoder=False,
    )  # fmt: skip
    settings = BaseTrainerConfig(
        output_dir=folder, per_device_train_batch_size=sizes.batch, num_epochs=10**6,
        learning_rate=1e-3, no_cuda=True,
    )  # fmt: skip
    trainer = BaseTrainer(
        VAE(config, encoder=Encoder(), decoder=Decoder()),
        train_dataset=BaseDataset(images, torch.zeros(len(images))),
        training_config=settings,
    )
    trainer.prepare_training()
    return lambda: trainer.train_step(epoch=1)


def bare_epoch(sizes: Sizes, steps: int) -> Callable[[], object]:
    """Return as many compiled steps as an epoch has, on one batch in memory."""
    step = our_compiled_step(sizes)
    x = (torch.rand(sizes.batch, sizes.pixels) < 0.5).float()
    step(x)
    return lambda: [step(x) for _ in range(steps)]


def timed(epoch: Callable[[], object]) -> Callable[[], float]:
    """Return what runs an epoch and returns its seconds."""

    def seconds() -> float:
        began = time.perf_counter()
        epoch()
        return time.perf_counter() - began

    return seconds


@contextmanager
def silent() -> Iterator[None]:
    """Keep pythae's logging and its bars off the screen; they are drawn all the same."""
    logging.disable(logging.INFO)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def epoch_table(*, rounds: int = 5, rows: int | None = None, compiles: bool = True) -> str:
    """Time epochs of all ways in turns and return the table.

    Arguments:
        rounds: how many epochs of each way are timed.
        rows: how many of the training images to take; None for all.
        compiles: whether the compiled ways take part.
    """
    train = mnist(rows)
    sizes = Sizes()

    def ours(*, epochs: int, compiled: bool, callback: Callback | None = None) -> list[float]:
        history = pyrovae.fit(
            our_vae(sizes, train.event_shape),
            train,
            epochs=epochs,
            batch_size=sizes.batch,
            compile=compiled,
            device="cpu",
            callbacks=[] if callback is None else [callback],
        )
        return history[SECONDS]

    with left_as_found(), silent(), tempfile.TemporaryDirectory() as folder:
        others = {
            "ours": lambda: ours(epochs=1, compiled=False)[0],
            PYRO: timed(pyro_epoch(sizes, len(train))),
        }
        if compiles:
            others[BARE] = timed(bare_epoch(sizes, train.steps(sizes.batch)))
        if find_spec("pythae") is not None:
            images = train.tensors["x"] / 255.0
            others[PYTHAE] = timed(pythae_epoch(sizes, images.reshape(-1, 1, 28, 28), folder))
        turns = Turns(others)
        first = OURS if compiles else "ours, first"
        seconds = ours(epochs=rounds + 1, compiled=compiles, callback=turns)
    times = {first: seconds[1:], **{name: values[1:] for name, values in turns.times.items()}}
    lines = [table(f"One epoch of {len(train)} images, {sizes}", times, unit="s")]
    lines.append(ratios(times, [(first, PYRO), (first, PYTHAE), (first, BARE), ("ours", PYRO)]))
    if PYTHAE not in others:
        lines.append("  pythae is not installed and was left out (pip install pyrovae[bench])")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="epochs of each way")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats expects a number of at least 1; got {options.repeats}")
    print(f"torch {torch.__version__}, Pyro {pyro.__version__}, {torch.get_num_threads()} threads")
    if not has_mnist():
        print("MNIST was not found, so no epoch is timed. See benchmarks/README.md")
        return
    rounds, rows = (1, 1024) if options.quick else (options.repeats, None)
    print("\n" + epoch_table(rounds=rounds, rows=rows, compiles=not options.quick))


if __name__ == "__main__":
    main()
