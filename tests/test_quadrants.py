"""Quadrants: which part of an image is seen, which is scored, and what else stays as it was."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pyrovae
from pyrovae.data import MNIST, Arrays, Digits, Hidden, Quadrants, QuadrantsData, TensorData
from pyrovae.data.quadrants import seen
from pyrovae.likelihoods import Binomial
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import ConditionalNormal


def whole(data: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = next(data.batches(batch_size=len(data)))
    return found


@pytest.mark.parametrize(
    ("visible", "quadrants"), [(1, "bottom left"), (2, "left"), (3, "top and left")]
)
@pytest.mark.parametrize("size", [(8, 8), (5, 7), (2, 2)])
def test_which_pixels_are_seen(visible: Any, quadrants: str, size: tuple[int, int]) -> None:
    shown = seen(torch.zeros(2, 1, *size), visible)[0, 0].numpy()
    height, width = size
    for row in range(height):
        for column in range(width):
            bottom, left = row >= height // 2, column < width // 2
            truth = {
                "bottom left": bottom and left,
                "left": left,
                "top and left": left or not bottom,
            }[quadrants]
            assert shown[row, column] == truth


@pytest.mark.parametrize("visible", [1, 2, 3])
def test_y_is_what_is_seen_and_the_rest_is_scored(visible: Any) -> None:
    source = Quadrants(Digits(), visible=visible, fill=-3.0)
    for split, own in zip(source.load(), Digits().load(), strict=True):
        batch, plain = whole(split), whole(own)
        assert torch.equal(batch["x"], plain["x"])
        assert torch.equal(batch["index"], plain["index"])
        shown = ~batch["observed"]
        assert torch.equal(shown, seen(plain["x"], visible))
        assert torch.equal(batch["y"][shown], plain["x"][shown] / 16.0)
        assert bool((batch["y"][~shown] == -3.0).all())
        assert split.keys == ("x", "y", "observed", "index")
        assert tuple(batch) == split.keys
    assert source.label_form.shape == source.event_shape == (1, 8, 8)
    assert source.label_form.levels is None
    assert "given" in split.description


def test_missing_pixels_are_neither_seen_nor_scored() -> None:
    observed = torch.rand(6, 1, 4, 4) < 0.5
    x = torch.rand(6, 1, 4, 4)
    data = QuadrantsData(TensorData({"x": x, "observed": observed}), visible=2)
    batch = whole(data)
    shown = seen(x, 2)
    assert torch.equal(batch["observed"], observed & ~shown)
    assert torch.equal(batch["y"], torch.where(observed & shown, x, -1.0))


def test_it_is_declared_and_follows_its_source() -> None:
    assert repr(Quadrants(visible=2)) == "Quadrants(MNIST(), visible=2)"
    assert isinstance(Quadrants().source, MNIST)
    around = Quadrants(Hidden(Digits(), share=0.2), visible=3)
    assert isinstance(around.settled(), Quadrants)
    assert around.origin.event_shape == (1, 8, 8)
    assert around.total_count == 16
    assert around.short_name == "digits-hidden-quadrants"
    assert around.suggestion.likelihood == "Binomial"


@pytest.mark.parametrize("visible", [0, 4, 1.5, True, "1"])
def test_a_number_of_quadrants_that_is_none(visible: Any) -> None:
    with pytest.raises(ValueError, match="visible to be 1, 2 or 3"):
        Quadrants(Digits(), visible=visible)


def test_what_it_cannot_stand_around(tmp_path: Any) -> None:
    with pytest.raises(TypeError, match="source to be a source such as MNIST"):
        Quadrants(torch.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fill to be a finite number"):
        Quadrants(Digits(), fill=float("nan"))
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(20, 6)))
    with pytest.raises(ValueError, match=r"expects images, .* has x of shape \(6,\)"):
        Quadrants(Arrays(str(tmp_path / "rows.npy"))).load()


def test_a_model_completes_images() -> None:
    source = Quadrants(Digits(valid=0, test=1600))
    train, _, test = source.load()
    cvae = pyrovae.ConditionalVAE(
        prior=ConditionalNormal(2, condition=64, hidden=(8,)),
        likelihood=Binomial((1, 8, 8), total_count=16),
        posterior=MeanFieldNormal(),
        encoder=MLP((8,)),
        decoder=MLP((8,)),
        condition_shape=(1, 8, 8),
    )
    history = pyrovae.fit(cvae, train, epochs=2, batch_size=64, progress=False, seed=0)
    assert history.failure is None
    assert test is not None
    y = next(test.batches(batch_size=3))["y"]
    assert cvae.sample(3, y=y).shape == (3, 1, 8, 8)
    assert cvae.sample(5, y=y[0]).shape == (5, 1, 8, 8)
