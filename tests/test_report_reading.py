"""What a report reads of a run folder, however damaged, and how it words it."""

import json
import os
from pathlib import Path

import pytest

from pyrovae.report.facts import facts_of
from pyrovae.report.numbers import missing, numbers
from pyrovae.report.reading import RunRecord, read_run
from pyrovae.report.settings import settings, written

EPOCH = {"epoch": 1, "train/loss": 3.0, "train/elbo": -3.0, "valid/loss": 4.0, "valid/beta": 2.0}


def run(folder: Path, *lines: str, **files: object) -> RunRecord:
    """Write a run folder and read it."""
    folder.mkdir(exist_ok=True)
    if lines:
        (folder / "metrics.jsonl").write_text("\n".join(lines))
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        suffix = ".yaml" if name == "config" else ".json"
        (folder / f"{name}{suffix}").write_text(text)
    return read_run(folder)


def test_a_last_line_that_was_cut_off_is_ignored(tmp_path: Path) -> None:
    record = run(tmp_path, json.dumps(EPOCH), '{"epoch": 2, "train/lo')
    assert record.column("train/loss") == [3.0]
    assert record.notes == []


def test_another_line_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    record = run(tmp_path, "nonsense", "[1, 2]", "", json.dumps(EPOCH))
    assert len(record.epochs) == 1
    assert record.notes == [
        f"metrics.jsonl: line {line} cannot be read and is left out" for line in (1, 2)
    ]


def test_of_many_lines_that_cannot_be_read_twenty_are_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("x\n" * 1000 + "{}\n")
    notes = read_run(tmp_path).notes
    assert len(notes) == 21
    assert notes[-1] == "metrics.jsonl: 980 more lines cannot be read and are left out"


def test_nulls_infinities_and_huge_numbers_are_nan(tmp_path: Path) -> None:
    line = '{"epoch": null, "a": null, "b": Infinity, "c": 1e999, "d": "x", "e": true, "f": 1%s}'
    (epoch,) = run(tmp_path, line % ("0" * 400)).epochs
    assert epoch.pop("epoch") == 1.0  # counted where it is not said
    assert all(value != value for value in epoch.values())


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '{"best_epoch"'])
def test_a_history_that_cannot_be_read_is_said(text: str, tmp_path: Path) -> None:
    record = run(tmp_path, json.dumps(EPOCH), history=text)
    assert record.history is None
    assert "history.json cannot be read" in record.notes[0]


def test_odd_values_do_no_harm(tmp_path: Path) -> None:
    record = run(
        tmp_path,
        json.dumps(EPOCH),
        config="data: 3\nmodel: [1]\nobjective: {a: {b: 1}}\nepochs: many\npatience: {}",
        history={"best_epoch": "x", "failure": {"text": 3}, "kl": [1], "stopped": None},
        evaluation={"log_prob": "x", "ess": None, "kl_per_dimension": 7, "active_units": {}},
    )
    facts = facts_of(record)
    assert (facts.failure, facts.planned, facts.best_epoch) == ("3", None, None)
    assert (facts.active, facts.dimensions, facts.log_prob) == (None, None, None)
    assert numbers([record])[0].entries[0].value == "not finite"
    assert {line.name for line in settings([record])} >= {"data", "objective", "epochs"}


def test_a_folder_in_place_of_a_file_is_said(tmp_path: Path) -> None:
    for name in ("metrics.jsonl", "history.json", "config.yaml"):
        (tmp_path / name).mkdir()
    record = read_run(tmp_path)
    assert len(record.notes) == 3
    assert not record.empty


def test_an_empty_folder_is_empty(tmp_path: Path) -> None:
    assert read_run(tmp_path).empty
    with pytest.raises(FileNotFoundError, match="no run folder"):
        read_run(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        read_run(tmp_path / "file")


# ------------------------------------------------------------------------------------------- facts


def test_a_failure_is_read_from_the_history(tmp_path: Path) -> None:
    failure = {"step": 9, "epoch": 2, "text": "the loss is nan"}
    record = run(tmp_path, json.dumps(EPOCH), history={"best_epoch": 1, "failure": failure})
    facts = facts_of(record)
    assert facts.failure == "step 9 (epoch 2): the loss is nan"
    assert facts.best_epoch == 1
    assert facts.finished


def test_under_a_multiplier_the_elbo_stands_for_the_loss(tmp_path: Path) -> None:
    line = {"train/loss": 7.0, "train/elbo": -3.0, "valid/loss": 90.0, "valid/elbo": -4.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"epoch": 1, **line}) + "\n")
    facts = facts_of(read_run(tmp_path))
    assert (facts.train, facts.valid) == ((7.0,), (90.0,))
    line["train/multiplier"] = 2.0
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"epoch": 1, **line}) + "\n")
    facts = facts_of(read_run(tmp_path))
    assert (facts.train, facts.valid) == ((3.0,), (4.0,))


def test_a_failure_is_read_from_a_last_epoch_without_numbers(tmp_path: Path) -> None:
    record = run(tmp_path, json.dumps(EPOCH), '{"epoch": 2, "train/loss": null}')
    assert facts_of(record).failure == "the training loss is not a number in epoch 2"
    record = run(tmp_path, '{"epoch": 1, "train/loss": 1.0, "valid/loss": null}')
    assert facts_of(record).failure == "the validation loss is not a number in epoch 1"


@pytest.mark.parametrize(
    ("has_model", "files", "finished"),
    [
        (False, {}, False),
        (False, {"history": {}}, True),
        (True, {}, True),  # runs of earlier versions left no history
        (True, {"config": "epochs: 1"}, True),
        (True, {"config": "epochs: 9"}, False),
        (True, {"config": "epochs: 9\npatience: 3"}, True),
    ],
)
def test_whether_a_run_finished(
    has_model: bool, files: dict[str, object], finished: bool, tmp_path: Path
) -> None:
    if has_model:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "weights.safetensors").write_bytes(b"")
    assert facts_of(run(tmp_path, json.dumps(EPOCH), **files)).finished is finished


def test_a_model_by_itself_is_no_unfinished_run(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"")
    record = read_run(tmp_path)
    assert record.model == tmp_path
    assert facts_of(record).finished is None


def test_active_units_of_an_evaluation_without_numbers_or_of_few_data_are_not_believed(
    tmp_path: Path,
) -> None:
    evaluation = {"log_prob": -1.0, "active_units": 0, "data": 100, "kl_per_dimension": [0.0] * 4}
    assert facts_of(run(tmp_path, evaluation=evaluation)).active == 0
    assert facts_of(run(tmp_path, evaluation={**evaluation, "log_prob": None})).active is None
    assert facts_of(run(tmp_path, evaluation={**evaluation, "data": 3})).active is None


# ------------------------------------------------------------------------------ words and numbers


def test_settings_are_constructor_calls() -> None:
    tree = {
        "class_path": "pyrovae.objectives.ELBO",
        "init_args": {
            "beta": {"class_path": "pyrovae.schedules.Ramp", "init_args": {"steps": 7}},
            "kl": "auto",
        },
    }
    assert written(tree) == "ELBO(beta=Ramp(steps=7), kl=auto)"
    foreign = {"class_path": "mine.Prior", "init_args": {}}
    assert written(foreign) == "mine.Prior()"
    nested: object = 1
    for _ in range(100):
        nested = [nested]
    assert "..." in written(nested)
    assert len(written("x" * 10_000)) < 500


def test_settings_that_differ_are_marked(tmp_path: Path) -> None:
    first = run(tmp_path / "a", config="epochs: 3\nseed: 0")
    second = run(tmp_path / "b", config="epochs: 4\nseed: 0\nclip: 1.0")
    lines = {line.name: line for line in settings([first, second])}
    assert lines["epochs"].values == ["3", "4"]
    assert lines["epochs"].differs
    assert not lines["seed"].differs
    assert lines["clip"].values == ["not recorded", "1.0"]


def test_the_model_is_read_from_where_it_is_whole(tmp_path: Path) -> None:
    whole = (
        "format: 1\nmodel: {class_path: pyrovae.models.VAE, init_args: {likelihood: {class_path: "
    )
    whole += "pyrovae.likelihoods.Binomial, init_args: {event_shape: [4], total_count: 3}}}}"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.yaml").write_text(whole)
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"")
    part = "{class_path: pyrovae.models.VAE, init_args: {likelihood: {class_path: X}}}"
    record = run(tmp_path, config=f"model: {part}")
    lines = {line.name: line.values[0] for line in settings([record])}
    assert lines["likelihood"] == "Binomial(event_shape=[4], total_count=3)"
    assert lines["model"] == "VAE"


def test_numbers_come_with_their_errors(tmp_path: Path) -> None:
    evaluation = {
        "split": "test", "log_prob": -93.256, "log_prob_error": 0.027, "log_prob_bias": 0.27,
        "log_prob_data_error": 0.58, "ess": 6.5, "elbo": -101.1, "reconstruction": -73.0,
        "kl": 28.2, "kl_per_dimension": [1.0, 2.0], "active_units": 2, "bits_per_dim": None,
        "samples": 1000, "data": 400,
    }  # fmt: skip
    rows = {row.name: row.entries[0] for row in numbers([run(tmp_path, evaluation=evaluation)])}
    assert rows["log p(x)"].value == "−93.26 ± 0.58"  # noqa: RUF001  (a true minus sign)
    assert (
        rows["log p(x)"].note == "Monte Carlo ± 0.027, 1000 samples; too low by about 0.27, or more"
    )
    assert rows["effective samples"].note == "of 1000"
    assert rows["active units"].note == "of 2"
    assert "bits per dimension" not in rows


def test_a_run_without_evaluation_says_how_to_get_one(tmp_path: Path) -> None:
    record = run(tmp_path / "a run", json.dumps(EPOCH))
    assert numbers([record]) == []
    assert missing(record) == "There is no model to evaluate."
    record.model = record.folder / "model"
    assert missing(record) == f"Not evaluated yet: `pyrovae evaluate '{record.folder}' --data NAME`"


def test_a_pipe_in_place_of_the_metrics_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    record = read_run(tmp_path)
    assert not record.epochs
    assert "metrics.jsonl cannot be read" in "".join(record.notes)
