"""The diagnosis: each rule fires where it should, and is silent where it should not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pyrovae.report import Facts, diagnose
from pyrovae.report.diagnosis import LEVELS, unchecked
from pyrovae.report.rules import RULES
from pyrovae.report.trends import gain, gap, jitter, rise


def noisy(curve: np.ndarray, spread: float, seed: int = 0) -> tuple[float, ...]:
    return tuple(curve + spread * np.random.default_rng(seed).standard_normal(len(curve)))


EPOCHS = np.arange(60.0)
FALLING = 100.0 + 100.0 * np.exp(-EPOCHS / 6.0)  # settled well before the end
SLOW = 100.0 + 100.0 * np.exp(-EPOCHS / 40.0)  # not settled at all
U_SHAPED = FALLING + 0.4 * np.clip(EPOCHS - 25.0, 0.0, None)

SOUND = Facts(
    name="runs/a",
    epochs=60,
    planned=60,
    train=noisy(FALLING, 0.3),
    valid=noisy(FALLING + 1.0, 0.5, seed=1),
    best_epoch=55,
    stopped="all 60 epochs are done",
    finished=True,
    checkpoint=True,
    beta=1.0,
    kl=12.0,
    dimensions=8,
    active=8,
    samples=1000,
    ess=400.0,
    bias=0.01,
    error=0.5,
    evaluated=True,
    log_prob=-99.0,
    floored=0.0,
    posterior_floored=0.0,
)

# What is changed about a sound run, the title of what is then found, its level, and a word of the
# text and of the remedy.
FOUND = {
    "failed": (
        {"failure": "the loss is nan in step 7: site 'x'"},
        ("The run was stopped: a number was not finite", "problem", "in step 7", "--clip"),
    ),
    "unfinished": (
        {"finished": False, "epochs": 12, "stopped": ""},
        ("The run did not finish", "problem", "12 of 60", "train --resume runs/a"),
    ),
    "unfinished, no checkpoint": (
        {"finished": False, "checkpoint": False},
        ("The run did not finish", "problem", "epochs", "train --config runs/a/config.yaml"),
    ),
    "unreadable": (
        {"unreadable": "the weights are damaged"},
        ("The model cannot be read", "problem", "The weights are damaged.", "--allow"),
    ),
    "not finite": (
        {"log_prob": None},
        ("log p(x) is not finite", "problem", "no finite density", "held-out data"),
    ),
    "all collapsed": (
        {"active": 0, "beta": 20.0},
        (
            "Posterior collapse: all 8 latent dimensions are unused",
            "problem",
            "same for every x",
            "beta, which is 20",
        ),
    ),
    "the only one collapsed": (
        {"active": 0, "dimensions": 1},
        ("Posterior collapse: the latent dimension is unused", "problem", "same", "free_bits"),
    ),
    "next to nothing": (
        {"kl": 0.02},
        ("Posterior collapse: z carries next to nothing", "problem", "0.02 nats", "free_bits"),
    ),
    "next to nothing, in too few data to count active ones": (
        {"kl": 0.02, "active": None},
        ("Posterior collapse: z carries next to nothing", "problem", "0.02 nats", "free_bits"),
    ),
    "some unused": (
        {"active": 7},
        ("1 of 8 latent dimensions is unused", "note", "0.01", "Where 7 are enough"),
    ),
    "most unused": (
        {"active": 2},
        ("6 of 8 latent dimensions are unused", "warning", "0.01", "Ramp"),
    ),
    "some unused under a large beta": (
        {"active": 7, "beta": 4.0},
        ("1 of 8 latent dimensions is unused", "warning", "0.01", "lower beta, which is 4"),
    ),
    "validation rises": (
        {"valid": noisy(U_SHAPED, 0.5), "best_epoch": 26},
        ("Overfitting", "warning", "rose by", "--patience"),
    ),
    "training runs ahead": (
        {"valid": noisy(FALLING + 30.0, 0.5)},
        ("Overfitting", "warning", "better than validation", "weight_decay"),
    ),
    "too few epochs": (
        {"train": noisy(SLOW, 0.3), "valid": noisy(SLOW + 1.0, 0.5)},
        ("Still improving at the last epoch", "warning", "validation loss", "--epochs 120"),
    ),
    "too few epochs, a checkpoint": (
        {"train": noisy(SLOW, 0.3), "valid": (), "name": "runs/a"},
        ("Still improving at the last epoch", "warning", "loss", "--resume runs/a --epochs 120"),
    ),
    "too few epochs, no validation": (
        {"checkpoint": False, "train": noisy(SLOW, 0.3), "valid": ()},
        ("Still improving at the last epoch", "warning", "training loss", "--epochs 120"),
    ),
    "one epoch": (
        {"epochs": 1, "planned": 1, "train": (9.0,), "valid": (9.0,)},
        ("Only 1 epoch was trained", "warning", "too few", "--epochs 20"),
    ),
    "poor weights, little harm": (
        {"ess": 150.0, "bias": 0.1},
        ("Poor importance weights", "note", "150.0 of 1000", "evaluate runs/a --samples 10000"),
    ),
    "poor weights, much harm": (
        {"ess": 3.0, "bias": 2.0},
        ("Poor importance weights", "warning", "by about 2 nats", "FullRankNormal"),
    ),
    "floor": (
        {"floored": 0.25},
        ("The likelihood's scale is at its floor", "problem", "25%", "scale shared"),
    ),
    "posterior's floor": (
        {"posterior_floored": 0.5},
        ("The posterior's scale is at its floor", "warning", "50%", "beta"),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_rule_fires_where_it_should_and_no_other_does(name: str) -> None:
    changed, (title, level, text, remedy) = FOUND[name]
    found = diagnose(replace(SOUND, **changed))
    assert [finding.title for finding in found] == [title]
    assert found[0].level == level
    assert text in found[0].text
    assert remedy in found[0].remedy


def test_nothing_stands_out_in_a_sound_run() -> None:
    assert diagnose(SOUND) == []
    assert unchecked(SOUND) == []


def test_every_rule_is_exercised() -> None:
    fired = {
        rule.__name__
        for changed, _ in FOUND.values()
        for rule in RULES
        if rule(replace(SOUND, **changed)) is not None
    }
    assert fired == {rule.__name__ for rule in RULES}


def test_rules_without_facts_are_silent_and_said_to_be() -> None:
    assert diagnose(Facts()) == []
    assert len(unchecked(Facts())) == 3
    missing = unchecked(replace(SOUND, valid=()))
    assert missing == ["overfitting (no validation data)"]


def test_the_gravest_comes_first() -> None:
    facts = replace(SOUND, active=7, ess=3.0, bias=2.0, log_prob=None, floored=1.0)
    levels = [finding.level for finding in diagnose(facts)]
    assert levels == sorted(levels, key=LEVELS.index)
    assert set(levels) == set(LEVELS)


@pytest.mark.parametrize(
    "changed",
    [
        {"stopped": "the validation loss has not improved for 9 epochs"},  # patience has spoken
        {"finished": False},
        {"failure": "the loss is nan"},
    ],
)
def test_an_end_that_was_not_the_last_epoch_does_not_ask_for_more(changed: dict) -> None:
    facts = replace(SOUND, train=noisy(SLOW, 0.3), valid=noisy(SLOW, 0.5), **changed)
    assert "Still improving" not in " ".join(finding.title for finding in diagnose(facts))


def test_a_name_for_the_shell_is_quoted() -> None:
    found = diagnose(replace(SOUND, name="runs/a b", ess=3.0))
    assert "evaluate 'runs/a b' --samples" in found[0].remedy


# ------------------------------------------------------------------------------------------ trends


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("epochs", [5, 8, 12, 30, 60, 300])
def test_a_settled_course_shows_no_trend(epochs: int, seed: int) -> None:
    """False alarms over 2000 other seeds: at most 1 in 100 for a rise, 1 in 1000 for the others."""
    steps = np.arange(float(epochs))
    train = noisy(50.0 + 50.0 * np.exp(-12.0 * steps / epochs), 0.3, seed)
    valid = noisy(50.5 + 50.0 * np.exp(-12.0 * steps / epochs), 0.5, seed + 1000)
    assert rise(valid, train) is None
    assert gap(valid, train, 0.5) is None
    assert gain(valid) is None


def test_courses_of_one_number_and_of_none() -> None:
    flat = (3.0,) * 40
    for course in ((), (3.0,), (3.0, 3.0), flat):
        assert rise(course, course) is None
        assert gap(course, course, None) is None
        assert gain(course) is None
    assert jitter(flat) == 0.0


def test_courses_with_nan_are_not_judged() -> None:
    valid = [*U_SHAPED[:-1], math.nan]
    assert rise(valid, list(FALLING)) is None
    assert gap(valid, list(FALLING), None) is None
    assert gain([*SLOW[:-1], math.nan]) is None


def test_the_numbers_are_those_of_the_curves() -> None:
    """Without noise: 34 epochs of 0.4 nats, less what means over six epochs take off both ends."""
    falling = tuple(200.0 - EPOCHS)
    risen = rise(tuple(U_SHAPED), falling)
    assert risen is not None
    smooth = np.convolve(U_SHAPED, np.ones(6) / 6, "valid")
    assert math.isclose(risen, smooth[-1] - smooth.min())
    apart = gap(tuple(np.array(falling) + 40.0), falling, 0.1)
    assert apart is not None
    assert math.isclose(apart, 40.0)
    gained = gain(falling)
    assert gained is not None
    assert math.isclose(gained, 12.0)  # a fifth of sixty epochs, one nat each


def test_a_rise_of_both_losses_is_no_overfitting() -> None:
    """A run that diverges loses on its training data as well."""
    assert rise(tuple(U_SHAPED), tuple(U_SHAPED)) is None


def test_units_do_not_matter() -> None:
    """The same course a thousand times as small says the same, a thousand times as small."""
    small = rise(tuple(1e-1 * U_SHAPED), tuple(1e-1 * FALLING))
    large = rise(tuple(1e3 * U_SHAPED), tuple(1e3 * FALLING))
    assert small is not None
    assert large is not None
    assert math.isclose(large, 1e4 * small, rel_tol=1e-6)
