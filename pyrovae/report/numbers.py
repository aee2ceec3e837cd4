"""Numbers: the evaluation of each run, with its errors, as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from pyrovae.report.reading import RunRecord, number

_NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Number:
    """One entry of the table.

    Arguments:
        value: the number with its error.
        note: what is said beside it.
    """

    value: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Arguments:
        name: the quantity.
        entries: one for each run.
    """

    name: str
    entries: list[Number]


def numbers(records: Sequence[RunRecord]) -> list[Row]:
    """Return the evaluations of runs as rows; no rows where none was evaluated."""
    evaluations = [record.evaluation or {} for record in records]
    if not any(evaluations):
        return []
    rows = [
        Row(name, [Number(_NONE) if not found else entry(found) for found in evaluations])
        for name, entry in _ENTRIES
    ]
    return [row for row in rows if any(entry.value != _NONE for entry in row.entries)]


def missing(record: RunRecord) -> str:
    """Return how to get the evaluation of a run that has none."""
    name = quote(str(record.folder))
    if record.model is None:
        return "There is no model to evaluate."
    data = " --data NAME" if record.config is None else ""
    return f"Not evaluated yet: `pyrovae evaluate {name}{data}`"


def _log_prob(found: dict[str, Any]) -> Number:
    if "log_prob" not in found:  # of a model of labels alone
        return Number(_NONE)
    error, spread = number(found.get("log_prob_error")), number(found.get("log_prob_data_error"))
    samples = number(found.get("samples"))
    parts = []
    if error is not None and samples is not None:
        parts.append(f"Monte Carlo \N{PLUS-MINUS SIGN} {error:.3f}, {samples:.0f} samples")
    bias = number(found.get("log_prob_bias"))
    if bias is not None and bias >= 0.005:
        parts.append(f"too low by about {bias:.2g}, or more")
    return Number(_signed(found.get("log_prob"), spread), "; ".join(parts))


def signed(value: float, digits: int = 2) -> str:
    """Return a number for a reader, with a true minus sign.

    Example:
        >>> signed(-1.234) == "\N{MINUS SIGN}1.23"
        True
    """
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _signed(given: Any, error: float | None = None) -> str:
    value = number(given)
    if value is None:
        return "not finite"
    return signed(value) if error is None else f"{signed(value)} \N{PLUS-MINUS SIGN} {error:.2f}"


def _plain(name: str, note: str = "") -> Callable[[dict[str, Any]], Number]:
    def entry(found: dict[str, Any]) -> Number:
        return Number(_signed(found[name]), note) if name in found else Number(_NONE)

    return entry


def _ess(found: dict[str, Any]) -> Number:
    ess, samples = number(found.get("ess")), number(found.get("samples"))
    if ess is None:
        return Number(_NONE)
    return Number(f"{ess:.1f}", "" if samples is None else f"of {samples:.0f}")


def _active(found: dict[str, Any]) -> Number:
    active, split = number(found.get("active_units")), found.get("kl_per_dimension")
    if active is None:
        return Number(_NONE)
    return Number(f"{active:.0f}", f"of {len(split)}" if isinstance(split, list) else "")


def _bits(found: dict[str, Any]) -> Number:
    bits = number(found.get("bits_per_dim"))
    return Number(_NONE) if bits is None else Number(f"{bits:.4f}")


def _share(name: str, note: str) -> Callable[[dict[str, Any]], Number]:
    def entry(found: dict[str, Any]) -> Number:
        value, ends = number(found.get(name)), found.get(f"{name}_interval")
        if value is None:
            return Number(_NONE)
        within = ""
        if isinstance(ends, list) and len(ends) == 2:
            low, high = (number(end) for end in ends)
            if low is not None and high is not None:
                within = f" ({100.0 * low:.1f} to {100.0 * high:.1f})"
        by = found.get("label_by")
        said = note if note else f"labels by {by}" if isinstance(by, str) else ""
        return Number(f"{100.0 * value:.1f} %{within}", said)

    return entry


def _digits(name: str, digits: int, note: str = "") -> Callable[[dict[str, Any]], Number]:
    def entry(found: dict[str, Any]) -> Number:
        value = number(found.get(name))
        return Number(_NONE) if value is None else Number(signed(value, digits), note)

    return entry


def _data(found: dict[str, Any]) -> Number:
    count, split = number(found.get("data")), found.get("split")
    name = f"{split} data" if isinstance(split, str) else "data"
    return Number(_NONE) if count is None else Number(f"{count:.0f}", name)


_ENTRIES: tuple[tuple[str, Callable[[dict[str, Any]], Number]], ...] = (
    ("accuracy", _share("accuracy", "")),
    ("log q(y | x)", _digits("label_log_prob", 4, "nats per label")),
    ("calibration error", _digits("calibration_error", 4, "of the likeliest class")),
    ("RMSE of y", _digits("rmse", 4, "in units of y")),
    ("coverage", _share("coverage", "within central intervals of 90 %")),
    ("log p(x)", _log_prob),
    ("ELBO", _plain("elbo")),
    ("CUBO", _plain("cubo", "upper bound, estimated from below")),
    ("reconstruction", _plain("reconstruction", "mean of log p(x | z)")),
    ("KL", _plain("kl", "mean of log q(z | x) \N{MINUS SIGN} log p(z)")),
    ("effective samples", _ess),
    ("active units", _active),
    ("bits per dimension", _bits),
    ("data", _data),
)
