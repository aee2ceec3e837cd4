"""Validating: what the objective says of data that are not trained on."""

from typing import TYPE_CHECKING

from pyrovae.data import Data
from pyrovae.networks import autocast
from pyrovae.scopes import evaluation_mode, random_state, validation
from pyrovae.training.metrics import Mean

if TYPE_CHECKING:
    from pyrovae.training.run import Run


def validated(run: "Run", valid: Data) -> dict[str, float]:
    """Return the means over validation data, under the same noise each time.

    Arguments:
        run: the run, whose processes share the data; each gets the same means.
        valid: the data.
    """
    mean = Mean()
    with (
        random_state(run.processes.noise_seed(run.plan.seed), device=run.device),
        evaluation_mode(run.loss),
        validation(enabled=False),
        autocast(run.dtype),
    ):
        for share in valid.shares(
            batch_size=run.plan.batch_size,
            part=run.processes.rank,
            parts=run.processes.size,
            device=run.device,
        ):
            if share.batch is not None:
                mean.add(run.loss.validate(share.batch), share.rows)
    return mean.read(run.processes)
