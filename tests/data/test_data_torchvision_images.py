"""TorchvisionImages: data sets of torchvision by name, from files made here; no download."""

import bz2
import socket

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from pyrovae.data import TensorData, TorchvisionImages, pictures, torchvision
from pyrovae.data.datasets import DatasetData
from pyrovae.data.source import split_rows
from pyrovae.data.torchvision_sets import open_set, set_names

SHAPES = {"size": 20, "image_size": (3, 6, 5)}  # of FakeData


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(socket, "create_connection", unreachable)


def grey(count, seed):
    own = np.random.default_rng(seed)
    return own.integers(0, 256, (count, 28, 28), dtype=np.uint8)


def write_idx(path, array, kind=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, kind, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(head + array.astype(array.dtype.newbyteorder(">")).tobytes())


def picture(path, seed, shape=(6, 5, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    own = np.random.default_rng(seed)
    pixels = own.integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=100)
    return pixels


def labels_of(data):
    return data.tensors["y"].tolist()


# ---------------------------------------------------------------------- the constructors there are


def test_a_class_with_a_flag_for_training(tmp_path):
    raw = tmp_path / "KMNIST" / "raw"
    for part, count in (("train", 30), ("t10k", 8)):
        write_idx(raw / f"{part}-images-idx3-ubyte", grey(count, count))
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10)
    source = TorchvisionImages("KMNIST", root=str(tmp_path), valid=5)
    assert source.event_shape == (1, 28, 28)
    assert source.suggestion.likelihood == "DiscretizedLogisticMixture"
    assert source.total_count == 255
    assert source.classes[:2] == ("o", "ki")
    train, valid, test = source.load()
    assert [len(train), len(valid), len(test)] == [25, 5, 8]
    rows = split_rows(30, valid=5, test=0, seed=0)
    pixels = torch.from_numpy(grey(30, 30))[:, None]
    assert train.tensors["x"].dtype == torch.uint8
    assert torch.equal(train.tensors["x"], pixels[rows.train])
    assert torch.equal(valid.tensors["x"], pixels[rows.valid])
    assert labels_of(valid) == (rows.valid % 10).tolist()
    assert torch.equal(test.tensors["x"], torch.from_numpy(grey(8, 8))[:, None])
    assert test.description == "KMNIST, levels 0..255: test"
    binary = TorchvisionImages("KMNIST", root=str(tmp_path), binarize="dynamic")
    assert binary.suggestion.likelihood == "Bernoulli"
    drawn = next(binary.load().train.batches(batch_size=27))["x"]
    assert set(drawn.unique().tolist()) == {0.0, 1.0}


def test_a_class_whose_split_is_something_else(tmp_path):
    """EMNIST has a `split` that is no split, and passes `train` on to its base."""
    for part, count in (("train", 12), ("test", 4)):
        start = tmp_path / "EMNIST" / "raw" / f"emnist-letters-{part}"
        write_idx(start.with_name(start.name + "-images-idx3-ubyte"), grey(count, count))
        labels = np.arange(1, count + 1, dtype=np.uint8)
        write_idx(start.with_name(start.name + "-labels-idx1-ubyte"), labels)
    given = {"root": str(tmp_path), "valid": 2}
    train, valid, test = TorchvisionImages("EMNIST", options={"split": "letters"}, **given).load()
    assert [len(train), len(valid), len(test)] == [10, 2, 4]
    assert labels_of(test) == [1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"EMNIST of torchvision needs its 'split', one of bycla"):
        TorchvisionImages("EMNIST", **given).load()
    with pytest.raises(ValueError, match=r"Unknown value 'leters' .* Valid values are"):
        TorchvisionImages("EMNIST", options={"split": "leters"}, **given).load()


def test_qmnist_calls_its_splits_what(tmp_path):
    raw = tmp_path / "QMNIST" / "raw"
    for part, count in (("train", 12), ("test", 4)):
        write_idx(raw / f"qmnist-{part}-images-idx3-ubyte", grey(count, count))
        labels = np.tile(np.arange(count, dtype=np.int32)[:, None], (1, 8))
        write_idx(raw / f"qmnist-{part}-labels-idx2-int", labels, kind=12)
    source = TorchvisionImages("QMNIST", root=str(tmp_path), valid=2)
    assert [len(part) for part in source.load()] == [10, 2, 4]
    assert labels_of(source.load().test) == [0, 1, 2, 3]
    alone = TorchvisionImages("QMNIST", root=str(tmp_path), options={"what": "test"}, valid=1)
    assert [len(part) for part in alone.load()] == [2, 1, 1]


def test_a_class_with_three_splits_by_name(tmp_path):
    base = tmp_path / "dtd" / "dtd"
    pixels = {}
    for part, names in (("train", "abc"), ("val", "ab"), ("test", "b")):
        lines = []
        for at, name in enumerate(names):
            pixels[part, at] = picture(base / "images" / name / f"{part}{at}.png", len(pixels))
            lines.append(f"{name}/{part}{at}.png\n")
        (base / "labels").mkdir(exist_ok=True)
        (base / "labels" / f"{part}1.txt").write_text("".join(lines))
    source = TorchvisionImages("DTD", root=str(tmp_path))
    train, valid, test = source.load()
    assert [len(train), len(valid), len(test)] == [3, 2, 1]
    assert source.event_shape == (3, 6, 5)
    assert source.classes == ("a", "b", "c")
    assert (valid.tensors["x"][1].numpy() == pixels["val", 1].transpose(2, 0, 1)).all()
    assert labels_of(train) == [0, 1, 2]
    assert [
        part and len(part)
        for part in TorchvisionImages("DTD", root=str(tmp_path), valid=0, test=0).load()
    ] == [3, None, None]
    chosen = TorchvisionImages("DTD", root=str(tmp_path), options={"split": "train"}, valid=1)
    assert [len(part) for part in chosen.load()] == [1, 1, 1]


def test_a_class_without_a_test_split_and_with_several_names_for_a_class(tmp_path):
    for part, count in (("train", 10), ("val", 3)):
        for at in range(count):
            path = tmp_path / "imagenette2" / part / "n01440764" / f"{at}.jpeg"
            picture(path, at)
    source = TorchvisionImages("Imagenette", root=str(tmp_path))
    assert [len(part) for part in source.load()] == [9, 3, 1]
    assert source.classes == ("tench",)


def test_a_class_without_splits(tmp_path):
    for at in range(10):
        picture(tmp_path / "eurosat" / "2750" / "ab"[at % 2] / f"{at}.jpg", at)
    source = TorchvisionImages("EuroSAT", root=str(tmp_path))
    assert [len(part) for part in source.load()] == [8, 1, 1]
    assert source.classes == ("a", "b")


def test_targets_that_are_no_classes_are_left_out_and_said(tmp_path, monkeypatch):
    """CelebA's targets are forty attributes."""
    known = torchvision().datasets.CelebA
    monkeypatch.setattr(known, "_check_integrity", lambda self: True)
    base = tmp_path / "celeba"
    for at in range(8):
        picture(base / "img_align_celeba" / f"{at}.jpg", at)
    lines = {
        "list_eval_partition": [f"{at}.jpg {min(at // 3, 2)}" for at in range(8)],
        "identity_CelebA": [f"{at}.jpg {at}" for at in range(8)],
    }
    for name in ("list_bbox_celeba", "list_landmarks_align_celeba", "list_attr_celeba"):
        lines[name] = ["8", "One Two", *(f"{at}.jpg 1 -1" for at in range(8))]
    for name, content in lines.items():
        (base / f"{name}.txt").write_text("\n".join(content))
    source = TorchvisionImages("CelebA", root=str(tmp_path), size=4)
    train, valid, test = source.load()
    assert [len(train), len(valid), len(test)] == [3, 3, 2]
    assert train.keys == ("x", "index")
    assert train.event_shape == (3, 4, 4)
    assert "CelebA, its targets left out, which are no classes, levels" in train.description
    assert source.classes == ()
    named = TorchvisionImages("CelebA", root=str(tmp_path), options={"target_type": "identity"})
    assert labels_of(named.load().train) == [0, 1, 2]


def test_usps(tmp_path):
    for name, count in (("usps.bz2", 10), ("usps.t.bz2", 3)):
        rows = [
            f"{at % 10 + 1} " + " ".join(f"{i + 1}:{at / 4 - 1}" for i in range(256))
            for at in range(count)
        ]
        (tmp_path / name).write_bytes(bz2.compress("\n".join(rows).encode()))
    train, valid, test = TorchvisionImages("USPS", root=str(tmp_path), valid=1).load()
    assert [len(train), len(valid), len(test)] == [9, 1, 3]
    assert test.tensors["x"][:, 0, 0, 0].tolist() == [0, 31, 63]
    assert train.event_shape == (1, 16, 16)


# ---------------------------------------------------------------------------------- FakeData


def test_a_class_without_files():
    source = TorchvisionImages("FakeData", options=SHAPES, seed=4)
    assert source.event_shape == (3, 6, 5)
    splits = source.load()
    rows = split_rows(20, valid=0.1, test=0.1, seed=4)
    true = torchvision().datasets.FakeData(**SHAPES)
    for part, chosen in zip(splits, rows, strict=True):
        for at, row in enumerate(chosen.tolist()):
            image, label = true[row]
            assert (part.tensors["x"][at].permute(1, 2, 0).numpy() == np.asarray(image)).all()
            assert part.tensors["y"][at] == label
    assert source.short_name == "fakedata"
    assert repr(TorchvisionImages("SVHN", size=8)) == "TorchvisionImages('SVHN', size=8)"


def test_size_and_channels():
    source = TorchvisionImages("FakeData", options=SHAPES, size=(3, 4), channels=1)
    assert source.event_shape == source.load().train.event_shape == (1, 3, 4)
    unread = TorchvisionImages("CIFAR10", root="/nonexistent", size=16, channels=3)
    assert unread.event_shape == (3, 16, 16)


@pytest.mark.parametrize("workers", [0, 1])
def test_from_the_disk_it_is_the_same(monkeypatch, workers):
    source = TorchvisionImages("FakeData", options=SHAPES, workers=workers)
    held = source.load()
    monkeypatch.setattr(pictures, "MEMORY", 0)
    for one, other in zip(held, source.load(), strict=True):
        assert isinstance(one, TensorData)
        assert isinstance(other, DatasetData)
        assert "read from the disk" in other.description
        for left, right in zip(one.batches(batch_size=7), other.batches(batch_size=7), strict=True):
            assert left.keys() == right.keys()
            assert all(torch.equal(left[key], right[key]) for key in left)


def test_the_set_is_opened_once_for_all_questions(monkeypatch):
    made = []
    known = torchvision().datasets.FakeData
    true = known.__init__

    def counted(self, size=20, image_size=(3, 6, 5)):
        made.append(size)
        true(self, size, image_size)

    monkeypatch.setattr(known, "__init__", counted)
    source = TorchvisionImages("FakeData")
    assert source.event_shape == (3, 6, 5)
    assert source.suggestion.likelihood == "DiscretizedLogisticMixture"
    source.load()
    assert made == [20]


def test_random_states_are_left_alone():
    state = torch.get_rng_state()
    source = TorchvisionImages("FakeData", options=SHAPES)
    assert source.suggestion.likelihood == "DiscretizedLogisticMixture"
    source.load()
    assert torch.equal(torch.get_rng_state(), state)


# ---------------------------------------------------------------------------------- what is refused


def test_every_set_of_torchvision_is_read_or_refused_in_words(tmp_path, capsys):
    """Without files and without network; nothing is tried that cannot be read afterwards."""
    said = {}
    for name in set_names():
        folder = tmp_path / name
        if name == "FakeData":
            continue
        with pytest.raises((ValueError, OSError, ImportError)) as caught:
            TorchvisionImages(name, root=str(folder)).load()
        text = str(caught.value)
        assert text.startswith(f"{name} ")
        assert "\n" not in text
        said[name] = text
        if "not read here" in text:
            assert not folder.exists()
    assert capsys.readouterr().out == ""
    for name in ("CIFAR10", "SVHN", "STL10", "KMNIST", "USPS", "Omniglot", "Food101"):
        assert f"{name} cannot be read from {tmp_path / name}, nor downloaded: put" in said[name]
        assert "PYROVAE_DATA" in said[name]
        assert "no network here" in said[name]
    for name in ("ImageNet", "FER2013", "Cityscapes"):
        assert "and torchvision does not download it" in said[name]
    for name, reason in (
        ("Kinetics", "videos"),
        ("UCF101", "videos"),
        ("MovingMNIST", "videos"),
        ("CocoDetection", "photographs"),
        ("VOCDetection", "photographs"),
        ("Sintel", "depth, flow"),
        ("CarlaStereo", "depth, flow"),
        ("LFWPairs", "pairs of images"),
        ("ImageFolder", "ImageFolder of pyrovae"),
    ):
        assert f"{name} of torchvision is not read here: " in said[name]
        assert reason in said[name]


def test_refused_names_and_options():
    with pytest.raises(ValueError, match="TorchvisionImages needs a name"):
        TorchvisionImages().load()
    with pytest.raises(ValueError, match="no data set 'CIFAR11'; did you mean 'CIFAR10'"):
        TorchvisionImages("CIFAR11").load()
    with pytest.raises(ValueError, match="no data set 'wrap_dataset_for_transforms_v2'"):
        TorchvisionImages("wrap_dataset_for_transforms_v2").load()
    with pytest.raises(
        ValueError, match=r"options size, image_size, num_classes, random_offset; got 'sise'; did"
    ):
        TorchvisionImages("FakeData", options={"sise": 3}).load()
    for word in ("root", "download", "transform"):
        with pytest.raises(ValueError, match=f"got '{word}'"):
            TorchvisionImages("CIFAR10", options={word: None}).load()
    with pytest.raises(ValueError, match=r"DTD of torchvision cannot be made with .*'one'"):
        TorchvisionImages("DTD", options={"partition": "one"}).load()
    with pytest.raises(OSError, match="image 0 of FakeData cannot be read"):
        TorchvisionImages("FakeData", options={"image_size": "many"}).load()
    with pytest.raises(ValueError, match="FakeData of torchvision has no images"):
        TorchvisionImages("FakeData", options={"size": 0}).load()
    with pytest.raises(ValueError, match="expects channels to be 1"):
        TorchvisionImages("FakeData", channels=4)


def test_unsound_files(tmp_path):
    raw = tmp_path / "KMNIST" / "raw"
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte", grey(5, 0))
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.zeros(5, dtype=np.uint8))
    file = raw / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:99])
    with pytest.raises(OSError, match=r"KMNIST cannot be read from .* in place of unsound ones"):
        TorchvisionImages("KMNIST", root=str(tmp_path)).load()


class Toy(Dataset):
    """A data set as torchvision might add one."""

    items: tuple = ()

    def __len__(self):
        return len(self.items)

    def __getitem__(self, at):
        return self.items[at]


@pytest.fixture
def toy(monkeypatch):
    """Add a data set with the given items to torchvision, and return its source."""

    def added(*items, **options):
        known = torchvision().datasets
        kind = type("Toy", (Toy,), {"items": items})
        monkeypatch.setattr(known, "Toy", kind, raising=False)
        monkeypatch.setattr(known, "__all__", (*known.__all__, "Toy"))
        return TorchvisionImages("Toy", **{"valid": 0, "test": 0, **options})

    return added


SMALL, LARGE = Image.new("L", (3, 2), 7), Image.new("L", (4, 4), 9)


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ((torch.zeros(3, 2), 1), "Tensor, int"),
        ((SMALL, LARGE, 1), "Image, Image, int"),
        ((SMALL,), "Image"),
        ({"image": SMALL}, "dict"),
        ((), "nothing"),
        ("text", "str"),
    ],
)
def test_items_that_are_no_images(toy, item, shown):
    with pytest.raises(ValueError, match=rf"Toy of torchvision is not read .*, but {shown}$"):
        toy(item).load()


def test_items_without_targets(toy):
    train = toy(SMALL, SMALL).load().train
    assert train.keys == ("x", "index")
    assert train.tensors["x"].unique().tolist() == [7]
    assert train.description == "Toy, levels 0..255: training"


@pytest.mark.parametrize(
    "label",
    [1, True, np.int64(1), np.uint8(1), torch.tensor(1), torch.tensor(1, dtype=torch.int32)],
)
def test_targets_that_are_labels(toy, label):
    assert labels_of(toy((SMALL, label)).load().train) == [1]


@pytest.mark.parametrize(
    "target", [1.0, "cat", [1, 2], (0,), {"a": 1}, torch.zeros(3), torch.tensor(0.5), SMALL]
)
def test_targets_that_are_none(toy, target):
    train = toy((SMALL, target)).load().train
    assert train.keys == ("x", "index")
    assert "targets left out" in train.description


def test_a_missing_label_is_unlabelled(toy):
    assert labels_of(toy((SMALL, 3), (SMALL, None)).load().train) == [3, -1]


def test_images_of_several_sizes_need_a_size(toy):
    items = [(SMALL, 0), (SMALL, 1), (LARGE, 2)]
    with pytest.raises(
        ValueError,
        match=r"image 0 of Toy is 2 high and 3 wide, image 2 of Toy is 4 high and 4 wide; size=32",
    ):
        toy(*items).load()
    assert toy(*items, size=2).load().train.event_shape == (1, 2, 2)


def test_an_image_that_cannot_be_read_is_named(toy, monkeypatch):
    def broken(self, at):
        if at == 2:
            raise RuntimeError("HDF5 says no")
        return SMALL, 0

    source = toy(SMALL, SMALL, SMALL)
    monkeypatch.setattr(torchvision().datasets.Toy, "__getitem__", broken)
    with pytest.raises(OSError, match=r"image 2 of Toy cannot be read as an image \(HDF5 says no"):
        source.load()


def test_splits_that_are_not_there(toy, monkeypatch):
    def __init__(self, root, split="extra", download=False):  # noqa: N807
        if split not in ("extra", "test"):
            raise ValueError(
                f"Unknown value '{split}' for argument split. Valid values are {{..}}."
            )

    source = toy(SMALL, SMALL)
    monkeypatch.setattr(torchvision().datasets.Toy, "__init__", __init__, raising=False)
    with pytest.raises(
        ValueError, match=r"has no split train or trainval or .*options=\{'split': \.\.\.\}"
    ):
        source.load()
    assert (
        len(TorchvisionImages("Toy", options={"split": "extra"}, valid=0, test=0).load().train) == 2
    )
    assert open_set("Toy", "test", None, {"split": "extra"}) is None
    assert open_set("Toy", "valid", None, {}) is None
    assert len(open_set("Toy", "test", None, {})) == 2
