"""Best: the weights of the epoch with the lowest validation loss, and when to wait no longer."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Best:
    """Keeps the weights of the best epoch so far.

    Arguments:
        patience: stop after more than so many epochs without a better loss; None never stops.

    Example:
        >>> best = Best(patience=0)
        >>> best.compare(2.0, 1, nn.Linear(1, 1), counts=True)
        ''
        >>> best.compare(3.0, 2, nn.Linear(1, 1), counts=True)
        'the validation loss has not improved for 1 epochs (best: 2.000 nats in epoch 1)'
    """

    def __init__(self, *, patience: int | None) -> None:
        self.patience = patience
        self.loss = float("inf")
        self.epoch: int | None = None
        self.since = 0
        self.weights: dict[str, Tensor] | None = None

    def compare(self, loss: float, epoch: int, module: nn.Module, *, counts: bool) -> str:
        """Keep the weights where they are the best so far; return a reason to stop, or nothing.

        Arguments:
            loss: the validation loss of the epoch.
            epoch: its number.
            module: what holds the weights.
            counts: whether an epoch without a better loss counts.
        """
        if loss < self.loss:
            self.loss, self.epoch, self.since = loss, epoch, 0
            self.weights = {
                name: value.detach().clone() for name, value in module.state_dict().items()
            }
        elif counts:
            self.since += 1
        if self.patience is None or self.since <= self.patience:
            return ""
        return (
            f"the validation loss has not improved for {self.since} epochs "
            f"(best: {self.loss:.3f} nats in epoch {self.epoch})"
        )

    def state(self) -> dict[str, Any]:
        """Return what `restore` goes on from."""
        return {
            "loss": self.loss,
            "epoch": self.epoch,
            "since": self.since,
            "weights": self.weights,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.loss, self.epoch = state["loss"], state["epoch"]
        self.since, self.weights = state["since"], state["weights"]
