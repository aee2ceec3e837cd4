"""The scripts of benchmarks/ run and print their tables; no time is ever asserted."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pyro
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("step", "epoch", "quality", "guard", "startup", "scaling", "evaluate", "processes")
SCRIPTS += ("memory", "priors", "tables", "hyperspherical", "imputing", "distances", "all")
SCRIPTS += ("objectives", "labels", "clustering")
SCRIPTS += ("_ways", "_timing")
RESULTS = {
    "priors",
    "tables",
    "hyperspherical",
    "imputing",
    "objectives",
    "clustering",
}  # long trainings, run by hand
EPOCH_ROWS = {"ours, first", "ours", "Pyro by hand"}


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Scripts of benchmarks/ as modules, found as Python finds them when they are run."""
    monkeypatch.syspath_prepend(FOLDER)
    yield import_module
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture
def step(scripts: Callable[[str], ModuleType]) -> ModuleType:
    return scripts("step")


@pytest.fixture
def tiny_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in the format of MNIST, with 48 training images of noise."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, count in (("train", 48), ("t10k", 8)):
        images = torch.randint(256, (count * 28 * 28,), dtype=torch.uint8)
        labels = torch.randint(10, (count,), dtype=torch.uint8)
        for kind, sizes, numbers in (
            ("images-idx3", (count, 28, 28), images),
            ("labels-idx1", (count,), labels),
        ):
            header = bytes((0, 0, 8, len(sizes))) + b"".join(n.to_bytes(4, "big") for n in sizes)
            (raw / f"{split}-{kind}-ubyte").write_bytes(header + bytes(numbers.tolist()))
    monkeypatch.setenv("PYROVAE_DATA", str(tmp_path))


def rows_of(table: str) -> set[str]:
    """Return the names of a table's rows, checking that each has its numbers."""
    _, _, *lines = table.splitlines()
    names = set()
    for line in lines:
        if " / " in line or "GFLOP" in line or "not installed" in line:
            continue
        name, *numbers = [part for part in line.split("  ") if part.strip()]
        assert len(numbers) == 2
        assert all(float(number) >= 0.0 for number in numbers)
        names.add(name.strip())
    return names


def test_steps_on_random_bits_print_a_table(step: ModuleType) -> None:
    sizes = step.Sizes(pixels=6, hidden=5, latent=2, batch=4)
    times = step.timed(step.EAGER, sizes=sizes, images=None, rounds=2, steps=2)
    printed = step.step_table("One step", times, sizes=sizes)
    assert printed.startswith("One step, 6-5-2, batch 4: ms, 2 rounds")
    assert rows_of(printed) == set(step.EAGER)
    assert "ours / PyTorch by hand: " in printed
    assert "floor: " in printed


def test_the_work_of_a_step_is_that_of_its_matrix_products(step: ModuleType) -> None:
    """Counted by torch, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    sizes = step.Sizes(pixels=6, hidden=5, latent=2, batch=4)
    take = step.our_step(sizes)
    with FlopCounterMode(display=False) as counter:
        take(torch.ones(4, 6))
    assert counter.get_total_flops() == sizes.flops


def test_an_epoch_prints_a_table(
    scripts: Callable[[str], ModuleType], tiny_mnist: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = scripts("epoch")
    monkeypatch.setattr(epoch, "find_spec", lambda name: None)
    monkeypatch.setattr(epoch, "Sizes", partial(epoch.Sizes, batch=16))
    printed = epoch.epoch_table(rounds=1, rows=40, compiles=False)
    assert printed.startswith("One epoch of 40 images, 784-400-50, batch 16: s, 1 round")
    assert rows_of(printed) == EPOCH_ROWS
    assert "pythae is not installed" in printed


def test_quality_prints_a_difference_and_its_interval(
    scripts: Callable[[str], ModuleType],
    tiny_mnist: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Eager against eager differs by nothing."""
    quality = scripts("quality")
    monkeypatch.setattr(quality, "BATCH", 4)
    monkeypatch.setitem(quality.WAYS, "compiled float32", quality.WAYS[quality.BASE])
    quality.main(["--seeds", "2", "--epochs", "1", "--rows", "8", "--ways", "compiled float32"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == ("compiled float32 - eager float32: +0.000, 95 % interval +0.000 to +0.000")


@pytest.mark.parametrize(
    "way",
    [
        "our_step",
        "our_pair_step",
        "pyro_by_hand_step",
        "pytorch_step",
        "pytorch_iwae_step",
        "svi_step",
        pytest.param("our_compiled_step", marks=pytest.mark.slow),
    ],
)
def test_every_way_learns(step: ModuleType, way: str) -> None:
    """A way whose parameters were never updated would be timed for nothing."""
    take = getattr(step, way)(step.Sizes(pixels=6, hidden=5, latent=2, batch=256))
    x = torch.ones(256, 6)
    logged = [take(x) for _ in range(80)]
    losses = [float(value["loss"] if isinstance(value, dict) else value) for value in logged]
    assert sum(losses[-10:]) < 0.97 * sum(losses[:10])


def test_the_script_says_that_mnist_is_missing(
    step: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PYROVAE_DATA", str(tmp_path))
    step.main(["--quick"])
    printed = capsys.readouterr().out
    assert "MNIST was not found" in printed
    assert printed.count("One step") == 3


def test_what_is_global_is_put_back(step: ModuleType) -> None:
    pyro.param("mine", torch.tensor(3.0))
    before = torch.get_rng_state()
    sizes = step.Sizes(pixels=6, hidden=5, latent=2, batch=4)
    step.timed(step.EAGER, sizes=sizes, images=None, rounds=1, steps=1)
    assert list(pyro.get_param_store()) == ["mine"]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_page_has_a_section_for_each_script_in_their_order(
    scripts: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    everything = scripts("all")
    assert {*everything.SCRIPTS, "all", *RESULTS} == {
        file.stem for file in FOLDER.glob("*.py") if not file.stem.startswith("_")
    }
    page = everything.written("", "guard", "one\n")
    page = everything.written(page, "step", "two\n")
    page = everything.written(page, "guard", "three\n")
    assert page.startswith("# Performance\n")
    titles = [everything.SCRIPTS[name] for name in ("step", "guard")]
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == titles
    assert page.count("```text\ntwo\n```") == page.count("```text\nthree\n```") == 1
    assert "one" not in page.split("## ")[2].splitlines()
    assert everything.written(page, "guard", "three\n") == page


@pytest.mark.parametrize("repeats", ["0", "-3"])
def test_a_number_of_repeats_below_one_is_refused(
    step: ModuleType, repeats: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        step.main(["--repeats", repeats])
    assert "--repeats expects" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "titles"),
    [
        ("guard", ["step, 784-400-50", "step, 20-16-4", "checkpoint"]),
        ("scaling", ["An epoch of fit in memory", "A stream made on the way"]),
        ("distances", ["4 numbers", "SlicedWasserstein", "1 number", "Energy()", "n log n"]),
        ("memory", ["bytes a datum", "BernoulliCode"]),
        ("priors", ["2 seeds", "StandardNormal", "VampPrior"]),
        ("objectives", ["IWAE-50", "DReG-50", "sliced Wasserstein", "adversarial"]),
        ("labels", ["One step without labels", "summed / plain", "of the plain model's"]),
        ("clustering", ["clusters", "accuracy", "NMI"]),
        ("imputing", ["50% of the pixels hidden", "pixel means", "imputed mean"]),
        ("tables", ["30% of the cells hidden", "IterativeImputer", "mixed"]),
        pytest.param(
            "evaluate",
            ["Evaluation, 20-16-4, 30 images", "share of that rate", "MiB above"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "processes",
            ["step, 6-5-2, batch 2048", "two processes", "step, 6-5-2, batch 256", "all-reduce"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "startup", ["pyrovae --help", "pyrovae train, to the"], marks=pytest.mark.slow
        ),
    ],
)
def test_the_other_scripts_print_their_tables(
    script: str,
    titles: list[str],
    scripts: Callable[[str], ModuleType],
    tiny_mnist: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scripts(script).main(["--quick"])
    printed = capsys.readouterr().out
    assert [title for title in titles if title in printed] == titles


def test_the_memory_of_an_evaluation_is_read(
    scripts: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process, for a new one takes seconds to load torch: that is among the slow ones."""
    evaluate = scripts("evaluate")

    def here(command: list[str], **given: object) -> SimpleNamespace:
        printed = capsys.readouterr().out
        evaluate.main(command[2:])
        said = capsys.readouterr().out
        sys.stdout.write(printed)
        return SimpleNamespace(stdout=said)

    monkeypatch.setattr(evaluate, "subprocess", SimpleNamespace(run=here))
    evaluate.main(["--quick"])
    printed = capsys.readouterr().out
    assert "Evaluation, 20-16-4, 30 images" in printed
    assert "share of that rate" in printed
    assert "MiB above" in printed or "does not say" in printed


@pytest.mark.slow
def test_the_memory_of_a_stream_is_read_in_a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred times as many examples take at most 8 MiB more; as a whole they take 40 MB."""
    monkeypatch.syspath_prepend(FOLDER)
    found = import_module("scaling").stream_in_child((5_000, 500_000))
    for name in ("scaling", "_timing"):
        sys.modules.pop(name, None)
    assert [mark for mark, _, _ in found] == [5_000, 500_000]
    assert 0.0 < found[0][1] <= found[1][1] < found[0][1] + 8.0
