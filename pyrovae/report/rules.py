"""Rules: each finds one thing that may stand out in a run, and knows its usual remedy.

A rule is a function of `Facts` that returns a finding or None, so that it can be read, and tested,
by itself. A rule that lacks its facts is silent.
"""

from dataclasses import dataclass
from shlex import quote
from typing import Literal

from pyrovae.report.facts import Facts
from pyrovae.report.trends import gain, gap, rise

Level = Literal["problem", "warning", "note"]

_POOR = 5  # effective samples below the samples by this factor are poor, as in `evaluate`
_NOTHING = 0.1  # nats of KL, below which z tells next to nothing about x
_FLOORED = 0.01  # the share of scales at their floor that is worth a word


@dataclass(frozen=True)
class Finding:
    """One thing that stands out in a run.

    Arguments:
        level: "problem" spoils the results, "warning" harms them, "note" is good to know.
        title: what it is, in a few words.
        text: the numbers that say so, and what it means.
        remedy: what usually helps.
    """

    level: Level
    title: str
    text: str
    remedy: str


def failed(facts: Facts) -> Finding | None:
    """Find a run that was stopped because a number was none."""
    if facts.failure is None:
        return None
    kept = (
        f" The weights kept are those of epoch {facts.best_epoch}, from before the failure."
        if facts.best_epoch is not None
        else ""
    )
    return Finding(
        "problem",
        "The run was stopped: a number was not finite",
        f"{_sentence(facts.failure)}{kept}",
        "Lower the rate (`--optimizer.lr`), let it rise slowly (`--warmup 500`), clip gradients "
        "(`--clip 10`); look for outliers in the data and standardise them; do not let a scale "
        "shrink without bounds (a fixed `--model.likelihood.scale`).",
    )


def unfinished(facts: Facts) -> Finding | None:
    """Find a run that did not come to its end."""
    if facts.finished is not False or facts.failure is not None:
        return None
    of = "" if facts.planned is None else f" of {facts.planned}"
    again = (
        f"`pyrovae train --resume {quote(facts.name)}` goes on where it stopped."
        if facts.checkpoint
        else f"Train again: `pyrovae train --config {quote(facts.name + '/config.yaml')}`"
    )
    return Finding(
        "problem",
        "The run did not finish",
        f"{facts.epochs}{of} epochs are recorded, and nothing says that training ended: it was "
        f"stopped from outside, or is still running.",
        again,
    )


def unreadable(facts: Facts) -> Finding | None:
    """Find a model that is there and cannot be read."""
    if facts.unreadable is None:
        return None
    return Finding(
        "problem",
        "The model cannot be read",
        _sentence(facts.unreadable),
        "A class of your own is named by `--allow PACKAGE`; a later format needs a later pyrovae; "
        "where the weights are damaged or not finite, train again.",
    )


def not_finite(facts: Facts) -> Finding | None:
    """Find an evaluation without a number."""
    if not facts.evaluated or facts.log_prob is not None:
        return None
    return Finding(
        "problem",
        "log p(x) is not finite",
        "Some held-out data have no finite density under the model.",
        "Look for held-out data unlike any of the training data, and at the finding on a failed "
        "run, if there is one.",
    )


def collapsed(facts: Facts) -> Finding | None:
    """Find latent dimensions that the posterior does not use."""
    empty = facts.kl is not None and facts.kl < _NOTHING
    if facts.dimensions is None or (facts.active is None and not empty):
        return None
    active = facts.dimensions if facts.active is None else facts.active
    if active >= facts.dimensions and not empty:
        return None
    unused = facts.dimensions - active
    heavy = facts.beta is not None and facts.beta > 1.0
    lower = f"Lower beta, which is {facts.beta:g} (`--objective.beta 1`). " if heavy else ""
    common = (
        "Let the weight of the KL term rise from zero (`--objective.beta Ramp "
        "--objective.beta.steps 2000`), give each dimension free bits "
        "(`--objective.free_bits 0.1`), or make the decoder weaker."
    )
    if facts.active == 0:
        every = "the latent dimension is" if unused == 1 else f"all {unused} latent dimensions are"
        return Finding(
            "problem",
            f"Posterior collapse: {every} unused",
            "q(z | x) is the same for every x, so z carries nothing about the data: "
            "reconstructions are one average, and samples do not depend on z.",
            f"{lower}{common}",
        )
    if empty:
        return Finding(
            "problem",
            "Posterior collapse: z carries next to nothing",
            f"The mean KL bounds what z tells about x: {facts.kl:.2g} nats per datum. "
            f"Reconstructions are almost one average.",
            f"{lower}{common}",
        )
    grave = 2 * unused > facts.dimensions
    enough = f"Where {facts.active} are enough, nothing needs to be done, or choose fewer."
    return Finding(
        "warning" if heavy or grave else "note",
        f"{unused} of {facts.dimensions} latent dimensions {'is' if unused == 1 else 'are'} unused",
        f"The posterior mean of {'it' if unused == 1 else 'these'} hardly varies over the data (a "
        f"variance below 0.01). A model may prune dimensions that it does not need.",
        f"{enough} Otherwise: {lower[:1].lower()}{lower[1:]}{common[:1].lower()}{common[1:]}",
    )


def overfitting(facts: Facts) -> Finding | None:
    """Find a model that fits its training data better than others."""
    if facts.failure is not None:
        return None
    risen = rise(facts.valid, facts.train)
    apart = gap(facts.valid, facts.train, facts.error)
    if risen is None and apart is None:
        return None
    said = []
    if risen is not None:
        said.append(
            f"the validation loss rose by {_nats(risen)} from its lowest while the training loss "
            f"went on falling"
        )
    if apart is not None:
        said.append(f"training data ended {_nats(apart)} per datum better than validation data")
    kept = (
        f" The weights kept are those of epoch {facts.best_epoch}, the best on validation data."
        if facts.best_epoch is not None
        else ""
    )
    return Finding(
        "warning",
        "Overfitting",
        f"{_sentence(', and '.join(said))}{kept}",
        "More data, smaller networks (`--model.encoder.hidden`, `--model.decoder.hidden`), weight "
        "decay (`--optimizer AdamW --optimizer.weight_decay 0.01`), or an early end "
        "(`--patience 10`).",
    )


def poor_weights(facts: Facts) -> Finding | None:
    """Find an estimate of log p(x) whose importance weights are poor, as `evaluate` warns."""
    if facts.ess is None or facts.samples is None or facts.ess * _POOR >= facts.samples:
        return None
    bias = facts.bias
    low = "too low" if bias is None else f"too low, by about {bias:.2g} nats or more"
    small = bias is not None and facts.error is not None and 2.0 * bias < facts.error
    against = f"That is less than half its error over data, {facts.error:.2g}. " if small else ""
    return Finding(
        "note" if small else "warning",
        "Poor importance weights",
        f"The mean effective sample size is {facts.ess:.1f} of {facts.samples}, below a fifth, so "
        f"log p(x) is {low}. {against}The model may be better than the number says.",
        f"More samples (`pyrovae evaluate {quote(facts.name)} --samples {10 * facts.samples}`), "
        f"or a posterior that comes closer to p(z | x) (`--model.posterior FullRankNormal`, or a "
        f"larger encoder).",
    )


def floored(facts: Facts) -> Finding | None:
    """Find a likelihood whose scale has shrunk to the smallest that is allowed."""
    if facts.floored is None or facts.floored < _FLOORED:
        return None
    return Finding(
        "problem",
        "The likelihood's scale is at its floor",
        f"{facts.floored:.0%} of the scales of p(x | z) are as small as they may be. The density "
        f"there is as high as the floor allows, so log p(x) says where the floor is, and little "
        f"about the model.",
        "Leave out elements of x that never change; add noise of the size of the measuring error "
        "or rounding; share one scale (`--model.likelihood.scale shared`) or fix it "
        "(`--model.likelihood.scale 0.1`); score counts as counts (Binomial).",
    )


def posterior_floored(facts: Facts) -> Finding | None:
    """Find a posterior that has shrunk to points."""
    if facts.posterior_floored is None or facts.posterior_floored < _FLOORED:
        return None
    return Finding(
        "warning",
        "The posterior's scale is at its floor",
        f"{facts.posterior_floored:.0%} of the scales of q(z | x) are as small as they may be: the "
        f"model is close to a plain autoencoder, and samples from the prior may look unlike data.",
        "Raise beta (`--objective.beta 1`); look for data that repeat; standardise the data.",
    )


def too_few_epochs(facts: Facts) -> Finding | None:
    """Find a run that was still getting better when its epochs were over."""
    ended = facts.finished is not False and facts.failure is None
    by_patience = bool(facts.stopped) and not facts.stopped.startswith("all ")
    if not ended or by_patience or facts.epochs == 0:
        return None
    more = max(20, 2 * (facts.planned or facts.epochs))
    longer = (
        f"`pyrovae train --resume {quote(facts.name)} --epochs {more}` goes on from the last epoch."
        if facts.checkpoint
        else f"Train longer (`--epochs {more}`), with `--patience 10` to end by itself."
    )
    if facts.epochs < 3:
        return Finding(
            "warning",
            f"Only {facts.epochs} epoch{'s were' if facts.epochs > 1 else ' was'} trained",
            "That is too few to see where training was going.",
            longer,
        )
    gained = gain(facts.valid or facts.train)
    if gained is None:
        return None
    which = "validation" if facts.valid else "training"
    return Finding(
        "warning",
        "Still improving at the last epoch",
        f"Over the last fifth of the epochs the {which} loss still fell by {_nats(gained)} per "
        f"datum, so the model is not as good as it can get.",
        longer,
    )


RULES = (
    failed,
    unfinished,
    unreadable,
    not_finite,
    collapsed,
    floored,
    overfitting,
    too_few_epochs,
    poor_weights,
    posterior_floored,
)


def _nats(value: float) -> str:
    return f"{value:.3g} nats"


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
