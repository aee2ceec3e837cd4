"""What posteriors on a sphere share: raw numbers, and the check of the event."""

import torch
from torch import Tensor

from pyrovae.distributions import unit
from pyrovae.heads import Head, Shape, positive

OFFSET = 1e-3


def spherical_head() -> Head:
    """Return the head of a mean direction, with as many numbers as z, and a concentration."""
    return Head(loc=1, concentration=_one)


def _one(event_shape: Shape) -> Shape:
    return (1,)


def direction_and_concentration(
    head: Head, raw: Tensor, event_shape: Shape
) -> tuple[Tensor, Tensor]:
    """Return the unit vector `(r + 0.001 e_1) / |r + 0.001 e_1|` and the positive concentration.

    Some raw vector must be without a direction, whatever the map. The offset moves it away from
    zero, where networks may begin, and where the gradient is now finite. At the one point that is
    left the direction is the first axis.
    """
    parameters = head.unpack(raw, event_shape)
    offset = torch.zeros(event_shape, dtype=raw.dtype, device=raw.device)
    offset[0] = OFFSET
    return unit(parameters["loc"] + offset), positive(parameters["concentration"]).squeeze(-1)


def require_vector(name: str, event_shape: Shape) -> None:
    """Raise ValueError where an event is no vector of two elements or more."""
    if len(event_shape) != 1 or event_shape[0] < 2:
        raise ValueError(
            f"{name} expects z to be a vector of two elements or more, on a sphere; the prior's "
            f"event shape is {event_shape}. A prior that fits is HypersphericalUniform"
        )
