"""Colour images: levels 0..255 under a mixture of discretised logistics, in bits per dimension.

Takes CIFAR-10 where torchvision's files of it lie in the folder that the environment variable
PYROVAE_DATA names; otherwise it makes images of its own: shaded balls before coloured backgrounds.
Any other images will do: a folder, an array of bytes, or a data set of torchvision.

    python examples/colour.py
    python examples/colour.py --data SVHN --network Conv
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pyrovae
from pyrovae.data import Data
from pyrovae.likelihoods import DiscretizedLogisticMixture
from pyrovae.networks import Conv, ResNet
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

SIDE = 24
NETWORKS = {"Conv": Conv, "ResNet": ResNet}
CIFAR = "cifar-10-batches-py"  # what torchvision calls the folder


def balls(count: int, seed: int) -> Tensor:
    """Return bytes `[count, 3, SIDE, SIDE]`: a ball, a background, light and film grain."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, 1, 1, generator=generator)

    down, across = torch.meshgrid(*2 * [torch.linspace(-1.0, 1.0, SIDE)], indexing="ij")
    top, bottom, colour = (uniform(3) for _ in range(3))
    share = 0.5 * (down + 1.0)
    background = (1.0 - share) * top + share * bottom
    radius = 0.3 + 0.4 * uniform(1)
    x, y = ((across - uniform(1) + 0.5) / radius, (down - uniform(1) + 0.5) / radius)
    inside = x.square() + y.square() < 1.0
    height = (1.0 - x.square() - y.square()).clamp(min=0.0).sqrt()
    light = (0.3 + 0.7 * (0.6 * height - 0.5 * x - 0.6 * y)).clamp(0.1, 1.0)
    image = torch.where(inside, light * colour, background)
    grain = 0.01 * torch.randn(image.shape, generator=generator)
    return (255.0 * (image + grain)).round().clamp(0, 255).to(torch.uint8)


def images(name: str | None) -> tuple[str, tuple[Any, ...]]:
    """Return what the images are called, and those to train, validate and test on."""
    folder = os.environ.get("PYROVAE_DATA", "")
    if name is None and folder and (Path(folder) / CIFAR).is_dir():
        name = "CIFAR10"
    if name is None or name == "balls":
        return "balls", tuple(balls(count, seed) for seed, count in enumerate((2000, 200, 200)))
    splits = pyrovae.data.load(name, valid=0.05)
    return name, tuple(splits)


def shown(held_out: Tensor | Data, count: int) -> Tensor:
    """Return the first images as numbers."""
    if isinstance(held_out, Tensor):
        return held_out[:count].float()
    return next(held_out.batches(batch_size=count))["x"].float()


def build(shape: tuple[int, ...], *, dim: int, components: int, network: str) -> pyrovae.VAE:
    """Return the model."""
    made = NETWORKS[network]
    return pyrovae.VAE(
        prior=StandardNormal(dim),
        likelihood=DiscretizedLogisticMixture(shape, total_count=255, components=components),
        posterior=MeanFieldNormal(),
        encoder=made((32, 64)),
        decoder=made((32, 64)),
    )


def draw(vae: pyrovae.VAE, x: Tensor, out: Path) -> None:
    """Write a figure: images, their reconstructions, and the means of samples."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    torch.manual_seed(0)
    rows = {
        "test images": x,
        "reconstructions, E[x | z]": vae.reconstruct(x),
        "samples, E[x | z], z ~ p(z)": vae.sample(len(x), mean=True),
    }
    figure, axes = plt.subplots(3, 1, figsize=(len(x), 3.6), layout="constrained")
    for axis, (title, row) in zip(axes, rows.items(), strict=True):
        strip = row.expand(-1, 3, -1, -1).permute(2, 0, 3, 1).flatten(1, 2)
        axis.imshow((strip / 255.0).clamp(0.0, 1.0).numpy(), interpolation="nearest")
        axis.set_title(title, fontsize=9, loc="left")
        axis.axis("off")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> pyrovae.evaluation.Evaluation:
    """Train, evaluate and draw; return the evaluation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", help="'balls', a folder, a file, or a class of torchvision")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--dim", type=int, default=32, help="latent dimensions")
    parser.add_argument("--components", type=int, default=5, help="logistics of each element")
    parser.add_argument("--network", choices=NETWORKS, default="ResNet", help="of both directions")
    parser.add_argument("--samples", type=int, default=100, help="draws for log p(x)")
    parser.add_argument("--test", type=int, default=200, help="test images to evaluate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/colour.png"))
    given = parser.parse_args(argv)

    name, (train, valid, test) = images(given.data)
    x = shown(test, given.test)
    print(f"{name}: images of shape {list(x.shape[1:])}, of which {len(x)} are tested on")
    torch.manual_seed(given.seed)  # for the networks' starting values
    shape = tuple(x.shape[1:])
    vae = build(shape, dim=given.dim, components=given.components, network=given.network)
    pyrovae.fit(
        vae, train, valid=valid, epochs=given.epochs, batch_size=given.batch_size, seed=given.seed
    )
    result = pyrovae.evaluate(vae, x, samples=given.samples)
    print(result)
    print(f"{result.bits_per_dim:.3f} bits per dimension; a uniform guess takes 8")
    draw(vae, x[:12], given.out)
    print(given.out)
    return result


if __name__ == "__main__":
    main()
