"""Weights of the priors over codes: all equal, or learned from there."""

import torch
from torch import Tensor, nn

from pyrovae.numeric import is_count, limit
from pyrovae.priors.prior import Prior, Shape, count


def class_count(prior: Prior, classes: int) -> int:
    """Return a number of classes, checked to be at least two."""
    if not is_count(classes, least=2):
        raise ValueError(
            f"{type(prior).__name__} expects classes to be an integer of at least 2"
            f"{limit(classes)}; got {classes!r}"
        )
    return classes


def code_shape(prior: Prior, classes: int, codes: int) -> Shape:
    """Return the event shape `(codes, classes)`, both checked."""
    return count(prior, "codes", codes), class_count(prior, classes)


class Weights(nn.Module):
    """The logits of a prior, of the shape of one z; zero, where it starts if they are learned.

    Arguments:
        prior: the prior that they are for, named in messages.
        learned: whether they are a parameter.
        shape: their shape.

    Raises:
        TypeError: `learned` is no boolean.
    """

    logits: Tensor

    def __init__(self, prior: Prior, *, learned: bool, shape: Shape) -> None:
        super().__init__()
        if not isinstance(learned, bool):
            raise TypeError(
                f"{type(prior).__name__} expects learned to be True or False; got {learned!r}"
            )
        if learned:
            self.logits = nn.Parameter(torch.zeros(shape))
        else:
            self.register_buffer("logits", torch.zeros(shape), persistent=False)

    def forward(self) -> Tensor:
        """Return the logits."""
        return self.logits
