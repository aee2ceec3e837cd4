"""Shift: every translation is as likely, fills with zeros, and wraps nothing around."""

import time

import pytest
import torch
from scipy.stats import chi2

from pyrovae.data import MNIST, Binarize, Compose, Shift, TensorData, ToUnit, mnist
from pyrovae.data.image_files import Images


def moved_by_hand(image, down, right):
    """Move an image a pixel at a time, in plain loops."""
    height, width = image.shape[-2:]
    made = torch.zeros_like(image)
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                made[..., i, j] = image[..., i - down, j - right]
    return made


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bool])
@pytest.mark.parametrize("shape", [(1, 5, 4), (3, 4, 6), (5, 4), (2, 2, 3, 5), (1, 1, 1)])
@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_each_image_is_one_translation_of_itself(dtype, shape, pixels):
    """Of images of which no two translations are alike, one and the same for all channels."""
    torch.manual_seed(0)
    given = (torch.rand(20, *shape) * 200 + 1).to(dtype)
    before = given.clone()
    made = Shift(pixels=pixels)({"x": given, "y": torch.arange(20)})
    assert made["x"].dtype == dtype
    assert made["x"].shape == given.shape
    assert torch.equal(given, before)
    assert made["y"].tolist() == list(range(20))
    span = range(-pixels, pixels + 1)
    for image, found in zip(given, made["x"], strict=True):
        legal = [moved_by_hand(image, down, right) for down in span for right in span]
        assert any(torch.equal(found, one) for one in legal)


def test_every_translation_is_as_likely():
    """Chi-square of 50 000 images over 25 translations; the false-alarm rate is 1e-4."""
    torch.manual_seed(0)
    count, pixels = 50_000, 2
    x = torch.zeros(count, 1, 7, 7, dtype=torch.uint8)
    x[:, :, 3, 3] = 1
    place = Shift(pixels=pixels)({"x": x})["x"].flatten(1)
    assert bool((place.sum(1) == 1).all())
    at = place.argmax(1)
    down, right = at // 7 - 1, at % 7 - 1
    found = torch.bincount(down * 5 + right, minlength=25).double()
    assert len(found) == 25
    expected = count / 25
    assert float(((found - expected) ** 2 / expected).sum()) < chi2.isf(1e-4, 24)


def test_neighbours_move_by_themselves():
    """Both translations of one image and of the next are uncorrelated, within 5 errors."""
    torch.manual_seed(1)
    x = torch.zeros(40_000, 5, 5)
    x[:, 2, 2] = 1.0
    at = Shift(pixels=2)({"x": x})["x"].flatten(1).argmax(1)
    down, right = (at // 5).double(), (at % 5).double()
    for one, two in [(down, right), (down[1:], down[:-1]), (right[1:], right[:-1])]:
        assert abs(torch.corrcoef(torch.stack([one, two]))[0, 1]) < 5 / 200


def test_what_is_not_observed_moves_along():
    torch.manual_seed(0)
    x = torch.arange(1.0, 17.0).reshape(1, 1, 4, 4).repeat(50, 1, 1, 1)
    observed = (x % 5 != 0) & (x != 7)
    made = Shift(pixels=1)({"x": torch.where(observed, x, 0.0), "observed": observed})
    truth = {5.0, 7.0, 10.0, 15.0}
    for found, seen in zip(made["x"], made["observed"], strict=True):
        assert not set(found.unique().tolist()) & truth
        assert bool((found[~seen] == 0).all())
        assert int((~seen).sum()) >= 1
    assert made["observed"].dtype == torch.bool


def test_draws_are_torchs_own_and_batches_of_any_size():
    data = TensorData({"x": torch.rand(5, 1, 4, 4)}, transform=Shift(pixels=2))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = [batch["x"] for batch in data.batches(batch_size=2)]
    assert not torch.equal(state, torch.get_rng_state())
    torch.set_rng_state(state)
    again = [batch["x"] for batch in data.batches(batch_size=2)]
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], next(data.batches(batch_size=2))["x"])
    assert Shift()({"x": torch.zeros(0, 1, 3, 3)})["x"].shape == (0, 1, 3, 3)


def test_it_can_be_recorded():
    """As the other transforms: what is recorded once draws anew each time it is run."""
    from torch.fx.experimental.proxy_tensor import make_fx

    x = torch.rand(6, 1, 4, 4)
    graph = make_fx(lambda x: Shift(pixels=1)({"x": x})["x"], tracing_mode="fake")(x)
    torch.manual_seed(0)
    truth = [Shift(pixels=1)({"x": x})["x"] for _ in range(2)]
    torch.manual_seed(0)
    assert all(torch.equal(graph(x), one) for one in truth)


def test_refusals():
    for wrong in (-1, 1.5, True, "2"):
        with pytest.raises(ValueError, match=r"Shift expects pixels .* got"):
            Shift(pixels=wrong)
    with pytest.raises(ValueError, match=r"expects images, .* got \[3, 4\]"):
        Shift()({"x": torch.zeros(3, 4)})
    with pytest.raises(TypeError, match=r"Compose expects transforms .* got 3"):
        Compose(transforms=(ToUnit(), 3))
    both = Compose(transforms=(Shift(pixels=1), Binarize()))
    assert eval(repr(both)) == both


def test_mnist_is_moved_before_it_is_binarised_and_in_training_alone(monkeypatch):
    x = torch.zeros(30, 1, 28, 28, dtype=torch.uint8)
    x[:, :, 14, 14] = 255
    y = torch.arange(30) % 10
    monkeypatch.setattr(mnist, "read_images", lambda name, root: Images(x, y, x, y))
    places = {}
    for binarize in ("dynamic", "fixed", "none"):
        splits = MNIST(binarize=binarize, valid=5, shift=2, labels=10).load()
        moved = {split: set() for split in splits._fields}
        for split, data in zip(splits._fields, splits, strict=True):
            for _ in range(40):
                batch = next(data.batches(batch_size=30))["x"]
                assert bool(((batch > 0).flatten(1).sum(1) == 1).all())
                moved[split] |= set(batch.flatten(1).argmax(1).tolist())
        assert moved["valid"] == moved["test"] == {14 * 28 + 14}
        assert moved["train"] == {
            (14 + a) * 28 + 14 + b for a in range(-2, 3) for b in range(-2, 3)
        }
        assert "moved by up to 2 pixels: training, 10 of 25 labelled" in splits.train.description
        assert "moved" not in splits.valid.description
        places[binarize] = splits.train.transform
    assert places["dynamic"] == Compose(transforms=(Shift(pixels=2), Binarize()))
    assert places["fixed"] == places["none"] == Shift(pixels=2)
    for wrong in (-1, 28, 0.5, None):
        with pytest.raises(ValueError, match=r"MNIST expects shift .* from 0 to 27; got"):
            MNIST(shift=wrong)


def test_it_costs_as_much_as_a_few_copies():
    """A batch of 256 images takes at most 5 times as long as one advanced index into a frame.

    The best of several runs on either side, so that other work on the machine does not count.
    """
    x = torch.randint(0, 256, (256, 1, 28, 28), dtype=torch.uint8)
    framed = torch.nn.functional.pad(x, (2, 2, 2, 2))
    rows = torch.arange(28)[None, :, None] + torch.randint(5, (256, 1, 1))
    columns = torch.arange(28)[None, None] + torch.randint(5, (256, 1, 1))
    every = torch.arange(256)[:, None, None]

    def best(call):
        times = []
        for _ in range(30):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    shift = Shift(pixels=2)
    indexed = best(lambda: framed[every, 0, rows, columns])
    assert best(lambda: shift({"x": x})) < 5 * indexed + 1e-3
