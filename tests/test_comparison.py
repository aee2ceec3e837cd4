"""Comparisons without a run: grids, plans, baselines, what is resumed, intervals and tables."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from pyrovae.comparison import (
    Ended,
    Mean,
    Plan,
    Summary,
    Value,
    baselines,
    concerns,
    csv_text,
    difference,
    draw,
    evaluated,
    lay_out,
    markdown,
    mean_of,
    plain_text,
    split,
    summarise,
    varied,
)
from pyrovae.comparison.figure import chosen
from pyrovae.comparison.folder import (
    clear,
    config_file,
    differences,
    prepare,
    read_ended,
    require_same,
    run_folder,
    state_of,
    write_ended,
)
from pyrovae.comparison.grid import folder_names
from pyrovae.comparison.numbers import name_of, ordered, shown
from pyrovae.config import from_tree, to_tree
from pyrovae.likelihoods import Bernoulli, Categorical
from pyrovae.models import VAE, Classifier, Model, SemiSupervisedVAE
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import ConditionalNormal, Prior, StandardNormal, VampPrior

# -------------------------------------------------------------------------------------------- grid


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1", ["1"]),
        ("1,2", ["1", "2"]),
        (" 1 , 2 ", ["1", "2"]),
        ("[1,2],[3]", ["[1,2]", "[3]"]),
        ("{a: [1,2], b: (3,4)},5", ["{a: [1,2], b: (3,4)}", "5"]),
        ("'a,b',\"c,]\"", ["'a,b'", '"c,]"']),
        ("don't,won't", ["don't", "won't"]),  # an apostrophe within a word is no quote
        ("1,,2", ["1", "", "2"]),
        ("", [""]),
    ],
)
def test_commas_within_brackets_and_quotes_belong_to_a_value(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data.labels", "expected KEY=VALUE,VALUE"),
        ("=1,2", "expected KEY=VALUE,VALUE"),
        ("a..b=1", "expected KEY=VALUE,VALUE"),
        ("a=", "a value must stand on each side"),
        ("a=1,,2", "a value must stand on each side"),
        ("a=1,2,1", "the value 1 is given twice"),
        ("a=[1,2", "'[' is not closed"),
        ("a=1],2", "']' closes nothing"),
        ("a=(1],2", "']' closes nothing"),
        ("a='1,2", '"\'" is not closed'),
        ("a={b: 1: 2}", "--vary a cannot be read"),
    ],
)
def test_what_cannot_be_varied_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="--vary") as error:
        varied(text)
    assert said in str(error.value)


def test_keys_and_values_are_read_as_they_are_written() -> None:
    found = varied("model.init_args.prior.class_path=StandardNormal,'a, b'")
    assert found.key == "model.prior"
    assert [value.given for value in found.values] == ["StandardNormal", "a, b"]
    tree = varied("model.prior={class_path: x.VampPrior, init_args: {components: 50}}").values[0]
    assert tree.text == "VampPrior(components=50)"
    assert tree.given == {"class_path": "x.VampPrior", "init_args": {"components": 50}}
    assert varied("batch-size=3").key == "batch_size"
    numbers = [value.number for value in varied("a=1,1e-3,true,x,'2'").values]
    assert numbers == [1.0, 0.001, None, None, 2.0]


def test_names_of_folders_tell_values_apart() -> None:
    texts = ["a/b", "a b", "[8,8]", "..", "x" * 99, "x" * 98, "plain", "1e-3", "-1"]
    names = folder_names([Value(text, text) for text in texts])
    assert len(set(names.values())) == len(texts)
    assert names["plain"] == "plain"
    assert names["[8,8]"] == "8-8"
    for name in names.values():
        assert name
        assert len(name) <= 70
        assert not set(name) & set("/ []=,")
        assert not name.startswith((".", "-"))


# ------------------------------------------------------------------------------- plan and baselines


def settings(model: Model, **others: Any) -> dict[str, Any]:
    data = {"class_path": "pyrovae.data.Digits", "init_args": {"labels": 100}}
    return {"data": data, "model": to_tree(model), "epochs": 3, "seed": 0, **others}


def parts(prior: Prior) -> dict[str, Any]:
    return {
        "prior": prior,
        "likelihood": Bernoulli((8,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((16,)),
        "decoder": MLP((12,)),
    }


def semi(prior: Prior, *, label_weight: float = 3.0) -> SemiSupervisedVAE:
    target = Categorical((), levels=3)
    return SemiSupervisedVAE(
        **parts(prior), classifier=MLP((7,)), target=target, label_weight=label_weight
    )


def planned(
    *texts: str, seeds: tuple[int, ...] = (0, 1), without: bool = False, model: Any = None
) -> Plan:
    """A plan over priors, budgets and weights, of a semi-supervised model."""
    asked = [varied(text) for text in texts]

    def read(values: tuple[Value, ...]) -> dict[str, Any]:
        given = {s.key: v.text for s, v in zip(asked, values, strict=True)}
        prior = VampPrior(2) if given.get("model.prior") == "VampPrior" else StandardNormal(2)
        made = semi(prior, label_weight=float(given.get("model.label_weight", 3.0)))
        tree = settings(VAE(**parts(prior)) if given.get("model", model) == "VAE" else made)
        inner = {"labels": int(given.get("data.labels", 100))}
        return {**tree, "data": {**tree["data"], "init_args": inner}}

    return lay_out(
        asked,
        seeds,
        read=read,
        seeded=lambda tree, seed: {**tree, "seed": seed},
        baselines=lambda tree: {} if without else baselines(tree),
        checked=lambda tree: tree,
    )


def test_baselines_are_models_of_the_same_parts() -> None:
    tree = settings(semi(StandardNormal(2)), epochs=9)
    found = baselines(tree)
    assert list(found) == ["Classifier", "M1"]
    for made in found.values():
        assert {k: v for k, v in made.items() if k != "model"} == {
            k: v for k, v in tree.items() if k != "model"
        }
    classifier, plain = (from_tree(made["model"]) for made in found.values())
    assert isinstance(classifier, Classifier)
    assert isinstance(plain, VAE)
    assert repr(classifier.classifier) == "MLP((7,))"
    assert repr(classifier.target) == "Categorical((), levels=3)"
    given = tree["model"]["init_args"]
    inner = found["M1"]["model"]["init_args"]
    assert inner == {name: given[name] for name in parts(StandardNormal(2))}


def test_a_prior_of_labels_becomes_one_without() -> None:
    tree = settings(semi(ConditionalNormal(5, condition=3)))
    assert repr(from_tree(baselines(tree)["M1"]["model"]).prior) == "StandardNormal(5)"


def test_the_features_of_a_stacked_model_are_its_baseline() -> None:
    features = to_tree(VAE(**parts(StandardNormal(6))))
    given = to_tree(semi(StandardNormal(2)))["init_args"]
    del given["likelihood"]
    model = {
        "class_path": "pyrovae.models.StackedVAE",
        "init_args": {**given, "features": features},
    }
    found = baselines({"model": model})
    assert found["M1"]["model"] == features
    assert repr(from_tree(found["Classifier"]["model"]).likelihood) == "Bernoulli((8,))"
    keys = ["model.features.prior", "model.prior", "model.classifier", "data.labels"]
    assert [concerns("M1", key, model) for key in keys] == [True, False, False, True]
    assert [concerns("Classifier", key, model) for key in keys] == [False, False, True, True]


@pytest.mark.parametrize("without", ["likelihood", "target"])
def test_what_the_data_fill_in_may_be_missing(without: str) -> None:
    tree = settings(semi(StandardNormal(2)))
    del tree["model"]["init_args"][without]
    for made in baselines(tree).values():
        assert without not in made["model"]["init_args"]


def test_models_without_a_classifier_have_no_baselines() -> None:
    assert baselines(settings(VAE(**parts(StandardNormal(2))))) == {}
    target = Categorical((), levels=3)
    alone = Classifier(likelihood=Bernoulli((8,)), target=target, classifier=MLP((7,)))
    assert baselines(settings(alone)) == {}


def test_baselines_are_shared_by_rows_that_differ_in_what_they_lack() -> None:
    plan = planned("model.prior=StandardNormal,VampPrior", "data.labels=100,1000", seeds=(0, 5))
    assert [plan.called(row) for row in plan.rows] == [
        "prior=StandardNormal, labels=100",
        "Classifier, labels=100",
        "M1, prior=StandardNormal, labels=100",
        "prior=StandardNormal, labels=1000",
        "Classifier, labels=1000",
        "M1, prior=StandardNormal, labels=1000",
        "prior=VampPrior, labels=100",
        "M1, prior=VampPrior, labels=100",
        "prior=VampPrior, labels=1000",
        "M1, prior=VampPrior, labels=1000",
    ]
    assert [row.of for row in plan.rows] == [[], [0, 2], [0], [], [1, 3], [1], [], [2], [], [3]]
    names = [cell.name for cell in plan.cells]
    assert len(set(names)) == len(names) == 20
    assert names[0] == "prior=StandardNormal,labels=100,seed=0"
    assert names[1] == "Classifier,labels=100,seed=0"
    assert [cell.seed for cell in plan.cells] == [0] * 10 + [5] * 10
    for row in plan.rows:
        for seed, cell in row.cells.items():
            assert cell.settings["seed"] == seed == cell.seed


def test_a_weight_that_no_baseline_has_adds_none() -> None:
    plan = planned("model.label_weight=1,10,100")
    assert [row.baseline for row in plan.rows] == ["", "Classifier", "M1", "", ""]
    assert plan.rows[1].of == [0, 1, 2]
    assert plan.rows[1].values == (None,)
    assert plan.rows[1].cells[0].name == "Classifier,seed=0"


def test_models_can_be_varied() -> None:
    plan = planned("model=VAE,SemiSupervisedVAE")
    assert [row.baseline for row in plan.rows] == ["", "", "Classifier", "M1"]
    assert plan.rows[3].of == [1]


def test_without_baselines_and_without_a_grid() -> None:
    assert len(planned("data.labels=100,1000", without=True).rows) == 2
    plan = planned(without=True, seeds=(7,))
    assert [cell.name for cell in plan.cells] == ["seed=7"]
    assert plan.called(plan.rows[0]) == "SemiSupervisedVAE"


def test_an_error_says_which_row_it_is_about() -> None:
    def checked(tree: dict[str, Any]) -> dict[str, Any]:
        if tree["a"] == "3":
            raise ValueError("three is too many")
        return tree

    with pytest.raises(ValueError, match="three is too many") as error:
        lay_out(
            [varied("a=1,2,3"), varied("b=x")],
            [0],
            read=lambda v: {"a": v[0].text, "model": {"class_path": "VAE", "init_args": {}}},
            seeded=lambda tree, seed: tree,
            baselines=lambda tree: {},
            checked=checked,
        )
    assert error.value.__notes__ == ["this is said of a=3, b=x"]


# ---------------------------------------------------------------------------- what is there already


def test_states_of_cells(tmp_path: Path) -> None:
    plan = planned("data.labels=100,1000", without=True)
    first, second, *_ = plan.cells
    require_same(tmp_path / "new", plan)
    prepare(tmp_path, plan)
    require_same(tmp_path, plan)
    assert state_of(tmp_path, first) == "new"
    run = run_folder(tmp_path, first)
    run.mkdir()
    (run / ".config.yaml.1234").write_text("half")  # killed before its settings were whole
    assert state_of(tmp_path, first) == "new"
    clear(tmp_path, first)
    assert not run.exists()
    run.mkdir()
    (run / "config.yaml").write_text("")
    assert state_of(tmp_path, first) == "begun"
    clear(tmp_path, first)
    assert run.exists()
    write_ended(tmp_path, first, Ended(seconds=3.5))
    assert state_of(tmp_path, first) == "begun"
    write_ended(tmp_path, first, Ended(finished=True, seconds=4.5))
    assert state_of(tmp_path, first) == "finished"
    assert read_ended(tmp_path, first).seconds == 4.5
    (run / "config.yaml").unlink()  # the run is gone, so it is not finished
    assert state_of(tmp_path, first) == "new"
    assert state_of(tmp_path, second) == "new"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"finished": 1}', '{"finished": true}'])
def test_a_damaged_end_counts_as_none(text: str, tmp_path: Path) -> None:
    plan = planned(without=True)
    prepare(tmp_path, plan)
    cell = next(plan.cells)
    write_ended(tmp_path, cell, Ended(finished=True))
    config_file(tmp_path, cell).with_suffix(".json").write_text(text)
    assert read_ended(tmp_path, cell) == Ended()


def test_more_values_and_more_seeds_are_welcome(tmp_path: Path) -> None:
    prepare(tmp_path, planned("data.labels=100,1000", seeds=(0,), without=True))
    more = planned("data.labels=100,600,1000", seeds=(0, 1), without=True)
    require_same(tmp_path, more)
    prepare(tmp_path, more)
    assert len(list((tmp_path / "cells").glob("*.yaml"))) == 6


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    plan = planned("data.labels=100,1000", without=True)
    prepare(tmp_path, plan)
    with pytest.raises(ValueError, match=r"varies data.labels, and this one varies model.prior"):
        require_same(tmp_path, planned("model.prior=VampPrior", without=True))
    for cell in plan.cells:
        cell.settings["epochs"] = 4
    with pytest.raises(ValueError, match=r"labels=100,seed=0.yaml shows: epochs was 3 and is 4;"):
        require_same(tmp_path, plan)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FileExistsError, match="holds no comparison"):
        require_same(tmp_path, planned(without=True))
    with pytest.raises(FileExistsError, match="holds no comparison"):
        require_same(tmp_path / "thesis.tex", planned(without=True))


def test_differences_between_trees() -> None:
    before = settings(VAE(**parts(StandardNormal(2))), clip=None, list=[1, 2])
    now = settings(VAE(**parts(VampPrior(2))), clip=1.0, list=(1, 2), more=1)
    assert list(differences(before, before)) == []
    assert list(differences(before, now)) == [
        "model.prior was pyrovae.priors.StandardNormal and is pyrovae.priors.VampPrior",
        "clip was None and is 1.0",
        "more was left out and is 1",
    ]


# -------------------------------------------------------------------------------- means and numbers


@pytest.mark.parametrize("n", [2, 3, 5, 40])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
def test_intervals_are_those_of_scipy(n: int, scale: float) -> None:
    numbers = np.random.default_rng(n).normal(-90.0 * scale, scale, size=n)
    found = mean_of(numbers.tolist())
    assert found is not None
    assert found.half is not None
    low, high = scipy.stats.t.interval(0.95, n - 1, numbers.mean(), scipy.stats.sem(numbers))
    assert math.isclose(found.mean - found.half, low, rel_tol=1e-12)
    assert math.isclose(found.mean + found.half, high, rel_tol=1e-12)
    assert found.n == n


def test_paired_differences_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    seeds = [3, 0, 7, 9]
    shared = generator.normal(0.0, 10.0, size=4)
    a, b = (shared + generator.normal(size=4) for _ in range(2))
    ours = dict(zip([*seeds, 100], [*a.tolist(), 1e9], strict=True))  # one that the other lacks
    theirs = dict(zip([*seeds[::-1], 200], [*b[::-1].tolist(), -1e9], strict=True))
    found = difference(ours, theirs)
    assert found is not None
    assert found.half is not None
    truth = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
    assert math.isclose(found.mean - found.half, truth.low, rel_tol=1e-10)
    assert math.isclose(found.mean + found.half, truth.high, rel_tol=1e-10)
    assert found.n == 4


def test_few_numbers_have_no_interval() -> None:
    assert mean_of([]) is None
    assert mean_of([2.5]) == Mean(2.5, None, 1)
    assert mean_of([2.5, 2.5]) == Mean(2.5, 0.0, 2)
    assert difference({0: 1.0}, {1: 1.0}) is None


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (-98.7654, 0.1234, "-98.77 ± 0.12"),
        (-98.7654, 0.0996, "-98.77 ± 0.10"),
        (0.94321, 0.00512, "0.9432 ± 0.0051"),
        (12345.6, 789.0, "12346 ± 789"),
        (-0.2, 44.0, "0 ± 44"),
        (0.5, 1e-12, "0.500000 ± 0.000000"),
        (0.0, 0.0, "0 ± 0"),
        (0.9432, None, "0.9432"),
        (-98.76543, None, "-98.77"),
    ],
)
def test_numbers_are_shown_to_two_digits_of_their_interval(
    mean: float, half: float | None, text: str
) -> None:
    assert shown(Mean(mean, half, 1 if half is None else 5)) == text


def test_numbers_of_an_evaluation(tmp_path: Path) -> None:
    assert evaluated(tmp_path) == {}
    found = {"split": "test", "log_prob": -9.5, "kl_per_dimension": [1.0], "bits_per_dim": None}
    found |= {"active_units": 3, "baseline": {"accuracy": 0.5}, "good": True, "huge": 10**400}
    (tmp_path / "evaluation.json").write_text(json.dumps(found))
    assert evaluated(tmp_path) == {"log_prob": -9.5, "active_units": 3.0, "baseline.accuracy": 0.5}
    for text in ("[1]", "{", "NaN"):
        (tmp_path / "evaluation.json").write_text(text)
        with pytest.raises(ValueError, match="cannot be read"):
            evaluated(tmp_path)
    assert not name_of("accuracy_error").main
    assert ordered(["data", "own", "kl", "accuracy"]) == ["accuracy", "kl", "own", "data"]


# -------------------------------------------------------------------------------- tables and figure


def filled(plan: Plan, *, failed: tuple[str, ...] = (), missing: tuple[str, ...] = ()) -> Summary:
    """A summary with made-up numbers; the baselines have an accuracy alone."""
    generator = np.random.default_rng(0)
    ended, numbers = {}, {}
    for row in plan.rows:
        for cell in row.cells.values():
            if cell.name in missing:
                continue
            bad = cell.name in failed
            ended[cell.name] = Ended(finished=not bad, seconds=1.5, failure="nan" if bad else "")
            numbers[cell.name] = {"accuracy": float(generator.uniform(0.8, 0.9)), "data": 400.0}
            if not row.baseline:
                numbers[cell.name] |= {"log_prob": float(generator.normal(-90, 1)), "ess": 3.0}
    return summarise(plan, ended, numbers)


def test_tables_hold_what_numpy_computes() -> None:
    summary = filled(planned("data.labels=100,1000", seeds=(0, 1, 2)))
    lines = plain_text(summary).splitlines()
    assert lines[0].split() == ["model", "labels", "n", "accuracy", "log", "p(x)"]
    assert lines[1].startswith("SemiSupervisedVAE")
    assert lines[2].startswith("baseline Classifier")
    row = summary.plan.rows[0]
    numbers = [summary.numbers[cell.name]["log_prob"] for cell in row.cells.values()]
    half = scipy.stats.t.ppf(0.975, 2) * scipy.stats.sem(numbers)
    assert shown(Mean(float(np.mean(numbers)), float(half), 3)) in lines[1]
    text = markdown(summary)
    assert "effective samples" in text
    assert "| data |" not in text  # it is the same everywhere, and no result
    entries = [
        (summary.plan.called(d.row), summary.plan.called(d.other)) for d in summary.differences
    ]
    assert entries == [
        ("labels=1000", "labels=100"),
        ("labels=100", "Classifier, labels=100"),
        ("labels=100", "M1, labels=100"),
        ("labels=1000", "Classifier, labels=1000"),
        ("labels=1000", "M1, labels=1000"),
    ]
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in tables[:8]}) == 1


def test_a_line_for_each_cell_as_csv() -> None:
    summary = filled(
        planned("data.labels=100,1000", seeds=(4, 2)), failed=("M1,labels=100,seed=2",)
    )
    lines = list(csv.DictReader(io.StringIO(csv_text(summary))))
    assert len(lines) == 12
    by_name = {line["cell"]: line for line in lines}
    line = by_name["labels=1000,seed=4"]
    assert (line["data.labels"], line["seed"], line["state"]) == ("1000", "4", "finished")
    assert float(line["log_prob"]) == summary.numbers["labels=1000,seed=4"]["log_prob"]
    assert line["data"] == "400"
    bad = by_name["M1,labels=100,seed=2"]
    assert (bad["state"], bad["baseline"], bad["accuracy"]) == ("failed", "M1", "")


def test_a_failed_cell_is_in_no_mean_and_said() -> None:
    plan = planned("data.labels=100,1000", seeds=(0, 1, 2), without=True)
    summary = filled(plan, failed=("labels=100,seed=1",), missing=("labels=1000,seed=2",))
    assert [summary.count(row) for row in plan.rows] == [2, 2]
    mean = summary.mean(plan.rows[0], "accuracy")
    assert mean is not None
    assert mean.n == 2
    (found,) = summary.differences
    assert found.means["accuracy"].n == 1  # seed 0 alone is in both
    text = plain_text(summary)
    assert "Failed, and in no mean (1):\n  labels=100,seed=1: nan" in text
    assert "Not finished, and in no mean (1): labels=1000,seed=2" in text
    assert "labels=100,seed=1: nan" in markdown(summary)


def test_nothing_finished_is_a_table_all_the_same(tmp_path: Path) -> None:
    plan = planned("data.labels=100,1000", without=True)
    summary = summarise(plan, {}, {})
    assert plain_text(summary).splitlines()[0].split() == ["labels", "n"]
    assert "Not finished, and in no mean (4)" in markdown(summary)
    assert not draw(summary, tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())


def test_the_number_that_a_comparison_is_about() -> None:
    assert filled(planned("data.labels=100,1000")).first == "accuracy"
    assert filled(planned("data.labels=100,1000", without=True)).first == "accuracy"
    assert filled(planned("data.labels=100,1000", model="VAE")).first == "log_prob"


@pytest.mark.parametrize(
    ("texts", "seeds"),
    [
        ((), (0, 1)),
        (("data.labels=100,600,3000",), (0, 1, 2)),
        (("data.labels=100,200", "model.prior=StandardNormal,VampPrior"), (0,)),
        (("model.label_weight=0,0.1,1000",), (0, 1)),  # no logarithm of zero; level baselines
    ],
)
def test_a_figure_of_any_grid(
    texts: tuple[str, ...], seeds: tuple[int, ...], tmp_path: Path
) -> None:
    assert draw(filled(planned(*texts, seeds=seeds)), tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert min(image.size) > 400
        assert len(set(image.convert("L").resize((60, 40)).tobytes())) > 10


def test_the_setting_along_the_axis() -> None:
    assert chosen([]) is None
    assert chosen([varied("a=x,y"), varied("b=x,y,z")]) == 1
    assert chosen([varied("a=1"), varied("b=x,y")]) == 1
    assert chosen([varied("a=x,y,z"), varied("b=1,2")]) == 1
    assert chosen([varied("a=1,2"), varied("b=3,4")]) == 0
