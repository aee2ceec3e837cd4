"""Hidden: a share of the entries is missing, the same ones every time, and nothing else changes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset

import pyrovae
from pyrovae.__main__ import main
from pyrovae.data import MNIST, Arrays, Digits, Hidden, HiddenData, Table, TensorData, as_data
from pyrovae.data.hidden import uniform


def whole(data: Any, **given: Any) -> dict[str, torch.Tensor]:
    return next(data.batches(batch_size=len(data), **given))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_share_is_hidden_and_the_rest_is_as_it_was(share: float) -> None:
    """Of 25 600 entries; the share is off by more than five standard errors in 1 of 1e6 seeds."""
    source = Digits()
    for hidden, known in zip(Hidden(source, share=share).load(), source.load(), strict=True):
        batch, truth = whole(hidden), whole(known)
        observed = batch["observed"]
        assert torch.equal(batch["x"][observed], truth["x"][observed])
        assert (batch["x"][~observed] == 0).all()
        assert torch.equal(batch["y"], truth["y"])
        assert hidden.keys == ("x", "y", "observed", "index")
        assert hidden.event_shape == known.event_shape
        error = (share * (1 - share) / observed.numel()) ** 0.5
        assert abs((~observed).double().mean() - share) <= 5 * error


def test_the_same_entries_are_hidden_however_they_are_read() -> None:
    train, valid, test = Hidden(Digits(), seed=4).load()
    first, again = whole(train), whole(Hidden(Digits(), seed=4).load().train)
    assert torch.equal(first["observed"], again["observed"])
    generator = torch.Generator().manual_seed(0)
    for batch in train.batches(batch_size=100, generator=generator):
        assert torch.equal(batch["observed"], first["observed"][batch["index"]])
    shares = [s.batch for s in train.shares(batch_size=64, part=1, parts=2) if s.batch is not None]
    assert all(torch.equal(b["observed"], first["observed"][b["index"]]) for b in shares)
    other = whole(Hidden(Digits(), seed=5).load().train)["observed"]
    for different in (other, torch.cat([whole(valid)["observed"]] * 6)[: len(first["x"])]):
        rows = min(len(different), len(first["x"]))
        agree = (different[:rows] == first["observed"][:rows]).double().mean()
        assert abs(float(agree) - 0.5) < 0.02
    assert not torch.equal(whole(valid)["observed"], whole(test)["observed"][:200])


def test_the_numbers_are_uniform_and_unrelated() -> None:
    """A million numbers: chi squared over 100 bins, and correlations, within five deviations."""
    numbers = uniform(torch.arange(1000), 1000, seed=0)
    assert float(numbers.min()) >= 0.0
    assert float(numbers.max()) < 1.0
    counts = torch.histc(numbers, bins=100, min=0.0, max=1.0)
    chi = float(((counts - 1e4) ** 2 / 1e4).sum())
    assert abs(chi - 99.0) < 5 * (2 * 99.0) ** 0.5
    centred = (numbers - 0.5) * 12**0.5
    for product in (
        centred[1:] * centred[:-1],
        centred[:, 1:] * centred[:, :-1],
        centred * centred.T,
        centred * (uniform(torch.arange(1000), 1000, seed=1) - 0.5) * 12**0.5,
        centred * (uniform(torch.arange(1000), 1000, seed=0, stream=1) - 0.5) * 12**0.5,
    ):
        off = product[~torch.eye(*product.shape).bool()]
        assert abs(float(off.mean())) < 5 * 2**0.5 / len(off) ** 0.5
    largest = uniform(torch.tensor([2**40]), 3, seed=2**63 - 1)
    assert ((largest >= 0) & (largest < 1)).all()


def test_what_was_missing_stays_missing() -> None:
    observed = torch.rand(50, 4) < 0.5
    data = HiddenData(TensorData({"x": torch.ones(50, 4), "observed": observed}), share=0.5, seed=0)
    batch = whole(data)
    assert not (batch["observed"] & ~observed).any()
    assert 0.1 < batch["observed"].double().mean() < 0.4
    assert data.keys == ("x", "observed", "index")


class Stream(IterableDataset[torch.Tensor]):
    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.ones(10, 3))


def test_a_stream_can_be_hidden() -> None:
    data = HiddenData(as_data(Stream()), share=0.5, seed=0)
    assert not data.sized
    batches = list(data.batches(batch_size=4))
    assert [len(batch["x"]) for batch in batches] == [4, 4, 2]
    assert not torch.equal(batches[0]["observed"], batches[1]["observed"])


def test_it_is_its_source_in_all_else() -> None:
    source = Hidden(MNIST(binarize="none"), share=0.2)
    assert source.event_shape == (1, 28, 28)
    assert source.total_count == 255
    assert source.suggestion.likelihood == "DiscretizedLogisticMixture"
    assert source.short_name == "mnist-hidden"
    assert Hidden().event_shape == (1, 8, 8)
    assert repr(source) == "Hidden(MNIST(binarize='none'), share=0.2)"


def test_it_is_a_table_where_its_source_is(tmp_path: Path) -> None:
    """Schema, labels' names and codes are those of the table, also when another one is read."""
    lines = [f"{at / 7},{'ba'[at % 2]},{'pos' if at % 3 else 'neg'}" for at in range(40)]
    (tmp_path / "t.csv").write_text("real,binary,kind\n" + "\n".join(lines) + "\n")
    (tmp_path / "u.csv").write_text("binary,real\nb,1.5\nb,2.5\nb,3.5\n")
    inner = Table(str(tmp_path / "t.csv"), label="kind", valid=0, test=0)
    source = Hidden(inner, share=0.3, seed=2)
    settled = source.settled()
    assert isinstance(settled, Hidden)
    assert repr(settled) == f"Hidden({inner.settled()!r}, share=0.3, seed=2)"
    assert repr(settled.settled()) == repr(settled)
    assert settled.classes == ("neg", "pos")
    assert settled.described() == inner.described() != []
    assert settled.form is not None
    assert settled.form.names == ["real", "binary"]
    other = Table(str(tmp_path / "u.csv"), valid=0, test=0)
    for read in (other.like(settled), Hidden(other, share=0.0).like(inner.settled())):
        assert whole(read.load().train)["x"].tolist() == [[1.5, 1.0], [2.5, 1.0], [3.5, 1.0]]
    assert Hidden().settled().like(settled).form is None
    plain = Hidden(share=0.1)
    assert plain.settled() is plain


@pytest.mark.filterwarnings("ignore:poor importance weights")
def test_a_table_with_more_holes_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{at / 7},{'xyz'[at % 3]}" for at in range(40)]
    Path("t.csv").write_text("real,category\n" + "\n".join(lines) + "\n")
    words = ["--data.source", "t.csv", "--data.share", "0.3", "--epochs", "1", "--samples", "3"]
    words += ["--report", "false", "--compile", "false", "--model.encoder.hidden", "[8]"]
    words += ["--batch_size", "16"]
    assert main(["train", "--data", "Hidden", *words, "--out", "R"]) == 0
    assert main(["sample", "R", "--n", "3"]) == 0
    assert Path("R/samples.csv").read_text().splitlines()[0] == "real,category"
    assert main(["evaluate", "R", "--data", "t.csv", "--samples", "3"]) == 0
    assert main(["train", "--data", "Hidden", "--data.source", "t.cs", "--out", "S"]) == 2


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan"), "half", True])
def test_a_share_that_is_none(share: Any) -> None:
    with pytest.raises(ValueError, match=r"Hidden expects share to be a number in \[0, 1\)"):
        Hidden(share=share)


def test_what_is_no_source_or_no_seed() -> None:
    with pytest.raises(TypeError, match="Hidden expects source to be a source"):
        Hidden(torch.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Hidden expects seed"):
        Hidden(seed=-1)


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.parametrize(
    "encoder",
    ["--model.encoder MLP --model.encoder.hidden 8", "--model.encoder GatedMLP "
     "--model.encoder.hidden 8", "--model.encoder Conv --model.encoder.channels [4]"],
)  # fmt: skip
def test_every_encoder_trains_on_data_with_holes(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    observed = generator.random((60, 1, 8, 8)) < 0.6
    x = np.where(observed, generator.normal(3.0, 1.0, size=observed.shape), np.nan)
    np.savez("holes.npz", x=x.astype("float32"), observed=observed)
    words = ["--epochs", "3", "--samples", "3", "--report", "false", "--batch_size", "20"]
    assert main(["train", "--data", "holes.npz", *encoder.split(), *words, "--out", "R"]) == 0
    vae = pyrovae.load("R/model")
    made = pyrovae.impute(vae, Arrays("holes.npz"), draws=2, samples=5)
    assert made.filled.isfinite().all()
    assert float(made.mean[made.missing].mean()) == pytest.approx(3.0, abs=0.5)  # and not the fill
