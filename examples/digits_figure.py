"""The figure of the README: two priors on the handwritten digits, in docs/figures/digits.png.

Trains the same model with two priors and draws reconstructions, samples and the validation ELBO
over the epochs.

    python examples/digits_figure.py
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pyrovae
from pyrovae.likelihoods import Binomial
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import Prior, StandardNormal, VampPrior

FIGURE = Path(__file__).resolve().parent.parent / "docs" / "figures" / "digits.png"
DIM = 8
COLORS = {"StandardNormal": "#7a7a7a", "VampPrior": "#1f6f8b"}
SIDES = {"StandardNormal": -22, "VampPrior": 13}  # below its line and above it, in points


def trained(prior: Prior, epochs: int) -> tuple[pyrovae.VAE, list[float]]:
    """Return a model of the digits with this prior, and its validation ELBO after each epoch."""
    train, valid, _ = pyrovae.data.load("digits")
    torch.manual_seed(0)
    vae = pyrovae.VAE(
        prior=prior,
        likelihood=Binomial((1, 8, 8), total_count=16),
        posterior=MeanFieldNormal(),
        encoder=MLP((200,)),
        decoder=MLP((200,)),
    )
    history = pyrovae.fit(vae, train, valid=valid, epochs=epochs, batch_size=64, seed=0)
    return vae, history["valid/elbo"]


def sheet(images: Tensor, columns: int) -> Tensor:
    """Return images `[N, 1, 8, 8]` side by side as one, row after row, a white pixel between."""
    framed = torch.nn.functional.pad(images[:, 0] / 16.0, (0, 1, 0, 1))
    rows = framed.unflatten(0, (-1, columns))
    return rows.transpose(1, 2).flatten(2).flatten(0, 1)[:-1, :-1]


def draw(epochs: int, out: Path) -> None:
    """Train, draw and write the figure."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    priors = (StandardNormal(DIM), VampPrior(DIM, components=100))
    runs = {type(prior).__name__: trained(prior, epochs) for prior in priors}
    vae = runs["VampPrior"][0]
    _, _, test = pyrovae.data.load("digits")
    x = next(test.batches(batch_size=24))["x"].float()
    torch.manual_seed(0)
    recon = vae.reconstruct(x)
    pairs = torch.stack([x.view(3, 8, 1, 8, 8), recon.view(3, 8, 1, 8, 8)], dim=1).flatten(0, 2)

    style = {"font.size": 9, "axes.titlesize": 10, "axes.spines.top": False,
             "axes.spines.right": False, "savefig.dpi": 130}  # fmt: skip
    with plt.rc_context(style):
        figure, axes = plt.subplots(
            1, 3, figsize=(10, 3.1), width_ratios=(8, 6, 9), layout="constrained"
        )
        show(axes[0], sheet(pairs, columns=8), "Test digits, each above its reconstruction")
        sampled = vae.sample(36, mean=True)
        show(axes[1], sheet(sampled, columns=6), "Samples, E[x | z], z ~ VampPrior")
        curves(axes[2], {name: elbo for name, (_, elbo) in runs.items()})
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out)
        plt.close(figure)


def show(axis: Any, image: Tensor, title: str) -> None:
    """Show one sheet of images."""
    axis.imshow(image.numpy(), cmap="gray_r", vmin=0.0, vmax=1.0, interpolation="nearest")
    axis.set_anchor("N")
    axis.set_title(title)
    axis.axis("off")


def curves(axis: Any, elbos: dict[str, list[float]]) -> None:
    """Draw the validation ELBO over the epochs, each line with its name and its last value."""
    for name, elbo in elbos.items():
        epochs = range(1, len(elbo) + 1)
        axis.plot(epochs, elbo, color=COLORS[name], linewidth=1.8)
        axis.annotate(
            f"{name} {elbo[-1]:.1f}", (len(elbo), elbo[-1]), xytext=(0, SIDES[name]),
            textcoords="offset points", color=COLORS[name], ha="right", va="center",
        )  # fmt: skip
    last = max(elbo[-1] for elbo in elbos.values())
    axis.set_ylim(last - 80.0, last + 12.0)
    axis.set_xlim(0, 1.02 * max(map(len, elbos.values())))
    axis.set_title("Validation ELBO, nats per image")
    axis.set_xlabel("epoch")


def main(argv: Sequence[str] | None = None) -> Path:
    """Read the command line and write the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", type=Path, default=FIGURE)
    given = parser.parse_args(argv)
    draw(given.epochs, given.out)
    print(given.out)
    return given.out


if __name__ == "__main__":
    main()
