"""ImageFolder: splits, classes and sizes of images in files, in memory and from the disk."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pyrovae
from pyrovae.data import ImageFolder, TensorData, image_folder, pictures
from pyrovae.data.datasets import DatasetData
from pyrovae.data.folders import listings
from pyrovae.data.source import split_rows
from pyrovae.likelihoods import Binomial
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal


def draw(path, number=0, *, shape=(4, 3), levels=256):
    """Write an image of its own, which `number` determines."""
    own = np.random.default_rng(number)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = own.integers(0, levels, shape, dtype=np.uint8)
    if levels == 2:
        pixels = pixels * np.uint8(255)
    Image.fromarray(pixels).save(path)
    return torch.from_numpy(np.atleast_3d(pixels).transpose(2, 0, 1).copy())


def fill(folder, names, **how):
    """Write images in a random order; return them in the order of their names."""
    order = list(enumerate(names))
    random.Random(3).shuffle(order)
    drawn = {at: draw(Path(folder, name), at, **how) for at, name in order}
    return torch.stack([drawn[at] for at in sorted(drawn)])


def whole(data):
    return next(data.batches(batch_size=len(data)))


@pytest.fixture
def flat(tmp_path):
    return tmp_path / "flat", fill(tmp_path / "flat", [f"{at:02}.png" for at in range(20)])


# ------------------------------------------------------------------------------ what is in a folder


def test_splits_are_those_of_the_sorted_names(flat, monkeypatch):
    folder, pixels = flat
    source = ImageFolder(str(folder), valid=3, test=0.25, seed=5)
    splits = source.load()
    rows = split_rows(20, valid=3, test=0.25, seed=5)
    assert [len(part) for part in splits] == [12, 3, 5]
    for part, chosen in zip(splits, rows, strict=True):
        assert isinstance(part, TensorData)
        assert part.keys == ("x", "index")
        assert part.tensors["x"].dtype == torch.uint8
        assert torch.equal(part.tensors["x"], pixels[chosen])
    assert source.event_shape == splits.train.event_shape == (1, 4, 3)
    assert splits.test.description == f"{folder}, levels 0..255: test"
    assert source.classes == ()

    entries = os.scandir

    class Backwards:
        def __init__(self, path):
            with entries(path) as found:
                self.found = list(found)[::-1]

        def __enter__(self):
            return iter(self.found)

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    again = source.load()
    for part, same in zip(splits, again, strict=True):
        assert torch.equal(part.tensors["x"], same.tensors["x"])


def test_sub_folders_are_classes_in_sorted_order(tmp_path):
    names = ["ant/1.png", "ant/deep/2.png", "bee/0.png", "cow 2/9.png", "cow/3.png"]
    pixels = fill(tmp_path, names)
    (tmp_path / "empty").mkdir()
    source = ImageFolder(tmp_path, valid=0, test=0)
    assert source.classes == ("ant", "bee", "cow", "cow 2")
    train, valid, test = source.load()
    assert valid is test is None
    # by the folder first: "cow" stands before "cow 2" although " " stands before "/"
    assert torch.equal(train.tensors["x"], pixels[[0, 1, 2, 4, 3]])
    assert train.tensors["y"].tolist() == [0, 0, 1, 2, 3]
    assert train.tensors["y"].dtype == torch.int64
    assert "(4 classes)" in train.description


def test_one_image_outside_the_sub_folders_means_no_labels(tmp_path):
    pixels = fill(tmp_path, ["a/0.png", "b/0.png", "c.png"])
    source = ImageFolder(tmp_path, valid=0, test=0)
    assert source.classes == ()
    train = source.load().train
    assert train.keys == ("x", "index")
    assert torch.equal(train.tensors["x"], pixels)


@pytest.mark.parametrize("valid", ["valid", "val"])
def test_sub_folders_may_be_the_splits(tmp_path, valid):
    names = ["test/b/0.png", "train/a/0.png", "train/a/1.png", "train/b/0.png", "train/c/0.png"]
    pixels = fill(tmp_path, [*names, f"{valid}/c/0.png"])
    source = ImageFolder(tmp_path)
    assert source.classes == ("a", "b", "c")
    splits = source.load()
    rows = ([1, 2, 3, 4], [5], [0])
    for part, chosen, labels in zip(splits, rows, ([0, 0, 1, 2], [2], [1]), strict=True):
        assert torch.equal(part.tensors["x"], pixels[chosen])
        assert part.tensors["y"].tolist() == labels
    train, left_out, test = ImageFolder(tmp_path, valid=0).load()
    assert (len(train), left_out, len(test)) == (4, None, 1)


def test_a_split_without_a_folder_is_cut_from_the_training_images(tmp_path):
    names = [f"test/{at}.png" for at in range(3)] + [f"Train/{at:02}.png" for at in range(10)]
    pixels = fill(tmp_path, names)
    train, valid, test = ImageFolder(tmp_path, valid=2).load()
    assert [len(train), len(valid), len(test)] == [8, 2, 3]
    assert torch.equal(test.tensors["x"], pixels[:3])
    rows = split_rows(10, valid=2, test=0, seed=0)
    assert torch.equal(valid.tensors["x"], pixels[3:][rows.valid])
    alone = [len(part) for part in ImageFolder(tmp_path / "Train", valid=2).load()]
    assert alone == [7, 2, 1]


def test_a_folder_train_alone_is_no_class(tmp_path):
    fill(tmp_path, [f"train/{name}/{at}.png" for name in "ab" for at in range(5)])
    source = ImageFolder(tmp_path)
    assert source.classes == ("a", "b")
    assert [len(part) for part in source.load()] == [8, 1, 1]
    draw(tmp_path / "bus" / "0.png")  # with other vehicles it is one
    assert ImageFolder(tmp_path).classes == ("bus", "train")


def test_unlabelled_test_images_beside_labelled_ones(tmp_path):
    fill(tmp_path, ["train/a/0.png", "train/b/0.png", "train/b/1.png", "test/0.png"])
    train, _, test = ImageFolder(tmp_path, valid=0).load()
    assert train.keys == ("x", "y", "index")
    assert test.keys == ("x", "index")
    fill(tmp_path / "other", ["train/0.png", "test/a/0.png"])
    train, _, test = ImageFolder(tmp_path / "other", valid=0).load()
    assert train.keys == test.keys == ("x", "index")


def test_hidden_and_other_files_are_passed_over(tmp_path):
    fill(tmp_path, ["a.PNG", "b.JpG", "c.Tiff"])
    fill(tmp_path, [".hidden.png", "._a.png", ".thumbnails/a.png"])
    for name in ("notes.txt", "Thumbs.db", "a.png.part", "png"):
        (tmp_path / name).write_text("no image")
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for ever
    source = ImageFolder(tmp_path, valid=0, test=0)
    assert len(source.load().train) == 3


def test_links(tmp_path):
    """A link to a folder is followed, one around in a circle is not, and a dead one is named."""
    images = tmp_path / "images"
    fill(images, ["a/0.png", "b/0.png"])
    fill(tmp_path / "elsewhere", ["0.png"])
    (images / "c").symlink_to(tmp_path / "elsewhere")
    (images / "a" / "self").symlink_to(images / "a")
    (images / "b" / "up").symlink_to("..")
    (images / "knot").symlink_to("knot")
    source = ImageFolder(images, valid=0, test=0)
    found = source.load().train
    # "up" leads to the folder itself, whose images are not found a second time below "b"
    assert source.classes == ("a", "b", "c")
    assert found.tensors["y"].tolist() == [0, 1, 2]
    (images / "c" / "dead.png").symlink_to("nowhere.png")
    with pytest.raises(OSError, match=r"c/dead\.png cannot be read .*No such file.* take it away"):
        source.load()


# ------------------------------------------------------------------------------ what is in a file


def test_sizes_must_agree_unless_resized(tmp_path):
    draw(tmp_path / "a.png", shape=(4, 3))
    draw(tmp_path / "b.png", shape=(4, 3))
    draw(tmp_path / "c.png", shape=(6, 5))
    with pytest.raises(ValueError, match="one size") as caught:
        ImageFolder(tmp_path, valid=0, test=0).load()
    said = str(caught.value)
    assert f"{tmp_path / 'a.png'} is 4 high and 3 wide" in said
    assert f"{tmp_path / 'c.png'} is 6 high and 5 wide" in said
    assert "size=32, say" in said
    assert "\n" not in said
    for size, shape in ((8, (1, 8, 8)), ((2, 6), (1, 2, 6)), ([2, 6], (1, 2, 6))):
        source = ImageFolder(tmp_path, size=size, valid=0, test=0)
        assert source.event_shape == source.load().train.event_shape == shape


def test_channels(tmp_path):
    fill(tmp_path / "grey", ["a.png", "b.png"])
    fill(tmp_path / "coloured", ["a.png", "b.png"], shape=(4, 3, 3))
    fill(tmp_path / "both", ["a.png"])
    fill(tmp_path / "both", ["z.png"], shape=(4, 3, 3))
    none = {"valid": 0, "test": 0}
    for name, channels in (("grey", 1), ("coloured", 3), ("both", 3)):
        assert ImageFolder(tmp_path / name).event_shape == (channels, 4, 3)
        assert ImageFolder(tmp_path / name, **none).load().train.event_shape == (channels, 4, 3)
        for given in (1, 3):
            source = ImageFolder(tmp_path / name, channels=given, **none)
            assert source.event_shape == source.load().train.event_shape == (given, 4, 3)
    x = ImageFolder(tmp_path / "grey", channels=3, **none).load().train.tensors["x"]
    assert torch.equal(x[:, 0], x[:, 1])
    assert torch.equal(x[:, 0], x[:, 2])


def test_a_coloured_image_that_the_look_missed_is_said(tmp_path):
    fill(tmp_path, [f"{at:03}.png" for at in range(250)])
    draw(tmp_path / "003.png", shape=(4, 3, 3))  # 100 of 250 are looked at: 0, 2, 5, 7, ...
    source = ImageFolder(tmp_path)
    assert source.event_shape == (1, 4, 3)
    with pytest.raises(
        ValueError, match=r"000\.png is grey and .*003\.png is coloured: channels=3"
    ):
        source.load()
    assert ImageFolder(tmp_path, channels=1).load().train.event_shape == (1, 4, 3)


def test_unreadable_images_are_named(flat):
    folder, _ = flat
    bad = folder / "07.png"
    content = bad.read_bytes()
    for broken, reason in (
        (content[:50], "truncated"),
        (b"", "cannot identify"),
        (b"no image at all", "cannot identify"),
    ):
        bad.write_bytes(broken)
        with pytest.raises(OSError, match=rf"07\.png cannot be read as an image \(.*{reason}"):
            ImageFolder(folder).load()


def test_too_many_pixels(flat, monkeypatch):
    folder, _ = flat
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    with pytest.raises(OSError, match=r"\.png has more than the 11 pixels that Pillow takes"):
        ImageFolder(folder).load()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_must_not_be_read_is_named(flat):
    folder, _ = flat
    (folder / "03.png").chmod(0)
    with pytest.raises(OSError, match=r"03\.png cannot be read .*Permission denied"):
        ImageFolder(folder).load()


# ------------------------------------------------------------------------------------- bad folders


def test_refused_folders(tmp_path):
    with pytest.raises(ValueError, match="ImageFolder needs the path of a folder"):
        ImageFolder().load()
    (tmp_path / "images").mkdir()
    missing = ImageFolder(tmp_path / "imags")
    for ask in (missing.load, lambda: missing.event_shape, lambda: missing.suggestion):
        with pytest.raises(FileNotFoundError, match=r"no folder .*imags.*did you mean 'images'"):
            ask()
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*a/b/c"):
        ImageFolder(tmp_path / "a" / "b" / "c").load()
    with pytest.raises(FileNotFoundError, match=r"images holds no image: images end in \.bmp, "):
        ImageFolder(tmp_path / "images").load()
    (tmp_path / "images" / "a.heic").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"holds no image, but 'a\.heic', say: images end"):
        ImageFolder(tmp_path / "images").load()
    draw(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"a\.png is a file and no folder"):
        ImageFolder(tmp_path / "a.png").load()


def test_one_image(tmp_path):
    draw(tmp_path / "a.png")
    with pytest.raises(ValueError, match="1 data cannot give 1 for validation and 1 for testing"):
        ImageFolder(tmp_path).load()
    assert len(ImageFolder(tmp_path, valid=0, test=0).load().train) == 1


def test_refused_splits(tmp_path):
    fill(tmp_path, ["train/a/0.png", "train/b/0.png", "test/bb/0.png"])
    with pytest.raises(ValueError, match=r"test has the class 'bb', which .*train has not: its c"):
        ImageFolder(tmp_path).load()
    draw(tmp_path / "extra" / "0.png")
    with pytest.raises(ValueError, match=r"has the splits test, train and beside them extra/0\.p"):
        ImageFolder(tmp_path).load()
    fill(tmp_path / "two", ["train/0.png", "val/0.png", "valid/0.png"])
    with pytest.raises(ValueError, match="two folders for one split: train, val, valid; keep one"):
        ImageFolder(tmp_path / "two").load()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, r"expects size to be a positive integer, .* \[height, width\]; got 0"),
        ({"size": 2.5}, "got 2.5"),
        ({"size": True}, "got True"),
        ({"size": (3,)}, r"got \(3,\)"),
        ({"size": (3, -1)}, r"got \(3, -1\)"),
        ({"size": "32"}, "got '32'"),
        ({"channels": 2}, "expects channels to be 1 for grey or 3 for coloured images; got 2"),
        ({"channels": True}, "got True"),
        ({"binarize": "dynamics"}, "got 'dynamics'; did you mean 'dynamic'?"),
        ({"valid": 1.5}, "expects valid to be a count of data or a share"),
        ({"test": -1}, "expects test to be a count"),
        ({"seed": -1}, "expects seed to be an integer"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"workers": 1.0}, "workers must be an integer"),
    ],
)
def test_refused_options(options, said):
    with pytest.raises((TypeError, ValueError), match=said):
        ImageFolder("images", **options)


def test_the_call_is_remembered():
    source = ImageFolder("images", size=(32, 48), binarize="fixed")
    assert repr(source) == "ImageFolder('images', size=(32, 48), binarize='fixed')"
    assert [ImageFolder(path).short_name for path in ("a/My Images (2)/", "b/..", "/")] == [
        "my-images-2",
        Path.cwd().name.lower(),
        "images",
    ]


# --------------------------------------------------------------------------- likelihoods and levels


def test_levels_suggest_a_mixture(flat):
    source = ImageFolder(flat[0])
    assert source.total_count == 255
    assert source.suggestion.likelihood == "DiscretizedLogisticMixture"
    assert source.suggestion.arguments == {"total_count": 255}
    assert source.suggestion.reason.startswith("levels 0..255 of a pixel vary")
    assert whole(source.load().train)["x"].max() > 200


def test_black_and_white_images(tmp_path):
    """They stay levels, which is said; binarised they are exactly black and white."""
    pixels = fill(tmp_path, [f"{at}.png" for at in range(9)], levels=2)
    source = ImageFolder(tmp_path, valid=0, test=0)
    assert source.suggestion.likelihood == "DiscretizedLogisticMixture"
    assert "the 9 images looked at are black and white" in source.suggestion.reason
    assert "binarize='fixed' and Bernoulli" in source.suggestion.reason
    assert source.load().train.tensors["x"].unique().tolist() == [0, 255]
    for how in ("fixed", "dynamic"):
        binary = ImageFolder(tmp_path, valid=0, test=0, binarize=how)
        assert binary.suggestion.likelihood == "Bernoulli"
        assert binary.total_count is None
        assert torch.equal(255 * whole(binary.load().train)["x"], pixels.float())


def test_binarised_once_or_anew(flat):
    folder, pixels = flat
    train, valid, test = ImageFolder(folder, binarize="dynamic", valid=4, test=4).load()
    for data, still in ((train, False), (valid, True), (test, True)):
        one, two = whole(data)["x"], whole(data)["x"]
        assert torch.equal(one, two) is still
        assert set(one.unique().tolist()) == {0.0, 1.0}
        assert ("anew at each access" in data.description) is not still
    seen = {}
    for seed in (0, 1):
        source = ImageFolder(folder, binarize="fixed", valid=4, test=4, seed=seed)
        parts = [part.tensors["x"] for part in source.load()]
        rows = torch.cat(list(split_rows(20, valid=4, test=4, seed=seed)))
        seen[seed] = torch.empty_like(pixels)
        seen[seed][rows] = torch.cat(parts)
    assert torch.equal(seen[0], seen[1])  # an image looks the same in whatever split it is
    assert len({tuple(image.flatten().tolist()) for image in seen[0]}) > 15
    rows = split_rows(20, valid=4, test=4, seed=0)
    assert torch.equal(valid.tensors["x"], seen[0][rows.valid])


def test_fixed_draws_have_the_right_mean(tmp_path):
    """Within 5 standard errors of level / 255: a false alarm in 2 million."""
    for at in range(40):
        path = tmp_path / f"{at:02}.png"
        Image.new("L", (50, 50), 51).save(path)
    drawn = ImageFolder(tmp_path, binarize="fixed", valid=0, test=0).load().train.tensors["x"]
    share = drawn.double().mean().item()
    assert abs(share - 0.2) < 5 * (0.2 * 0.8 / drawn.numel()) ** 0.5
    assert not torch.equal(drawn[0], drawn[1])


# ---------------------------------------------------------------------------------- memory and disk


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("binarize", ["none", "fixed"])
def test_from_the_disk_it_is_the_same(tmp_path, monkeypatch, binarize, workers):
    fill(tmp_path, [f"{name}/{at}.png" for name in "ab" for at in range(10)])
    source = ImageFolder(tmp_path, binarize=binarize, workers=workers)
    held = source.load()
    monkeypatch.setattr(pictures, "MEMORY", 20 * 12 - 1)
    streamed = source.load()
    for one, other in zip(held, streamed, strict=True):
        assert isinstance(one, TensorData)
        assert isinstance(other, DatasetData)
        assert other.workers == workers
        assert other.description == f"{one.description}, read from the disk"
        assert other.event_shape == one.event_shape
        assert other.keys == one.keys
        generators = [torch.Generator().manual_seed(1) for _ in range(2)]
        pairs = zip(
            one.batches(batch_size=5, generator=generators[0]),
            other.batches(batch_size=5, generator=generators[1]),
            strict=True,
        )
        for left, right in pairs:
            assert left.keys() == right.keys()
            assert all(torch.equal(left[key], right[key]) for key in left)


def test_dynamic_binarisation_from_the_disk(flat, monkeypatch):
    monkeypatch.setattr(pictures, "MEMORY", 0)
    train, valid, _ = ImageFolder(flat[0], binarize="dynamic").load()
    assert not torch.equal(whole(train)["x"], whole(train)["x"])
    assert torch.equal(whole(valid)["x"], whole(valid)["x"])
    assert set(whole(train)["x"].unique().tolist()) == {0.0, 1.0}


def test_from_the_disk_wrong_images_are_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MEMORY", 0)
    fill(tmp_path, [f"{at:03}.png" for at in range(250)])
    draw(tmp_path / "003.png", shape=(4, 3, 3))
    with pytest.raises(ValueError, match=r"003\.png is coloured"):
        ImageFolder(tmp_path).load()
    draw(tmp_path / "003.png", shape=(5, 3))
    with pytest.raises(ValueError, match=r"003\.png is 5 high and 3 wide"):
        ImageFolder(tmp_path).load()
    (tmp_path / "003.png").write_bytes(b"")
    with pytest.raises(OSError, match=r"003\.png cannot be read"):
        ImageFolder(tmp_path).load()


@pytest.mark.parametrize("workers", [0, 1])
def test_from_the_disk_a_broken_image_is_named_in_a_line(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(pictures, "MEMORY", 0)
    fill(tmp_path, [f"{at}.png" for at in range(9)])
    data = ImageFolder(tmp_path, valid=0, test=0, workers=workers).load().train
    bad = tmp_path / "7.png"
    bad.write_bytes(bad.read_bytes()[:50])
    with pytest.raises(OSError, match=r"^.*7\.png cannot be read as an image \(.*\): mend") as it:
        list(data.batches(batch_size=3))
    assert "\n" not in str(it.value)


def test_in_memory_worker_processes_name_a_broken_image_too(flat):
    folder, _ = flat
    (folder / "04.png").write_bytes(b"")
    with pytest.raises(OSError, match=r"^.*04\.png cannot be read as an image \(.*\): mend") as it:
        ImageFolder(folder, workers=1).load()
    assert "\n" not in str(it.value)


def test_few_files_are_opened_before_they_are_read(tmp_path, monkeypatch):
    fill(tmp_path / "coloured", [f"{at:03}.png" for at in range(300)], shape=(4, 3, 3))
    fill(tmp_path / "grey", [f"{at:03}.png" for at in range(300)])
    opened = []
    true = image_folder.open_file
    monkeypatch.setattr(image_folder, "open_file", lambda path: opened.append(path) or true(path))
    for name, most in (("coloured", 2), ("grey", 101)):
        source = ImageFolder(tmp_path / name)
        assert source.event_shape[1:] == (4, 3)
        assert len(opened) <= most
        assert source.total_count == 255
        assert source.suggestion.likelihood == "DiscretizedLogisticMixture"
        assert len(opened) <= 2 * most + 1
        opened.clear()
        source.load()
        assert len(opened) <= 300 + most
        opened.clear()


def test_a_folder_that_changed_is_looked_at_again(tmp_path):
    fill(tmp_path, ["a.png", "b.png"])
    source = ImageFolder(tmp_path, valid=0, test=0)
    assert source.event_shape == (1, 4, 3)
    draw(tmp_path / "a.png", shape=(5, 3))
    (tmp_path / "b.png").unlink()
    assert source.event_shape == (1, 5, 3)
    draw(tmp_path / "c" / "c.png", 9, shape=(5, 3))
    assert len(source.load().train) == 2
    (tmp_path / "a.png").unlink()
    assert source.classes == ("c",)


def test_random_states_are_left_alone(flat, monkeypatch):
    state, others = torch.get_rng_state(), random.getstate()
    ImageFolder(flat[0], binarize="dynamic").load()
    monkeypatch.setattr(pictures, "MEMORY", 0)
    ImageFolder(flat[0], binarize="dynamic").load()
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == others


@pytest.mark.parametrize("memory", [0, 2**30])
def test_a_model_is_trained_on_it(flat, monkeypatch, memory):
    monkeypatch.setattr(pictures, "MEMORY", memory)
    source = ImageFolder(flat[0])
    vae = pyrovae.VAE(
        prior=StandardNormal(2),
        likelihood=Binomial(source.event_shape, total_count=source.total_count),
        posterior=MeanFieldNormal(),
        encoder=MLP((4,)),
        decoder=MLP((4,)),
    )
    history = pyrovae.fit(vae, source, epochs=2, batch_size=8, seed=0, progress=False)
    assert len(history) == 2


def test_thousands_of_names_are_sorted_and_no_file_is_opened(tmp_path, monkeypatch):
    for at in range(3000):  # empty files: to open one would fail
        (tmp_path / f"{(at * 7919) % 3000:06}.png").touch()
    found = listings(tmp_path)["train"].files
    assert found == [f"{at:06}.png" for at in range(3000)]
