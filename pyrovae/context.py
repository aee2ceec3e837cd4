"""Context: what a part may be told beside its raw numbers.

A prior, a likelihood and a posterior are called with one `Context`. All its fields are optional,
and a part reads only what it needs, so a new kind of information never changes a signature.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Context:
    """The circumstances under which a part returns its distribution.

    Arguments:
        condition: a label or another input y, of shape `[*batch, *condition_shape]`.
        index: which datum each row is, of shape `[batch]`.
        observed: which entries of x are known, of shape `[*batch, *event_shape]`, boolean.
        x: the data about to be scored, of shape `[*batch, *event_shape]`, for a parameter of
            p(x | z) that has a closed form in training, such as one scale for all entries.
        encode: the amortized posterior q(z | .) as a function of data, for priors made of it.
        bound: a draw of the evidence lower bound of each datum as a function of its q(z | x), for
            posteriors that refine themselves.

    Example:
        >>> Context().observed is None
        True
    """

    condition: Tensor | None = None
    index: Tensor | None = None
    observed: Tensor | None = None
    x: Tensor | None = None
    encode: Callable[[Tensor], TorchDistributionMixin] | None = None
    bound: Callable[[TorchDistributionMixin], Tensor] | None = None
