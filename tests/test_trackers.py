"""Trackers: what TensorBoard's own reader finds in the folder is what `fit` returned."""

import itertools
import math
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import pyrovae
from pyrovae.likelihoods import Normal
from pyrovae.models import VAE
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.training import Callback, History, TensorBoard
from pyrovae.training.checkpoints import Checkpoints
from pyrovae.training.run import Run

Points = dict[str, list[tuple[int, float]]]


class Broken(Callback):
    """Fails in an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch(self, run: Run, record: dict[str, float]) -> None:
        if run.epoch == self.epoch:
            raise RuntimeError("broken")


def fit(*callbacks: Callback, epochs: int = 3, **options: Any) -> History:
    """Train a small model on 50 rows, five steps an epoch."""
    torch.manual_seed(0)
    vae = VAE(
        prior=StandardNormal(2),
        likelihood=Normal((3,)),
        posterior=MeanFieldNormal(),
        encoder=MLP((4,)),
        decoder=MLP((4,)),
    )
    x = torch.randn(50, 3)
    given = {"valid": x, "batch_size": 10, "seed": 0} | options
    return pyrovae.fit(vae, x, callbacks=callbacks, epochs=epochs, progress=False, **given)


def points(folder: Path) -> Points:
    """Return what TensorBoard shows of a folder: the steps and values of each curve."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder), size_guidance={reader.SCALARS: 0})
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def curves(history: History) -> Points:
    names = [name for name in history.records[0] if name != "step"]
    return {
        name: [(int(record["step"]), record[name]) for record in history.records] for name in names
    }


def assert_same(shown: Points, expected: Points) -> None:
    assert sorted(shown) == sorted(expected)
    for name, curve in expected.items():
        assert [step for step, _ in shown[name]] == [step for step, _ in curve]
        values = [value for _, value in shown[name]]
        assert values == pytest.approx([value for _, value in curve], rel=1e-6)  # kept as float32


def test_every_quantity_of_every_epoch_is_shown_over_the_steps(tmp_path: Path) -> None:
    history = fit(TensorBoard(tmp_path / "new" / "events"))
    shown = points(tmp_path / "new" / "events")
    assert_same(shown, curves(history))
    assert [step for step, _ in shown["valid/elbo"]] == [5, 10, 15]
    assert {"train/loss", "train/kl", "valid/loss", "lr", "epoch"} <= set(shown)


@pytest.mark.parametrize("looks", [14, 12, 3, 0])  # of these, the last checkpoint is made in one
def test_a_resumed_run_goes_on_where_it_was(
    looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(TensorBoard(tmp_path / "whole"), epochs=6)
    ahead = itertools.count()
    monkeypatch.setattr(Checkpoints, "due", property(lambda self: next(ahead) < looks))
    events = tmp_path / "events"
    with pytest.raises(RuntimeError, match="broken"):
        fit(TensorBoard(events), Broken(5), epochs=6, out=tmp_path / "run")
    before = sorted(events.iterdir())
    time.sleep(1.0)  # names of files of one second are sorted as words, the tenth before the ninth
    resumed = fit(TensorBoard(str(events)), epochs=6, resume=tmp_path / "run")
    shown, expected = points(events), points(tmp_path / "whole")
    del shown["seconds"], expected["seconds"]
    assert shown == expected
    assert len(resumed) == len(whole) == 6
    assert sorted(events.iterdir())[: len(before)] == before  # nothing was taken away


def test_a_new_run_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    tracker = TensorBoard(tmp_path)
    fit(tracker, epochs=4)
    history = fit(tracker, epochs=2, seed=1)
    assert_same(points(tmp_path), curves(history))


def test_training_that_fails_leaves_what_was_done(tmp_path: Path) -> None:
    tracker = TensorBoard(tmp_path)
    with pytest.raises(RuntimeError, match="broken"):
        fit(tracker, Broken(2), epochs=4)
    assert tracker._writer is None  # closed
    assert [step for step, _ in points(tmp_path)["train/loss"]] == [5, 10]


def test_each_epoch_can_be_seen_while_training_goes_on(tmp_path: Path) -> None:
    seen = []

    class Look(Callback):
        def on_epoch(self, run: Run, record: dict[str, float]) -> None:
            seen.append(len(points(tmp_path)["train/loss"]))

    fit(TensorBoard(tmp_path), Look())
    assert seen == [1, 2, 3]


def test_numbers_that_are_not_finite_are_shown(tmp_path: Path) -> None:
    class Spoil(Callback):
        def on_epoch(self, run: Run, record: dict[str, float]) -> None:
            record["valid/loss"], record["valid/kl"] = math.nan, math.inf

    fit(Spoil(), TensorBoard(tmp_path), epochs=1)
    shown = points(tmp_path)
    assert math.isnan(shown["valid/loss"][0][1])
    assert shown["valid/kl"] == [(5, math.inf)]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        fit(TensorBoard(tmp_path / "file"))


def test_without_tensorboard_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r'pip install "pyrovae\[tensorboard\]"'):
        TensorBoard(tmp_path)
