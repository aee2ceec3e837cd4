"""Show: an evaluation on the screen and in the run folder."""

import json
from pathlib import Path

from pyrovae.cli.run_folder import EVALUATION
from pyrovae.evaluation import Evaluation
from pyrovae.files import write_text
from pyrovae.models import Model
from pyrovae.posteriors import Deterministic

NO_DENSITY = "the posterior gives points, which have no density: no log p(x) is estimated"


def is_of_points(model: Model) -> bool:
    """Return whether the posterior of a model gives points, of which there is no log p(x)."""
    return isinstance(getattr(model, "posterior", None), Deterministic)


def show(result: Evaluation, *, split: str, folder: Path | None) -> None:
    """Print an evaluation and write it to a run folder.

    Arguments:
        result: the numbers.
        split: which data they are about.
        folder: the run folder; None writes nothing.
    """
    if folder is not None:
        text = json.dumps({"split": split, **result.to_dict()}, indent=2)
        write_text(folder / EVALUATION, text + "\n")
    print(f"\n{result}\n")
    print(
        f"{split} log p(x) = {result.log_prob:.2f} +- {result.log_prob_data_error:.2f} nats per "
        f"datum (Monte Carlo +- {result.log_prob_error:.2f}, {result.samples} samples)"
    )
