"""Classification: how well labels are told from data, each number with its interval."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyrovae.evaluation.result import plain

_Z = 1.959963984540054  # the standard normal's 97.5 % quantile
_SCALARS = ("labelled", "log_prob", "accuracy", "error", "calibration_error", "rmse", "coverage")


@dataclass(frozen=True)
class Calibration:
    """How often the likeliest class is right where its probability is about so large.

    Only bins that hold data are kept, in the order of their confidence.

    Arguments:
        confidence: the mean probability of the likeliest class in each bin.
        accuracy: the share of these data whose label it is.
        count: how many data a bin holds.
    """

    confidence: Tensor
    accuracy: Tensor
    count: Tensor

    @property
    def error(self) -> float:
        """The mean distance of confidence and accuracy, over data."""
        gap = (self.confidence - self.accuracy).abs()
        return float((gap * self.count).sum() / self.count.sum())

    def to_dict(self) -> dict[str, Any]:
        """Return the bins as plain Python, for JSON."""
        return plain(vars(self))


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What `classification` and `feature_classification` return, of the data whose label is known.

    Labels are classes or real numbers; what is said of the others alone is None. Intervals are of
    95 %, over data as draws of a population, after Wilson (1927).

    Arguments:
        labelled: how many data have a known label.
        by: what told the labels: the model's q(y | x), or a classifier on its features.
        trained_on: how many labels a classifier on features was trained on; None for the model's
            own.
        log_prob: the mean log q(y | x) of the labels in nats; None where there is no q(y | x).
        accuracy: the share of data whose likeliest class is their label.
        accuracy_interval: its interval.
        calibration: the calibration of the likeliest class's probability, None where there is none.
        confusion: how many data of each label, down, were given each class, across.
        rmse: the root of the mean squared distance of E[y | x] and y, over data and elements of y.
        coverage: the share of y within the central interval of q(y | x) that should hold 90 %.
        coverage_interval: its interval; elements of one y count as one datum.
    """

    labelled: int
    by: str
    trained_on: int | None = None
    log_prob: float | None = None
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    calibration: Calibration | None = None
    confusion: Tensor | None = None
    rmse: float | None = None
    coverage: float | None = None
    coverage_interval: tuple[float, float] | None = None

    @property
    def error(self) -> float | None:
        """The share of data whose likeliest class is not their label."""
        return None if self.accuracy is None else 1.0 - self.accuracy

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error (Naeini et al., 2015), in bins of equal width."""
        return None if self.calibration is None else self.calibration.error

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain Python, for JSON; what is None is left out.

        log q(y | x) is called `label_log_prob`, and who told the labels `label_by`, since they
        stand beside what `evaluate` says of x.
        """
        found: dict[str, Any] = {"label_by": self.by, "label_trained_on": self.trained_on}
        found |= {name: getattr(self, name) for name in _SCALARS}
        found["label_log_prob"] = found.pop("log_prob")
        for name in ("accuracy_interval", "coverage_interval"):
            ends = getattr(self, name)
            found[name] = None if ends is None else list(ends)
        if self.calibration is not None:
            found["calibration"] = self.calibration.to_dict()
        found["confusion"] = None if self.confusion is None else self.confusion.tolist()
        missing = {name for name, value in found.items() if value is None}
        return {name: value for name, value in plain(found).items() if name not in missing}

    @property
    def headline(self) -> str:
        """The number that counts, in one line."""
        if self.accuracy is None or self.accuracy_interval is None:
            return f"RMSE {self.rmse:.4g} of y"
        low, high = (f"{100.0 * end:.1f}" for end in self.accuracy_interval)
        return f"accuracy {100.0 * self.accuracy:.1f} % ({low} to {high})"

    def __str__(self) -> str:
        learned = "" if self.trained_on is None else f", trained on {self.trained_on} labels"
        lines = [f"labels of {self.labelled} data, by {self.by}{learned}"]
        rows: list[tuple[str, str, str]] = []
        if self.accuracy is not None and self.accuracy_interval is not None:
            low, high = (f"{100.0 * end:.1f}" for end in self.accuracy_interval)
            percent = f"{100.0 * self.accuracy:10.1f}"
            rows.append(("accuracy", percent, f"%, {low} to {high} (95 % interval, data)"))
        if self.rmse is not None:
            rows.append(("RMSE", f"{self.rmse:10.4g}", "of E[y | x], in units of y"))
        if self.log_prob is not None:
            rows.append(("log q(y | x)", f"{self.log_prob:10.4f}", "nats per label"))
        if self.calibration_error is not None:
            known = "of the likeliest class's probability"
            rows.append(("calibration error", f"{self.calibration_error:10.4f}", known))
        if self.coverage is not None and self.coverage_interval is not None:
            low, high = (f"{100.0 * end:.1f}" for end in self.coverage_interval)
            rows.append(
                ("coverage", f"{100.0 * self.coverage:10.1f}", f"% within 90 %, {low} to {high}")
            )
        return "\n".join([*lines, *(f"  {a:20}{b}  {c}" for a, b, c in rows)])


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of independent data.

    References:
        Wilson, 1927, Probable inference, the law of succession, and statistical inference.

    Arguments:
        share: the share that was seen, from 0 to 1.
        count: of how many data.

    Example:
        >>> [round(end, 3) for end in wilson(0.975, 10_000)]
        [0.972, 0.978]
    """
    weight = _Z * _Z / count
    middle = (share + weight / 2.0) / (1.0 + weight)
    half = _Z / (1.0 + weight) * math.sqrt(share * (1.0 - share) / count + weight / (4.0 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def calibrated(confidence: Tensor, right: Tensor, *, bins: int) -> Calibration:
    """Return how often a class is right where it is given a probability.

    Arguments:
        confidence: the probability of the likeliest class of each datum, of shape `[N]`.
        right: whether it is the label, boolean.
        bins: into how many parts of equal width 0 to 1 is cut.

    Example:
        >>> made = calibrated(torch.tensor([0.9, 0.9, 0.55]), torch.tensor([1, 0, 1]) > 0, bins=10)
        >>> made.count.tolist(), round(made.error, 3)
        ([1, 2], 0.417)
    """
    confidence = confidence.double()
    at = (confidence * bins).ceil().long().clamp(1, bins) - 1  # a bin holds its upper end
    count = torch.bincount(at, minlength=bins)
    total = torch.zeros(bins, dtype=torch.float64).index_add_(0, at, confidence)
    hits = torch.zeros(bins, dtype=torch.float64).index_add_(0, at, right.double())
    kept = count > 0
    return Calibration(total[kept] / count[kept], hits[kept] / count[kept], count[kept])


def of_classes(
    predicted: Tensor,
    labels: Tensor,
    *,
    logits: Tensor | None,
    levels: int,
    bins: int,
    **about: Any,
) -> Classification:
    """Return the numbers of labels that are classes.

    Arguments:
        predicted: the class that was told of each datum, of shape `[N]`.
        labels: its label.
        logits: the logarithms of the probabilities, of shape `[N, levels]`; None for none.
        levels: how many classes there are.
        bins: of the calibration curve.
        **about: what else the record holds.
    """
    count = len(labels)
    right = predicted == labels
    accuracy = float(right.double().mean())
    both = labels * levels + predicted
    confusion = torch.bincount(both, minlength=levels * levels).reshape(levels, levels)
    score, calibration = None, None
    if logits is not None:
        logits = logits.double()
        score = float(logits.gather(-1, labels.unsqueeze(-1)).mean())
        calibration = calibrated(logits.amax(-1).exp(), right, bins=bins)
    return Classification(
        labelled=count,
        log_prob=score,
        accuracy=accuracy,
        accuracy_interval=wilson(accuracy, count),
        calibration=calibration,
        confusion=confusion,
        **about,
    )


def of_numbers(
    told: Tensor, labels: Tensor, *, log_prob: Tensor | None, inside: Tensor | None, **about: Any
) -> Classification:
    """Return the numbers of labels that are real numbers.

    Arguments:
        told: what was told of each label, of shape `[N, *shape]`.
        labels: the labels.
        log_prob: log q(y | x) of each datum; None for none.
        inside: whether each element lies within its interval; None where there is none.
        **about: what else the record holds.
    """
    count = len(labels)
    share = None if inside is None else float(inside.double().mean())
    return Classification(
        labelled=count,
        rmse=float((told.double() - labels.double()).square().mean().sqrt()),
        log_prob=None if log_prob is None else float(log_prob.double().mean()),
        coverage=share,
        coverage_interval=None if share is None else wilson(share, count),
        **about,
    )
