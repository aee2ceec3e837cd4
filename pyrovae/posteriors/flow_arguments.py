"""What flow posteriors share: checks of arguments, the sizes in their heads, their networks."""

from typing import Any

from torch import nn

from pyrovae.distributions import Conditioner
from pyrovae.numeric import as_counts, is_count, limit
from pyrovae.posteriors.posterior import Posterior, Shape


def count(posterior: Posterior, name: str, value: int, *, least: int = 1) -> int:
    """Return a constructor argument, checked to be an integer from `least` on."""
    if not is_count(value, least=least):
        kind = "a positive integer" if least else "zero or a positive integer"
        raise ValueError(
            f"{type(posterior).__name__} expects {name} to be {kind}{limit(value)}; got {value!r}"
        )
    return value


def widths(posterior: Posterior, name: str, values: tuple[int, ...]) -> tuple[int, ...]:
    """Return layer widths as a tuple, checked to be positive integers."""
    checked = as_counts(values)
    if checked is None:
        raise ValueError(
            f"{type(posterior).__name__} expects {name} to be positive integers; got {values!r}"
        )
    return checked


def dimensions(posterior: Posterior) -> int:
    """Return how many dimensions z has; raise ValueError where it is no vector."""
    shape = posterior.event_shape
    if len(shape) != 1:
        raise ValueError(
            f"{type(posterior).__name__} expects a vector z; the prior's event shape is {shape}"
        )
    return shape[0]


def conditioners(posterior: Any, outputs: int) -> nn.ModuleList:
    """Return a masked network for each layer, of the size of z; the order turns with each layer."""
    dim = dimensions(posterior)
    return nn.ModuleList(
        Conditioner(
            dim,
            outputs,
            hidden=posterior.hidden,
            context=posterior.context,
            reverse=layer % 2 == 1,
        )
        for layer in range(posterior.layers)
    )


def each_element(layers: int, event: Shape) -> Shape:
    """Return the shape of one number for each layer and dimension."""
    return (layers, *event)


def each_layer(layers: int, event: Shape) -> Shape:
    """Return the shape of one number for each layer, or of so many for the event."""
    return (layers,)


def each_pair(layers: int, event: Shape) -> Shape:
    """Return the shape of one number for each layer and entry of a triangle with its diagonal."""
    return (layers, event[0] * (event[0] + 1) // 2)


def each_reflection(layers: int, reflections: int, event: Shape) -> Shape:
    """Return the shape of the reflections' vectors: at most dim, and in one dimension none."""
    (dim,) = event
    return (layers, min(reflections, dim) if dim > 1 else 0, dim)
