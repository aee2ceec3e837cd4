"""History: what a fit returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyrovae.training.failure import Failure

Record = dict[str, float]
HISTORY = "history.json"


@dataclass
class History:
    """The course of a training run, one record for each epoch.

    Quantities are means in nats per datum. Their names say where they come from: `train/elbo` is
    taken during the epoch, while the parameters moved, and `valid/elbo` at its end.

    Arguments:
        records: for each epoch its quantities by name, with `epoch`, `step`, `seconds` and `lr`.
        best_epoch: the epoch whose weights were kept, None where nothing was validated.
        stopped: why training ended.
        kl: for each latent site whether its KL was taken "analytic" or "sampled".
        compiled: whether steps ran as a compiled graph.
        failure: the step whose loss or gradient was not finite, where that ended training.

    Example:
        >>> history = History(records=[{"epoch": 1, "train/loss": 2.0}, {"epoch": 2}])
        >>> history["train/loss"]
        [2.0, nan]
    """

    records: list[Record] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = ""
    kl: Mapping[str, str] = field(default_factory=dict)
    compiled: bool = False
    failure: Failure | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all but the records as plain Python, for JSON."""
        return {
            "epochs": len(self.records),
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "kl": dict(self.kl),
            "compiled": self.compiled,
            "failure": None if self.failure is None else self.failure.to_dict(),
        }

    def __getitem__(self, name: str) -> list[float]:
        """Return one quantity over the epochs, nan where it was not recorded."""
        names = {key for record in self.records for key in record}
        if name not in names:
            raise KeyError(f"no quantity {name!r} was recorded; there are {sorted(names)}")
        return [record.get(name, float("nan")) for record in self.records]

    def __len__(self) -> int:
        return len(self.records)
