"""The catalogue of bad inputs: configuration files, parts, objectives, optimisers, schedulers."""

from pathlib import Path

import numpy as np
import pytest
from catalogue import Capture, Stage, case, refused, stage

A_CLASS = "a class is written as class_path and, under init_args, its arguments"
SMALL = "--model.encoder.hidden 4 --model.decoder.hidden 4 --epochs 1"


def text(content: str) -> Stage:
    """Return a stage that writes a text file."""
    return lambda path: path.write_text(content, encoding="utf-8")


def rows(path: Path) -> None:
    np.save(path, np.random.default_rng(0).normal(size=(100, 3)))


STAGES: dict[str, Stage] = {
    "rows.npy": rows,
    "folder": lambda path: path.mkdir(),
    "good.yaml": text("epochs: 3"),
    "broken.yaml": text("epochs: [1, 2\nseed: }"),
    "list.yaml": text("- epochs"),
    "word.yaml": text("epochs"),
    "numbers.yaml": text("3: 4"),
    "twice.yaml": text("epochs: 1\nepochs: 2"),
    "tag.yaml": text("epochs: !!python/object/apply:os.system ['echo']"),
    "alias.yaml": text("seed: &one 1\nepochs: *one"),
    "tab.yaml": text("model:\n\tinit_args: 3"),
    "two.yaml": text("epochs: 3\n---\nepochs: 4"),
    "picture.yaml": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe"),
    "large.yaml": text("# a comment\n" * 200_000),
    "deep.yaml": text("epochs: " + "[" * 2_000 + "]" * 2_000),
    "misspelt.yaml": text("epoch: 3\nmodel: {init_args: {prio: StandardNormal}}"),
    "null.yaml": text("batch_size:"),
    "mapping.yaml": text("epochs: {a: 1}"),
    "bare.yaml": text("optimizer: {lr: 1e-3}"),
    "mixed.yaml": text("data: {class_path: Digits, seed: 3}"),
    "listed.yaml": text("model: {init_args: {prior: [VampPrior]}}"),
    "empty_name.yaml": text("model: {init_args: {prior: ''}}"),
    "number_name.yaml": text("model: {init_args: {prior: {class_path: 3}}}"),
    "infinite.yaml": text(
        "model: {init_args: {prior: {class_path: VampPrior, init_args: {dim: .inf}}}}"
    ),
    "null_byte.yaml": text('data: {class_path: Arrays, init_args: {path: "a\\0b.npy"}}'),
    "trap.yaml": text("optimizer: {class_path: Adam, init_args: {lr: trap.Mine}}"),
    "trap.py": text("raise SystemExit('imported')"),
}

FILES = [
    case("train --config god.yaml", "god.yaml", "did you mean 'good.yaml'?"),
    case("train --config folder", "folder is a folder", "expected a file of settings"),
    case("train --config broken.yaml", "broken.yaml cannot be read", "line 2, column"),
    case("train --config list.yaml", "list.yaml is no configuration", "settings by name"),
    case("train --config word.yaml", "word.yaml is no configuration", "settings by name"),
    case("train --config numbers.yaml", "numbers.yaml is no configuration", "settings by name"),
    case("train --config twice.yaml", "the key 'epochs'", "given twice"),
    case("train --config tag.yaml", "tag.yaml cannot be read", "os.system"),
    case("train --config alias.yaml", "*one", "aliases"),
    case("train --config tab.yaml", "tab.yaml cannot be read", "line 2, column 1"),
    case("train --config two.yaml", "two.yaml cannot be read", "another document"),
    case("train --config picture.yaml", "picture.yaml is no configuration", "no text in UTF-8"),
    case("train --config large.yaml", "2400000 bytes", "250000 are the most"),
    case("train --config deep.yaml", "nested too deeply", "more than 80 levels"),
    case("train --config misspelt.yaml", "'epoch'; did you mean 'epochs'", "did you mean 'prior'"),
    case("train --config good.yaml --config misspelt.yaml", "'epoch'", "did you mean 'epochs'"),
    case("train --config null.yaml", "batch_size: ", "expected an integer; got None"),
    case("train --config mapping.yaml", "{'a': 1}", "expected an integer"),
    case("train --config bare.yaml", "{'lr': 0.001}", A_CLASS),
    case("train --config mixed.yaml", "data: ", A_CLASS),
    case("train --config listed.yaml", "['VampPrior']", "expected a Prior"),
    case("train --config empty_name.yaml", "model.prior: name a Prior", "StandardNormal"),
    case("train --config number_name.yaml", "model.prior: ", A_CLASS),
    case("train --config infinite.yaml", "model.prior.dim", "expected an integer; got inf"),
    case("train --config null_byte.yaml", r"there is no file a\x00b.npy", "check the path"),
    case("train --config trap.yaml", "'trap.Mine'", "expected a number"),
]

PARTS = [
    case("train --model.prio VampPrior", "'prio'", "did you mean 'prior'?"),
    case("train --model VEA", "'VEA'", "did you mean 'VAE'?"),
    case("train --model null", "'null'", "there are: AuxiliaryVAE, "),
    case("train --model.prior VampPrio", "'VampPrio'", "did you mean 'VampPrior'?"),
    case("train --model.prior Ωmega", "'Ωmega'", "there are: BernoulliCode"),
    case("train --model.prior 'Vamp\nPrior'", r"'Vamp\nPrior'", "did you mean 'VampPrior'?"),
    case("train --model.prior Bernoulli", "'Bernoulli'", "did you mean 'BernoulliCode'"),
    case("train --model.prior null", "'null'", "there are: BernoulliCode"),
    case("train --model.prior.components 3", "'components'", "there are: dim"),
    case("train --model.prior.dim.x 3", "model.prior.dim", "takes an integer"),
    case("train --model.prior.dim 0", "got 0", "dim to be a positive integer"),
    case("train --model.prior.dim -2", "got -2", "dim to be a positive integer"),
    case("train --model.prior.dim 99999999999", "got 99999999999", "below 2**31"),
    case("train --model.prior VampPrior --model.prior.components 0", "got 0", "components"),
    case("train --model.encoder.hidden x", "'x'", "expected a list of integers"),
    case("train --model.encoder.hidden [8,,8]", "'[8,,8]'", "expected a list of integers"),
    case("train --model.encoder.hidden [1.5]", "'[1.5]'", "expected a list of integers"),
    case("train --model.encoder.hidden 0", "(0,)", "hidden to be positive integers"),
    case("train --model.encoder.activation rleu", "'rleu'", "did you mean 'relu'?"),
    case("train --model.posterior MeanField", "'MeanField'", "did you mean 'MeanFieldNormal'?"),
    case("train --model.posterior.scale 3", "MeanFieldNormal has no argument", "'scale'"),
    case("train --model.likelihood Bernouli", "'Bernouli'", "did you mean 'Bernoulli'?"),
    case("train --model.likelihood.scale shared", "name a Likelihood first", "there are: Bern"),
    case("train --data rows.npy --model.encoder Conv", "(3,) to (64,)", "MLP takes any shapes"),
    case("train --data rows.npy --model.decoder Conv", "(32,) to (3,)", "MLP takes any shapes"),
]

LIKELIHOODS = [
    case(
        "train --model.likelihood Normal --model.likelihood.scale -1", "got -1.0", "at least 0.0001"
    ),
    case("train --model.likelihood Normal --model.likelihood.scale .nan", "got nan", "'shared'"),
    case(
        "train --model.likelihood Normal --model.likelihood.scale sharde", "did you mean 'shared'"
    ),
    case(
        "train --model.likelihood Normal --model.likelihood.event_shape [4]",
        "Digits() has [1, 8, 8]; got [4]",
        "leave it out",
    ),
    case(f"train {SMALL} --model.likelihood Bernoulli", "x[0, 0, 0, 2] = 5", "binarise the data"),
    case(
        f"train {SMALL} --model.likelihood Binomial --model.likelihood.total_count 4",
        "= 5 (support: integers from 0 to 4)",
        "raise total_count",
    ),
    case(
        "train --model.likelihood Binomial --model.likelihood.total_count 0",
        "got 0",
        "total_count to be a positive integer",
    ),
    case(
        "train --data rows.npy --model.likelihood Binomial",
        "model.likelihood.total_count: missing",
        "suggests the likelihood Normal",
    ),
    case(
        f"train {SMALL} --data rows.npy --model.likelihood Bernoulli",
        "x[0, 0] = 0.1257",
        "levels in [0, 1] with ContinuousBernoulli",
    ),
]

OBJECTIVES = [
    case("train --objective ELBOO", "'ELBOO'", "did you mean 'ELBO'?"),
    case("train --objective.beta Rmp", "'Rmp'", "did you mean 'Ramp'?"),
    case("train --objective.beta nan", "'nan'", "expected a number or a Schedule"),
    case("train --objective.beta .inf", "got inf", "a finite number"),
    case("train --objective.beta 1e400", "got inf", "a finite number"),
    case("train --objective.beta -1", "got -1.0", "beta of at least 0"),
    case("train --objective.beta.steps 5", "name a Schedule first", "there are: Constant"),
    case("train --objective.beta Ramp --objective.beta.steps 0", "got 0", "at least 1"),
    case("train --objective.beta Ramp --objective.beta.start .nan", "got nan", "a finite start"),
    case("train --objective.beta Cycle --objective.beta.fraction 2", "got 2.0", "in (0, 1]"),
    case("train --objective.kl exact", "'exact'", "'auto', 'analytic', 'sampled'"),
    case("train --objective.particles 0", "got 0", "particles to be a positive integer"),
    case("train --objective.particles 9999999999", "got 9999999999", "below 2**31"),
    case("train --objective IWAE --objective.beta 2", "'beta'", "there are: particles"),
    case("train --objective.free_bits -1", "got -1.0", "at least 0"),
    case("train --objective.free_bits_group 0", "got 0", "a positive integer or 'site'"),
    case(
        f"train {SMALL} --objective.free_bits 1 --objective.free_bits_group 7",
        "divides the 32 of site 'z'; got 7",
        "'site' takes all of them together",
    ),
    case("train --objective Renyi --objective.alpha .inf", "got inf", "alpha=-1e6"),
    case("train --objective MultiplyIWAE --objective.groups 0", "got 0", "a positive integer"),
    case("train --objective Capacity --objective.capacity -1", "got -1.0", "at least 0"),
    case("train --objective CUBO --objective.order 0.5", "got 0.5", "from 1 to 1e6"),
    case(f"train {SMALL} --objective CUBO", "CUBO is an upper bound", "train with ELBO()"),
    case(
        f"train {SMALL} --model.prior GaussianMixture --objective.kl analytic",
        "kl='analytic'",
        "use kl='auto' or kl='sampled'",
    ),
    case(
        f"train {SMALL} --model.prior GaussianMixture --objective.free_bits 1",
        "free_bits floors the KL",
        "use free_bits=0 or factorised parts",
    ),
]

OPTIMISERS = [
    case("train --optimizer Adm", "'Adm'", "did you mean 'Adam'?"),
    case("train --optimizer null", "'null'", "Adam, Adamax, AdamW"),
    case("train --optimizer torch.nn.Linear", "'torch.nn.Linear'", "--allow torch"),
    case("train --optimizer.lrr 1", "'lrr'", "did you mean 'lr'?"),
    case("train --optimizer.lr fast", "'fast'", "expected a number"),
    case("train --optimizer.betas [0.9]", "'[0.9]'", "expected a list of 2 values"),
    case(f"train {SMALL} --optimizer.lr -1", "Adam(lr=-1.0) cannot be made", "learning rate"),
    case(f"train {SMALL} --optimizer.lr .nan --out a/b", "Adam(lr=nan) cannot be", "learning rate"),
    case(f"train {SMALL} --optimizer.lr .inf", "lr=inf", "expected a finite number"),
    case(f"train {SMALL} --optimizer.lr 1e400 --out folder", "lr=inf", "finite number"),
    case(f"train {SMALL} --optimizer.betas [0.9,1.5]", "[0.9, 1.5]", "beta parameter at index 1"),
    case(f"train {SMALL} --optimizer SGD --optimizer.nesterov true", "nesterov=True", "momentum"),
    case(f"train {SMALL} --optimizer LBFGS", "LBFGS cannot be used by fit", "'closure'"),
    case(f"train {SMALL} --optimizer SparseAdam --report false", "SparseAdam", "consider Adam"),
    case("train --scheduler StepLRR", "'StepLRR'", "did you mean 'StepLR'?"),
    case("train --scheduler.gamma 0.1", "name a LRScheduler first", "StepLR"),
    case("train --scheduler StepLR", "scheduler.step_size: missing", "expected an integer"),
    case("train --scheduler MultiStepLR --scheduler.milestones x", "'x'", "a list of integers"),
    case(
        f"train {SMALL} --scheduler StepLR --scheduler.step_size 0",
        "StepLR(step_size=0, gamma=0.1) in step 1",
        "modulo by zero",
    ),
    case(f"train {SMALL} --scheduler ReduceLROnPlateau", "ReduceLROnPlateau", "'metrics'"),
    case(
        f"train {SMALL} --scheduler OneCycleLR --scheduler.max_lr 0.1 --scheduler.total_steps 3",
        "OneCycleLR(total_steps=3",
        "Tried to step 4 times",
    ),
    case(f"train {SMALL} --patience 3 --data.valid 0", "patience=3", "give valid=..."),
]


@pytest.mark.parametrize(
    ("words", "said"), [*FILES, *PARTS, *LIKELIHOODS, *OBJECTIVES, *OPTIMISERS]
)
def test_it_is_refused(
    words: list[str],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # what a configuration names could be imported
    stage([*words, "good.yaml", "trap.py"], STAGES, tmp_path)
    refused(words, said, capsys, tmp_path)
