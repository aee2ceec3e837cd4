"""A callback of one's own: the quantities of each epoch as a row of a CSV file.

    python examples/csv_logger.py

A callback hooks into `fit`: it sees the run before the first step, after each step, after each
epoch, and at the end. This one appends a row for each epoch, so that a table program or pandas can
read the course of a run while it goes on. A run that is resumed brings along the epochs behind it,
so that no row is lost, and none stands there twice.
"""

import csv
import tempfile
from pathlib import Path

import pyrovae
from pyrovae.likelihoods import Binomial
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.training import Callback
from pyrovae.training.history import Record
from pyrovae.training.run import Run


class CSVLogger(Callback):
    """Append the quantities of each epoch to a CSV file, under a header from the first of them.

    Arguments:
        path: the file, begun anew with the epochs that a resumed run has behind it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_start(self, run: Run) -> None:
        """Begin the file, with what the run already knows: nothing, unless it is resumed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", encoding="utf-8", newline="") as file:
            if run.history.records:
                writer = csv.DictWriter(file, list(run.history.records[0]))
                writer.writeheader()
                writer.writerows(run.history.records)

    def on_epoch(self, run: Run, record: Record) -> None:
        """Append a row, under the header where it is the first."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(record))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(record)


def main(epochs: int = 5, out: str | Path | None = None) -> list[dict[str, str]]:
    """Train on the digits with the callback, and return what it wrote."""
    train, valid, _ = pyrovae.data.load("digits")
    vae = pyrovae.VAE(
        prior=StandardNormal(8),
        likelihood=Binomial((1, 8, 8), total_count=16),
        posterior=MeanFieldNormal(),
        encoder=MLP((64,)),
        decoder=MLP((64,)),
    )
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside if out is None else out) / "history.csv"
        pyrovae.fit(vae, train, valid=valid, epochs=epochs, seed=0, callbacks=[CSVLogger(path)])
        print(path.read_text(encoding="utf-8"), end="")
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
