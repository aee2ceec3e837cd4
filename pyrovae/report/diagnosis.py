"""Diagnosis: what a run's numbers say about it in plain words, the gravest first."""

from pyrovae.report.facts import Facts
from pyrovae.report.rules import RULES, Finding, Level

LEVELS: tuple[Level, ...] = ("problem", "warning", "note")


def diagnose(facts: Facts) -> list[Finding]:
    """Return what stands out in a run, the gravest first.

    Example:
        >>> [found.title for found in diagnose(Facts(dimensions=8, active=0, beta=20.0))]
        ['Posterior collapse: all 8 latent dimensions are unused']
        >>> diagnose(Facts(dimensions=8, active=8))
        []
    """
    found = [finding for rule in RULES if (finding := rule(facts)) is not None]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def unchecked(facts: Facts) -> list[str]:
    """Return what could not be looked at, each with what it would have needed.

    Example:
        >>> unchecked(Facts(dimensions=8, active=8, valid=(3.0,), train=(3.0,), evaluated=True))
        []
    """
    missing = []
    if facts.active is None:
        missing.append("collapsed units (no evaluation, nor a model with enough held-out data)")
    if not facts.train:
        missing.append("the course of training (no metrics.jsonl)")
    elif not facts.valid:
        missing.append("overfitting (no validation data)")
    if not facts.evaluated:
        missing.append("importance weights (no evaluation)")
    return missing
