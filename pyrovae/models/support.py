"""Support: where a distribution has mass, asked of torch's constraints and said in words."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints


def support_of(distribution: Distribution) -> Any:
    """Return the support of a distribution, None where it does not state one."""
    try:
        return distribution.support
    except NotImplementedError:
        return None


def elementwise(support: Any) -> Any:
    """Return the constraint on each element, behind those that only count dimensions."""
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support


def inside(distribution: Distribution, value: Tensor) -> bool:
    """Return whether all values lie in the support, true where the support is not stated."""
    support = support_of(distribution)
    return support is None or bool(support.check(value).all())


def is_bounded(distribution: Distribution) -> bool:
    """Return whether the support is stated and less than all real numbers."""
    support = support_of(distribution)
    return support is not None and elementwise(support) is not constraints.real


def in_words(support: Any) -> str:
    """Return what a support holds.

    Example:
        >>> import pyro.distributions as dist
        >>> in_words(dist.Bernoulli(torch.zeros(2, 3)).to_event(2).support)
        '0 or 1'
        >>> in_words(dist.Binomial(torch.full((2,), 4.0), torch.zeros(2)).to_event(1).support)
        'integers from 0 to 4'
        >>> in_words(dist.Gamma(1.0, 1.0).support)
        'numbers from 0 on'
    """
    element = elementwise(support)
    if element is None:
        return "not stated"
    if element is constraints.boolean:
        return "0 or 1"
    if element is constraints.real:
        return "real numbers"
    low, high = (_bound(element, name) for name in ("lower_bound", "upper_bound"))
    if not low:
        return " ".join(str(element).removesuffix("()").split())
    kind = "integers" if element.is_discrete else "numbers"
    if high:
        return f"{kind} from {low} to {high}"
    above = isinstance(element, constraints.greater_than)
    return f"{kind} above {low}" if above else f"{kind} from {low} on"


def _bound(element: Any, name: str) -> str:
    """Return a bound of an element, those that differ between elements from the least on."""
    value = getattr(element, name, None)
    if value is None:
        return ""
    ends = {f"{end.item():g}" for end in torch.as_tensor(value).double().aminmax()}
    return " .. ".join(sorted(ends, key=float))
