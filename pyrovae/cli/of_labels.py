"""What the verbs ask of a model of labels: the label of a sample, and that of a datum."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from torch import Tensor

from pyrovae.cli.errors import UsageError


def asked_label(model: Any, text: str | None) -> dict[str, Any]:
    """Return what `sample` is told of a label: nothing, or y as the model takes it.

    Arguments:
        model: the model.
        text: a number, or several of a vector with commas between; None where none was given.

    Raises:
        UsageError: it is none, or the model draws data without labels.

    Example:
        >>> class Labelled:
        ...     def sample(self, n, *, y=None): ...
        >>> asked_label(Labelled(), "3"), asked_label(Labelled(), "0.5,-1")
        ({'y': tensor(3)}, {'y': tensor([ 0.5000, -1.0000])})
    """
    import torch

    if text is None:
        return {}
    if "y" not in signature(model.sample).parameters:
        raise UsageError([f"--y: {type(model).__name__} draws data without labels; leave --y out"])
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(
            [f"--y expects a number, or several with commas between; got {text!r}"]
        ) from None
    whole = all(number.is_integer() for number in numbers) and "." not in text
    made = torch.tensor(numbers, dtype=torch.int64 if whole else torch.get_default_dtype())
    return {"y": made[0] if "," not in text else made}


def reconstructed_at_mean(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Return `E[x | y, z]` at the mean of q(z | x, y), at the known label or the likeliest one.

    Arguments:
        model: a model with `classify`.
        batch: x, and where present y and `observed`.
    """
    seen = {name: batch[name] for name in ("x", "observed") if name in batch}
    y = model.label.completed(batch.get("y"), batch["x"].shape[:1], lambda: model.classify(**seen))
    made: Tensor = model.likelihood.typical(model.decode(model.encode(**seen, y=y).mean, y=y))
    return made
