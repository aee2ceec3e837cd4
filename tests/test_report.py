"""Reports about runs that went well and badly: what they say, and what kind of page they are."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pyrovae
from pyrovae.__main__ import main
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal, Posterior
from pyrovae.priors import Prior, StandardNormal, VampPrior
from pyrovae.report import write
from pyrovae.report.building import LARGEST

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")

SECTIONS = {
    "diagnosis", "numbers", "training", "samples", "latent-space", "dimensions",
    "reconstructions", "traversals", "settings",
}  # fmt: skip


class Page(HTMLParser):
    """A page as a browser would read it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open[-1:]:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def section(self, key: str) -> str:
        return self.source.split(f'<section id="{key}">')[1].split("</section>")[0]


def check_page(file: Path) -> Page:
    """Read a page and check what holds for every one of them."""
    page = Page(file)
    assert page.open == []
    assert os.path.getsize(file) < LARGEST
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {
        tag for tag, _ in page.tags
    }
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(ids) >= SECTIONS
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            text = value or ""
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                assert text.startswith(("data:image/", "#")), f"<{tag} {name}={text[:60]!r}>"
                if text.startswith("#"):
                    assert text[1:] in ids
            assert not name.startswith("on")
            assert "url(" not in text or "url(#" in text
    assert "://" not in page.source.replace("data:image", "")
    assert "@import" not in page.source
    for image in page.all("img"):
        assert image["alt"]
    for attributes in page.all("div"):
        if attributes.get("role") == "img":
            assert attributes["aria-label"]
    return page


def titles(report: pyrovae.report.Report) -> list[str]:
    (findings,) = report.findings.values()
    return [finding.title for finding in findings]


def epochs(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def train(folder: Path, *words: str, hidden: int = 64) -> Path:
    quick = ["--samples", "20", "--report", "false"]
    networks = [f"--model.{part}.hidden=[{hidden}]" for part in ("encoder", "decoder")]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["train", *networks, *quick, *words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good run, a collapsed one, one that overfits, and one on a table."""
    folder = tmp_path_factory.mktemp("runs")
    digits = pyrovae.data.Digits(valid=0, test=0).load().train
    few = next(digits.batches(batch_size=300))
    np.savez(folder / "few.npz", x=few["x"].to(torch.uint8).numpy(), y=few["y"].numpy())
    generator = np.random.default_rng(0)
    z = generator.standard_normal((600, 2))
    x = z @ generator.standard_normal((2, 5)) + 0.5 * generator.standard_normal((600, 5))
    y = np.where(generator.random(600) < 0.3, -1, z[:, 0] > 0.0)
    np.savez(folder / "table.npz", x=x.astype(np.float32), y=y.astype(np.int64))

    settled = ["--batch_size", "128", "--scheduler", "CosineAnnealingLR", "--epochs", "25"]
    train(
        folder / "good", *settled, "--model.prior.dim", "3", "--optimizer.lr", "6e-3",
        "--scheduler.T_max", "250",
    )  # fmt: skip
    train(
        folder / "collapsed", "--objective.beta", "200", "--model.prior.dim", "4",
        "--optimizer.lr", "1e-2", "--epochs", "10", "--batch_size", "64",
    )  # fmt: skip
    train(
        folder / "overfit", "--data", str(folder / "few.npz"), "--data.valid", "0.3",
        "--data.test", "0.3", "--model.likelihood", "Binomial", "--model.likelihood.total_count",
        "16", "--optimizer.lr", "3e-3", "--epochs", "300", hidden=200,
    )  # fmt: skip
    train(
        folder / "table", "--data", str(folder / "table.npz"), *settled,
        "--model.prior.dim", "2", "--optimizer.lr", "1e-2", "--scheduler.T_max", "100",
    )  # fmt: skip
    return folder


@pytest.fixture
def copy(runs: Path, tmp_path: Path) -> Path:
    """A run to be damaged."""
    ignored = shutil.ignore_patterns("report.html")
    return Path(shutil.copytree(runs / "table", tmp_path / "run", ignore=ignored))


# ------------------------------------------------------------------------------ what reports say


def test_a_good_run(runs: Path) -> None:
    report = write([runs / "good"])
    assert report.file == runs / "good" / "report.html"
    assert set(titles(report)) <= {"Poor importance weights"}  # which `evaluate` says as well
    assert list(report.notes.values()) == [[]]
    page = check_page(report.file)
    assert "VAE: StandardNormal, Binomial, MeanFieldNormal" in page.text
    assert "shown on 400 test data, Digits()" in page.text
    assert "StandardNormal(dim=3)" in page.text
    assert "nats per datum" in page.text
    assert "Left out" not in page.text
    evaluation = json.loads((runs / "good" / "evaluation.json").read_text())
    assert f"{abs(evaluation['log_prob']):.2f}" in page.section("numbers")
    history = epochs(runs / "good")
    best = min(history, key=lambda epoch: epoch["valid/loss"])["epoch"]
    assert f"epoch {best}, " in page.section("training")
    assert page.section("samples").count("<img") == 2
    assert page.section("reconstructions").count("<img") == 3
    assert page.section("traversals").count("<img") == 3
    assert "first two principal components of 3" in page.section("latent-space")
    assert "3 active, 0 collapsed" in page.section("dimensions")


def test_a_run_in_which_nothing_stands_out(runs: Path) -> None:
    report = write([runs / "table"])
    assert titles(report) == []
    page = check_page(report.file)
    assert "Nothing stands out" in page.text
    assert "Each column of 60 held-out data and 1000 samples" in page.section("samples")
    assert "The two latent dimensions of 60 held-out data" in page.section("latent-space")
    assert page.section("reconstructions").count("role=") == 1


def test_a_collapsed_run_beside_a_good_one(runs: Path) -> None:
    report = write([runs / "good", runs / "collapsed"])
    assert report.file == runs / "report.html"
    found = [finding.title for finding in report.findings[runs / "collapsed"]]
    assert found[0].startswith("Posterior collapse: ")
    assert not any("Overfitting" in title or "unused" in title for title in found[1:])
    page = check_page(report.file)
    assert "2 runs side by side" in page.text
    assert "Bounds of different objectives" in page.section("training")
    assert "beta, which is 200" in page.section("diagnosis")
    assert "every latent dimension is collapsed" in page.section("traversals")
    assert page.section("settings").count('class="differs"') >= 4
    assert page.section("samples").count('class="cell"') == 2


def test_an_overfitting_run(runs: Path) -> None:
    report = write([runs / "overfit"])
    found = titles(report)
    assert "Overfitting" in found
    assert not any("collapse" in title or "Still improving" in title for title in found)
    check_page(report.file)


def test_a_run_stopped_by_nan(copy: Path) -> None:
    lines = (copy / "metrics.jsonl").read_text().splitlines()[:7]
    (copy / "metrics.jsonl").write_text("\n".join([*lines, '{"epoch": 8, "train/loss": null}']))
    text = "the loss is nan: site 'x', parameter decoder.0.weight"
    history = {
        "epochs": 8, "best_epoch": 7, "stopped": "the loss is nan", "kl": {"z": "analytic"},
        "failure": {"step": 31, "epoch": 8, "text": text},
    }  # fmt: skip
    (copy / "history.json").write_text(json.dumps(history))
    report = write([copy])
    assert titles(report) == ["The run was stopped: a number was not finite"]
    page = check_page(report.file)
    assert "Step 31 (epoch 8): the loss is nan: site 'x'" in page.text
    assert "parameter decoder.0.weight. The weights kept are those of epoch 7" in page.text
    shutil.rmtree(copy / "model")  # nothing was kept
    (copy / "evaluation.json").unlink()
    report = write([copy])
    assert titles(report) == ["The run was stopped: a number was not finite"]
    assert "There is no model to evaluate" in check_page(report.file).text


def test_a_run_that_failed_by_itself(tmp_path: Path) -> None:
    x = torch.randn(60, 3)
    with pytest.warns(UserWarning, match="not finite"):
        pyrovae.fit(
            small(StandardNormal(2), MeanFieldNormal(), (3,)),
            x,
            epochs=3,
            batch_size=30,
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e30),
            seed=0,
            out=tmp_path,
        )
    report = write([tmp_path], data=x)
    assert titles(report)[0] == "The run was stopped: a number was not finite"
    assert "Step " in check_page(report.file).section("diagnosis")


def test_a_run_that_did_not_finish(copy: Path) -> None:
    shutil.rmtree(copy / "model")
    for name in ("evaluation.json", "history.json"):
        (copy / name).unlink()
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 26, "train/lo')
    report = write([copy])
    assert titles(report) == ["The run did not finish"]
    (note,) = report.notes[copy]
    assert note.startswith("samples, latent space, latent dimensions, reconstructions, traversals")
    assert f"train --resume {copy}" in check_page(write([copy]).file).text


# ---------------------------------------------------------------------------- what may be missing


def test_data_that_have_moved_are_said_and_others_may_be_given(copy: Path, runs: Path) -> None:
    (copy / "metrics.jsonl").unlink()  # which takes time to draw
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("table.npz", "moved.npz"))
    report = write([copy])
    _, note = report.notes[copy]
    assert "latent space, latent dimensions, reconstructions" in note
    assert "moved.npz" in note
    page = check_page(report.file)
    assert "<svg" in page.section("samples")
    assert "<svg" in page.section("traversals")
    report = write([copy], data=str(runs / "table.npz"))
    assert "shown on 60 test data" in check_page(report.file).text
    report = write([copy], data=pyrovae.data.load(runs / "table.npz").valid)
    assert "shown on 60 data: table.npz: validation" in check_page(report.file).text
    report = write([copy], data=torch.zeros(30, 7))
    assert "expects x of shape" in report.notes[copy][1]
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        write([copy], data="nowhere.npz")


def test_validation_data_stand_in_for_test_data(copy: Path) -> None:
    (copy / "metrics.jsonl").unlink()
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("test: 0.1", "test: 0"))
    assert "shown on 60 validation data" in check_page(write([copy]).file).text
    assert "shown on 540 training data" in check_page(write([copy], split="train").file).text
    config.write_text(config.read_text().replace("valid: 0.1", "valid: 0"))
    _, note = write([copy]).notes[copy]
    assert "keeps no test split; choose `--split train`" in note


def test_a_run_without_validation_and_evaluation(copy: Path) -> None:
    kept = [{k: v for k, v in e.items() if not k.startswith("valid")} for e in epochs(copy)]
    (copy / "metrics.jsonl").write_text("\n".join(map(json.dumps, kept)))
    (copy / "evaluation.json").unlink()
    report = write([copy])
    page = check_page(report.file)
    assert "Not checked: overfitting (no validation data); importance weights" in page.text
    assert f"pyrovae evaluate {copy}" in page.text
    assert "Posterior collapse" not in page.text


def test_a_run_of_one_epoch(copy: Path) -> None:
    line = (copy / "metrics.jsonl").read_text().splitlines()[0]
    (copy / "metrics.jsonl").write_text(line)
    (copy / "history.json").write_text('{"stopped": "all 1 epochs are done"}')
    report = write([copy])
    assert titles(report) == ["Only 1 epoch was trained"]
    assert "<svg" in check_page(report.file).section("training")


def test_a_run_from_python_and_its_model_alone(tmp_path: Path) -> None:
    vae = small(StandardNormal(1), MeanFieldNormal(), (32,))
    x = torch.randn(60, 32)
    pyrovae.fit(vae, x, epochs=2, batch_size=30, seed=0, out=tmp_path / "run")
    report = write([tmp_path / "run"], data=x)
    page = check_page(report.file)
    assert "has no config.yaml" in page.text
    assert "Normal(event_shape=[32], scale=1.0)" in page.text
    assert "Histogram" in page.section("latent-space")
    report = write([tmp_path / "run" / "model"])
    assert report.file == tmp_path / "run" / "model" / "report.html"
    page = check_page(report.file)
    assert "Nothing could be checked" in page.text
    assert "give some by" in page.text
    assert "did not finish" not in page.text


@pytest.mark.parametrize("damage", ["weights", "format", "class", "nan"])
def test_a_model_that_cannot_be_used(damage: str, copy: Path) -> None:
    config = copy / "model" / "config.yaml"
    if damage == "weights":
        (copy / "model" / "weights.safetensors").write_bytes(b"x" * 100)
    elif damage == "format":
        config.write_text(config.read_text().replace("format: 1", "format: 99"))
    elif damage == "class":
        config.write_text(config.read_text().replace("pyrovae.priors.Standard", "antigravity.S"))
    else:
        weights = copy / "model" / "weights.safetensors"
        state = {name: value * float("nan") for name, value in load_file(weights).items()}
        save_file(state, weights)
    report = write([copy])
    words = {
        "weights": "damaged", "format": "later pyrovae", "class": "antigravity", "nan": "weights",
    }  # fmt: skip
    assert words[damage] in report.notes[copy][-1]
    assert "antigravity" not in sys.modules
    assert titles(report) == ["The model cannot be read"]
    check_page(report.file)


def test_a_class_of_ones_own_must_be_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ones_own.py").write_text(
        "from pyrovae.priors import StandardNormal\n\n\nclass Mine(StandardNormal):\n    pass\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    pyrovae.save(small(StandardNormal(2), MeanFieldNormal(), (3,)), tmp_path / "model")
    config = tmp_path / "model" / "config.yaml"
    config.write_text(config.read_text().replace("pyrovae.priors.StandardNormal", "ones_own.Mine"))
    assert "--allow ones_own" in write([tmp_path]).notes[tmp_path][1]
    assert "ones_own" not in sys.modules
    try:
        report = write([tmp_path], allow=("ones_own",), data=torch.randn(40, 3))
    finally:
        sys.modules.pop("ones_own", None)
    assert len(report.notes[tmp_path]) == 1  # there was no training
    assert "VAE: ones_own.Mine, Normal" in check_page(report.file).text


def test_a_scale_at_its_floor(tmp_path: Path) -> None:
    vae = small(StandardNormal(2), MeanFieldNormal(), (3,), scale="element")
    with torch.no_grad():
        vae.likelihood.raw_scale.copy_(torch.tensor([-30.0, 0.0, 0.0]))
    pyrovae.save(vae, tmp_path / "model")
    report = write([tmp_path], data=torch.randn(50, 3))
    assert "The likelihood's scale is at its floor" in titles(report)
    vae = small(StandardNormal(2), MeanFieldNormal(), (3,), scale=1e-4)  # as it was asked for
    pyrovae.save(vae, tmp_path / "model")
    assert "floor" not in " ".join(titles(write([tmp_path], data=torch.randn(50, 3))))


# -------------------------------------------------------------------------- what may be looked at


def small(
    prior: Prior, posterior: Posterior, shape: tuple[int, ...], scale: float | str = 1.0
) -> pyrovae.VAE:
    return pyrovae.VAE(
        prior=prior, likelihood=Normal(shape, scale=scale), posterior=posterior,
        encoder=MLP((8,)), decoder=MLP((8,)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "shape", [(), (2,), (13,), (300,), (5, 7), (3, 9, 5), (7, 6, 6), (1, 1, 9)]
)
def test_data_of_any_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    pyrovae.save(small(StandardNormal(2), MeanFieldNormal(), shape), tmp_path / "model")
    report = write([tmp_path], data=torch.randn(40, *shape))
    assert [note for note in report.notes[tmp_path] if not note.startswith("training")] == []
    check_page(report.file)


@pytest.mark.parametrize(
    ("labels", "dim"),
    [
        *(("few", 1), ("many", 1), ("few", 2), ("none of them", 2), ("huge", 2), ("many", 70)),
        *(("numbers", 1), ("numbers", 2)),
    ],
)
def test_labels_of_any_kind(labels: str, dim: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    pyrovae.save(small(StandardNormal(dim), MeanFieldNormal(), (3,)), tmp_path / "model")
    y = {
        "few": torch.arange(50) % 4 - 1,
        "many": torch.arange(50) - 1,
        "none of them": torch.full((50,), -1),
        "huge": torch.full((50,), 2**60),
        "numbers": torch.where(torch.arange(50) % 3 > 0, torch.randn(50), torch.nan)[:, None],
    }[labels]
    report = write([tmp_path], data={"x": torch.randn(50, 3), "y": y})
    said = [note for note in report.notes[tmp_path] if "collapsed" not in note]
    assert len(said) == 1  # there was no training
    page = check_page(report.file)
    coloured = "coloured by label" in page.section("latent-space")
    assert coloured == (labels not in ("none of them", "numbers") and dim > 1)


@pytest.mark.parametrize(
    ("prior", "posterior"),
    [(VampPrior(3, components=4), MeanFieldNormal()), (StandardNormal(3), FullRankNormal())],
)
def test_a_kl_that_does_not_split(prior: Prior, posterior: Posterior, tmp_path: Path) -> None:
    pyrovae.save(small(prior, posterior, (4,)), tmp_path / "model")
    report = write([tmp_path], data=torch.randn(50, 4))
    page = check_page(report.file)
    assert "variance of the posterior mean" in page.section("dimensions").lower()
    assert "does not split into dimensions" in page.section("dimensions")


def test_missing_entries(tmp_path: Path) -> None:
    for shape in ((3,), (40,), (1, 8, 8)):
        pyrovae.save(small(StandardNormal(2), MeanFieldNormal(), shape), tmp_path / "model")
        observed = torch.rand(50, *shape) > 0.5
        observed[:, 0] = False
        report = write([tmp_path], data={"x": torch.randn(50, *shape), "observed": observed})
        said = [note for note in report.notes[tmp_path] if "is collapsed" not in note]
        assert len(said) == 1  # there was no training
        page = check_page(report.file)
        assert ("Blue: not observed" in page.text) == (len(shape) == 3)


def test_few_data_say_nothing_of_collapse(tmp_path: Path) -> None:
    pyrovae.save(small(StandardNormal(2), MeanFieldNormal(), (3,)), tmp_path / "model")
    for count in (1, 2):
        report = write([tmp_path], data=torch.randn(count, 3))
        assert titles(report) == []
        assert (
            "collapsed units (no evaluation, nor a model with enough"
            in check_page(report.file).text
        )


def test_large_images_and_many_runs_stay_small(tmp_path: Path) -> None:
    """Noise compresses worst; 8 runs are the most that a page takes."""
    x = torch.rand(40, 3, 100, 120)
    folders = []
    for at in range(8):
        folders.append(tmp_path / f"run{at}")
        if at == 0:
            vae = small(StandardNormal(4), MeanFieldNormal(), (3, 100, 120), scale=0.3)
            pyrovae.save(vae, folders[0] / "model")
        else:
            shutil.copytree(folders[0], folders[at])
    check_page(write([folders[0]], data=x).file)
    assert os.path.getsize(folders[0] / "report.html") < 2_000_000
    with pytest.raises(ValueError, match="up to 8 runs; got 9"):
        write([*folders, tmp_path / "run9"])


def test_a_page_that_would_be_too_large_leaves_figures_out(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pyrovae.report.building.LARGEST", 60_000)
    report = write([runs / "table"], file=tmp_path / "x.html")
    assert os.path.getsize(report.file) <= 60_000
    assert "would be larger than 5 MB" in check_page(report.file).section("traversals")


# -------------------------------------------------------------------------------- how it is written


def test_everything_is_escaped(copy: Path, tmp_path: Path) -> None:
    odd = tmp_path / "<script>alert(1)<img src=x onerror=$a$ 'b' \"c\" `d` {{ 7 * 6 }}"
    copy.rename(odd)
    shutil.rmtree(odd / "model")
    config = odd / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 25", "epochs: '<b>25</b>'"))
    for folders in ([odd], [odd, shutil.copytree(odd, tmp_path / "&amp;_x")]):
        page = check_page(write(folders, file=tmp_path / "page.html").file)
        assert not page.all("b")
        assert "<b>25</b>" in page.text
        assert "{{ 7 * 6 }}" in page.text
        assert "alert(1)" in page.text


def test_the_same_run_gives_the_same_page(runs: Path, tmp_path: Path) -> None:
    first, second = (
        write([runs / "table"], file=tmp_path / f"{name}.html").file.read_text() for name in "ab"
    )
    assert first == second


def test_nothing_global_is_touched(runs: Path, tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams), torch.random.get_rng_state(), np.random.get_state()[1].copy()
    with mpl.rc_context({"text.usetex": False}):
        write([runs / "table"], file=tmp_path / "page.html")
    assert dict(mpl.rcParams) == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    assert (np.random.get_state()[1] == before[2]).all()


def test_a_report_is_whole_or_not_there(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (copy / "report.html").write_text("the one before")

    def full(path: Path, *rest: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            write([copy])
    assert (copy / "report.html").read_text() == "the one before"
    assert sorted(path.name for path in copy.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("runs_given", "options", "said"),
    [
        ([], {}, "at least one run folder"),
        (["absent"], {}, "no run folder absent"),
        (["empty"], {}, "nothing to report on in empty"),
        (["empty", "empty2"], {}, "nothing to report on in empty, empty2"),
        (["run"], {"file": "run"}, "run is a folder; name the file, such as run/report.html"),
        (["run"], {"file": "page.txt"}, r"ending in \.html"),
        (["run"], {"split": "tset"}, "one of train, valid, test; got 'tset'"),
        (["run"], {"seed": -1}, "from 0 to"),
        (["run"], {"data": "digts"}, "did you mean 'digits'"),
        (["run"], {"data": 3}, "data must be"),
    ],
)
def test_what_cannot_be_done_is_said(
    runs_given: list[str],
    options: dict,
    said: str,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(copy.parent)
    Path("empty").mkdir()
    Path("empty2").mkdir()
    with pytest.raises((ValueError, OSError, TypeError), match=said):
        write(runs_given, **options)
    assert not list(Path().rglob("*.html"))


def test_the_verb(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    Path("empty").mkdir()
    assert main(["report", "run"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == "run\n  nothing stands out\n\nThe report is in run/report.html\n"
    assert main(["report", "run", "empty", "--out", "a/b.html", "--split", "valid"]) == 0
    assert "empty\n  note: nothing of a run" in capsys.readouterr().out
    assert "empty holds nothing of a run" in check_page(Path("a/b.html")).text
    assert main(["report", "empty"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("pyrovae: there is nothing to report on in empty")
    assert main(["report", "run", "--data", "digts"]) == 2
    assert main(["report"]) == 2


def test_drawing_libraries_are_loaded_only_where_something_is_drawn() -> None:
    code = (
        "import sys, pyrovae.report as report, pyrovae.cli.report; "
        "report.diagnose(report.Facts()); print({'matplotlib', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "set()"
