"""Saving and loading: the same model again, and a clear refusal of everything else."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import pyrovae
from pyrovae.config import dump, parse
from pyrovae.likelihoods import Bernoulli, Normal
from pyrovae.models import VAE
from pyrovae.networks import MLP, Conv, GatedMLP, Network
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal
from pyrovae.priors import GaussianMixture, StandardNormal, VampPrior
from pyrovae.saving import CONFIG, FORMAT, WEIGHTS, load, save
from pyrovae.training import fit


class Normalised(Network):
    """Has running statistics, and two layers that share one weight."""

    def __call__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        second.weight = first.weight
        norm = nn.BatchNorm1d(4)
        return nn.Sequential(norm, first, second, MLP(())((4,), out_shape))


class Noted(Network):
    """Keeps a text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        return MLP(())(in_shape, out_shape)


def made(**parts: Any) -> VAE:
    given = {
        "prior": StandardNormal(2),
        "likelihood": Bernoulli((4,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
    }
    return VAE(**(given | parts))


MODELS = [
    lambda: made(),
    lambda: made(prior=VampPrior(2, components=3), encoder=GatedMLP((3,))),
    lambda: made(prior=GaussianMixture(3), posterior=FullRankNormal()),
    lambda: made(likelihood=Normal((4,), scale="element")),
    lambda: made(likelihood=Normal((1, 5, 5)), encoder=Conv((2,)), decoder=Conv((2,))),
]


@pytest.mark.parametrize("make", MODELS)
def test_a_loaded_model_is_the_same(make: Any, tmp_path: Path) -> None:
    model = make()
    x = torch.rand(7, *model.event_shape).round()
    model.prepare({"x": x})
    save(model, tmp_path / "deep" / "model")
    assert sorted(os.listdir(tmp_path / "deep")) == ["model"]
    assert sorted(os.listdir(tmp_path / "deep" / "model")) == [CONFIG, WEIGHTS]
    before = torch.random.get_rng_state()
    again = load(tmp_path / "deep" / "model")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert repr(again) == repr(model)
    assert again.training
    assert bool(again.prepared)
    state = again.state_dict()
    assert state.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(state[name], value), name
        assert state[name].data_ptr() != value.data_ptr() or value.numel() == 0
    assert torch.equal(again.encode(x).mean, model.encode(x).mean)


def test_shared_tensors_and_statistics_survive(tmp_path: Path) -> None:
    model = made(encoder=Normalised())
    model.encode(torch.randn(20, 4))
    save(model, tmp_path)
    again = load(tmp_path, allow=(__name__,))
    layers = again.encoder_network.network
    assert layers[1].weight is layers[2].weight
    assert torch.equal(layers[0].running_mean, model.encoder_network.network[0].running_mean)
    assert layers[0].running_mean.abs().sum() > 0


def test_double_precision_survives_any_default(tmp_path: Path) -> None:
    model = made().double()
    save(model, tmp_path / "double")
    again = load(tmp_path / "double")
    assert {value.dtype for value in again.parameters()} == {torch.float64}
    x = torch.rand(3, 4, dtype=torch.float64)
    assert torch.equal(again.encode(x).mean, model.encode(x).mean)


def test_saving_again_replaces_the_files(tmp_path: Path) -> None:
    save(made(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    other = made(prior=StandardNormal(3))
    save(other, tmp_path)
    assert load(tmp_path).prior.dim == 3
    assert sorted(os.listdir(tmp_path)) == [CONFIG, "notes.txt", WEIGHTS]


def test_a_failed_save_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(made(), tmp_path / "model")
    before = (tmp_path / "model" / WEIGHTS).read_bytes()

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("pyrovae.saving.write_tensors", full)
    with pytest.raises(OSError, match="no space"):
        save(made(), tmp_path / "model")
    assert (tmp_path / "model" / WEIGHTS).read_bytes() == before
    assert os.listdir(tmp_path) == ["model"]


def test_another_model_takes_the_place_of_a_folder_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted between the two moves, the earlier model is put back."""
    save(made(), tmp_path / "model")
    save(made(prior=StandardNormal(3)), tmp_path / "model")
    assert load(tmp_path / "model").prior.dim == 3
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.name == "model" and (self / WEIGHTS).exists() and not target.exists():
            monkeypatch.setattr(Path, "replace", replace)
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(made(), tmp_path / "model")
    assert load(tmp_path / "model").prior.dim == 3
    assert os.listdir(tmp_path) == ["model"]


def frozen_in(model: VAE) -> set[str]:
    return {name for name, value in model.named_parameters() if not value.requires_grad}


def test_what_is_frozen_stays_frozen(tmp_path: Path) -> None:
    model = made(prior=GaussianMixture(2, components=3))
    model.encoder_network.requires_grad_(False)
    model.prior.logits.requires_grad_(False)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert frozen_in(again) == frozen_in(model) == {
        "prior.logits",
        *(f"encoder_network.network.{at}.{name}" for at in (1, 3) for name in ("weight", "bias")),
    }  # fmt: skip
    before = {name: value.clone() for name, value in again.named_parameters()}
    fit(again, torch.rand(20, 4).round(), epochs=1, batch_size=10, seed=0, progress=False)
    for name, value in again.named_parameters():
        assert torch.equal(value, before[name]) == (name in frozen_in(model)), name
    model.requires_grad_(True)
    save(model, tmp_path / "model")
    assert not frozen_in(load(tmp_path / "model"))


class Still(StandardNormal):
    """Has a parameter that its constructor freezes."""

    def __init__(self, dim: int = 2) -> None:
        super().__init__(dim)
        self.shift = nn.Parameter(torch.zeros(dim), requires_grad=False)


def test_what_was_thawed_stays_so_and_earlier_files_are_read(tmp_path: Path) -> None:
    save(made(prior=Still()), tmp_path / "frozen")
    assert frozen_in(load(tmp_path / "frozen", allow=(__name__,))) == {"prior.shift"}
    model = made(prior=Still())
    model.prior.requires_grad_(True)
    save(model, tmp_path / "thawed")
    assert not frozen_in(load(tmp_path / "thawed", allow=(__name__,)))
    file = tmp_path / "thawed" / WEIGHTS
    save_file(load_file(file), file, metadata={"format": "pt"})  # without the note
    assert frozen_in(load(tmp_path / "thawed", allow=(__name__,))) == {"prior.shift"}


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_model_that_cannot_be_trained_is_not_saved(tmp_path: Path, kind: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"can be neither trained nor evaluated.*model\.float\(\)"):
        save(made().to(kind), tmp_path / "model")
    assert not os.listdir(tmp_path)


def test_what_no_configuration_can_hold_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 3000 values; keep tables in a file"):
        save(made(encoder=MLP((1,) * 3000)), tmp_path / "model")
    with pytest.raises(ValueError, match=r"model\.encoder\.text: a text of 20000 characters"):
        save(made(encoder=Noted("x" * 20_000)), tmp_path / "model")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_neither_saved_nor_loaded(
    tmp_path: Path, value: float
) -> None:
    model = made()
    save(model, tmp_path / "good")
    with torch.no_grad():
        next(model.encoder_network.parameters())[0, 1] = value
    with pytest.raises(ValueError, match="the model holds no usable weights: 'encoder_network"):
        save(model, tmp_path / "model")
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file(tensors, tmp_path / "good" / WEIGHTS)
    with pytest.raises(ValueError, match="holds no usable weights"):
        load(tmp_path / "good")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_link_to_a_file_elsewhere_is_not_followed(tmp_path: Path, name: str) -> None:
    save(made(), tmp_path / "model")
    (tmp_path / "model" / name).rename(tmp_path / "elsewhere")
    (tmp_path / "model" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is a link that leads elsewhere"):
        load(tmp_path / "model")


def test_a_link_to_a_model_folder_is_followed_and_stays_one(tmp_path: Path) -> None:
    save(made(), tmp_path / "model")
    (tmp_path / "link").symlink_to(tmp_path / "model")
    save(made(prior=StandardNormal(3)), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "link").prior.dim == load(tmp_path / "model").prior.dim == 3


def test_what_cannot_be_named_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    model = made(encoder=lambda i, o: nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"model\.encoder: a lambda"):
        save(model, tmp_path / "model")
    assert not os.listdir(tmp_path)
    with pytest.raises(TypeError, match="expects a model"):
        save(nn.Linear(2, 2), tmp_path / "model")  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="is a file"):
        save(made(), tmp_path / "file")


def test_the_top_level_has_both(tmp_path: Path) -> None:
    pyrovae.save(made(), tmp_path)
    assert isinstance(pyrovae.load(tmp_path), VAE)
    config = parse((tmp_path / CONFIG).read_text())
    assert config["format"] == FORMAT
    assert config["pyrovae"] == pyrovae.__version__


# ---------------------------------------------------------------------------------- what is refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(made(), tmp_path / "model")
    return tmp_path / "model"


def edit(folder: Path, **entries: Any) -> None:
    config = parse((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(dump({**config, **entries}))


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, ""])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    if not name:
        with pytest.raises(OSError, match="no model folder"):
            load(folder / "other")
        return
    (folder / name).unlink()
    with pytest.raises(OSError, match=name):
        load(folder)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"format": FORMAT + 1}, "install a later pyrovae"),
        ({"format": "1"}, "format is '1'"),
        ({"format": True}, "format is True"),
        ({"format": 0}, "format is 0"),
        ({"model": None}, "expected a Model"),
        ({"model": []}, "expected a Model"),
        ({"model": {"class_path": "pyrovae.priors.StandardNormal"}}, "not a Model"),
        ({"model": {"class_path": "os.system", "init_args": {"command": "true"}}}, "outside"),
    ],
)
def test_a_bad_configuration_is_refused(folder: Path, entries: dict[str, Any], said: str) -> None:
    edit(folder, **entries)
    with pytest.raises((ValueError, TypeError), match=said):
        load(folder)


def test_a_configuration_imports_nothing(folder: Path, tmp_path: Path) -> None:
    text = (folder / CONFIG).read_text()
    (folder / CONFIG).write_text(text.replace("pyrovae.networks.MLP", "antigravity.MLP"))
    with pytest.raises(ValueError, match=r"model\.encoder: 'antigravity.MLP' lies outside"):
        load(folder)
    assert "antigravity" not in sys.modules
    (folder / CONFIG).write_text("- a list")
    with pytest.raises(ValueError, match="does not describe a model"):
        load(folder)
    (folder / CONFIG).write_text("x: !!python/object/apply:os.system ['true']")
    with pytest.raises(ValueError, match="cannot be read"):
        load(folder)


def test_each_wrong_tensor_is_named_with_both_shapes(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    moved = state.pop("encoder_network.network.1.weight")
    state["stranger"] = moved
    state["decoder_network.offset"] = torch.zeros(9)
    save_file(state, folder / WEIGHTS)
    with pytest.raises(ValueError, match="does not hold the state of the model") as caught:
        load(folder)
    for said in (
        "'encoder_network.network.1.weight' [5, 4] is missing",
        "'stranger' [5, 4] is not the model's",
        "'decoder_network.offset' is [9], expected [4]",
    ):
        assert said in str(caught.value)


def test_a_wrong_kind_of_number_is_named(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    save_file({**state, "prepared": torch.tensor(1)}, folder / WEIGHTS)
    with pytest.raises(ValueError, match=r"'prepared' is torch.int64, expected torch.bool"):
        load(folder)


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_damaged_weights_are_refused(folder: Path, keep: int) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:keep])
    with pytest.raises(ValueError, match="damaged"):
        load(folder)


def test_a_pickle_is_refused(folder: Path) -> None:
    torch.save({"x": torch.zeros(1)}, folder / WEIGHTS)
    with pytest.raises(ValueError, match="damaged"):
        load(folder)
