"""Draws: whether they carry the gradient of their guide, and by which way it reaches log q."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Draws = Literal["live", "detached", "path", "weighted"]

_CARRIED = "_pyrovae_"  # names of attributes of a draw in which it carries what it was made of

_DROPOUTS = {
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.alpha_dropout,
    functional.feature_alpha_dropout,
}


def carried(draw: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a draw changed, together with what it carries.

    Some draws carry in an attribute what they were made of, from which their density is computed.
    A change of their gradient has to reach that as well.

    Arguments:
        draw: the draw, of any shape.
        change: a function such as `Tensor.detach`, which keeps the value.

    Example:
        >>> import torch
        >>> draw = torch.ones(2, requires_grad=True) * 3.0
        >>> draw._pyrovae_logarithm = draw.log()
        >>> held = carried(draw, Tensor.detach)
        >>> held.requires_grad, held._pyrovae_logarithm.requires_grad
        (False, False)
    """
    new = change(draw)
    for name, value in list(vars(draw).items()):
        if name.startswith(_CARRIED):
            setattr(new, name, _changed(value, change))
    return new


def parts_of(draw: Tensor) -> list[Tensor]:
    """Return a draw and the tensors that it carries."""
    found = [draw]
    for name, value in vars(draw).items():
        if name.startswith(_CARRIED):
            parts = value if isinstance(value, tuple) else (value,)
            found += [part for part in parts if isinstance(part, Tensor)]
    return found


def family_of(distribution: Any) -> str:
    """Name a distribution for a message, looking through Independent and the like.

    Example:
        >>> import pyro.distributions as dist
        >>> family_of(dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        'Independent(Normal)'
    """
    base = getattr(distribution, "base_dist", None)
    name = type(distribution).__name__
    return f"{name}({family_of(base)})" if isinstance(base, Distribution) else name


def is_drawn(node: Mapping[str, Any]) -> bool:
    """Return whether a sample site of a guide is drawn, and neither observed nor enumerated."""
    return not node["is_observed"] and node["infer"].get("_enumerate_dim") is None


def unweighted(site: Any) -> Tensor:
    """Return log q of a latent site as it drew or enumerates it.

    A weight or a mask by Pyro's handlers is on its term in a bound, and does not change what is
    drawn.
    """
    guided = site.guided
    if isinstance(guided["scale"], float | int) and guided["scale"] == 1 and guided["mask"] is None:
        log_q: Tensor = site.log_q
        return log_q
    as_drawn: Tensor = replace(site, guided={**guided, "scale": 1.0, "mask": None}).log_q
    return as_drawn


def log_density(distribution: Any, value: Tensor, name: str) -> Tensor:
    """Return log q of a value at a site, which may be a copy of what was drawn there.

    Raises:
        ValueError: the distribution knows the density of its very draws alone.
    """
    try:
        log_q: Tensor = distribution.log_prob(value)
    except (KeyError, NotImplementedError) as error:
        raise ValueError(
            f"site '{name}': {family_of(distribution)} in the guide does not score a copy of its "
            f"draw, as a gradient estimator needs ({error}); use estimator='reparameterised', or "
            f"a family with an inverse"
        ) from error
    return log_q


class Detached(Messenger):
    """Cut the gradient of every draw in a guide, where it is drawn.

    Whatever the guide or the model makes of a draw then sees a number. Enumerated values are left
    as they are.
    """

    def _pyro_post_sample(self, message: Any) -> None:
        if isinstance(message["value"], Tensor) and is_drawn(message):
            message["value"] = carried(message["value"], Tensor.detach)


class DropoutWatch(TorchFunctionMode):
    """See whether a program drops out units.

    Example:
        >>> import torch
        >>> with DropoutWatch() as watch:
        ...     _ = torch.nn.Dropout(0.5)(torch.ones(3))
        >>> watch.seen
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if function in _DROPOUTS and given.get("training") and given.get("p", 0.5) > 0.0:
            self.seen = True
        return function(*args, **given)


def require_weighable(guided: Mapping[str, Mapping[str, Any]], *, dropout: bool) -> None:
    """Raise ValueError where the gradient into the draws of a guide cannot be weighted.

    Arguments:
        guided: the guide's messages by site.
        dropout: whether it drops out units.
    """
    drawn = [name for name, node in guided.items() if is_drawn(node)]
    other = "use estimator='stl' or 'reparameterised'"
    if any(node["infer"].get("_enumerate_dim") is not None for node in guided.values()):
        raise ValueError(
            f"estimator='dreg' moves the guide through its draws alone, and what is enumerated is "
            f"not drawn; {other}"
        )
    if dropout:
        raise ValueError(
            f"estimator='dreg' needs one density q(z | x), and dropout in the guide makes another "
            f"at each run; {other}, or a guide without dropout"
        )
    if len(drawn) > 1:
        raise ValueError(
            f"estimator='dreg' weighs the gradient into one draw, and the guide draws "
            f"{drawn}: where one hangs on another it would be weighed twice; {other}"
        )
    for name in drawn:
        if _is_discrete(guided[name]["fn"]):
            raise ValueError(
                f"site '{name}': estimator='dreg' needs the exact gradient of a draw, and that of "
                f"{family_of(guided[name]['fn'])}, which is discrete, is an approximation; {other}"
            )


def weigh(draw: Tensor, weight: Tensor) -> None:
    """Multiply the gradient that flows into a draw, and into what it carries, once.

    Arguments:
        draw: the draw of a record, a tensor of its own.
        weight: a factor without gradient that broadcasts against the draw.
    """
    for part in parts_of(draw):
        if part.requires_grad and not getattr(part, "_weighed", False):
            part.register_hook(lambda gradient: gradient * weight)
            part._weighed = True  # type: ignore[attr-defined]  # a record may be measured again


def _is_discrete(distribution: Any) -> bool:
    try:
        return bool(distribution.support.is_discrete)
    except (AttributeError, NotImplementedError):
        return False  # of a distribution that does not say


def _changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if not isinstance(value, tuple):
        return value
    parts = [_changed(part, change) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
