"""What `reconstruct --mean` makes of data under a model of labels."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def reconstructed_at_mean(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Return `E[x | y, z]` at the mean of q(z | x, y), at the known label or the likeliest one.

    Arguments:
        model: a model with a label y beside z.
        batch: x, and where present y and `observed`.
    """
    seen = {name: batch[name] for name in ("x", "observed") if name in batch}
    y = model.label.completed(batch.get("y"), batch["x"].shape[:1], lambda: model.classify(**seen))
    made: Tensor = model.likelihood.typical(model.decode(model.encode(**seen, y=y).mean, y=y))
    return made
