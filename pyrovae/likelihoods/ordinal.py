"""The ordinal likelihood, for codes in an order."""

from collections.abc import Mapping
from typing import Literal

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from pyrovae.context import Context
from pyrovae.distributions import Codes
from pyrovae.heads import Head, positive, raw_of
from pyrovae.likelihoods.levels import frequencies, levels_of, likeliest, remedy_for
from pyrovae.likelihoods.likelihood import Likelihood, Shape, shape_of

Cuts = Literal["shared", "element"]

_FARTHEST = 60.0  # of a start from the cuts: all mass on the last level, in float64 too
_HALVINGS = 60


class Ordinal(Likelihood):
    r"""Independent codes 0 < 1 < ... < K - 1, `P(x_i <= k | z) = sigmoid(c_ik - f_i(z))`.

    The raw numbers are f, and the cut points `c_i0 < c_i1 < ...` are learned. A shift of all cut
    points is one of f, so that their mean is zero: for K levels there are K - 2 distances to
    learn, and for two it is Bernoulli's. With a the cut point above x, b the one below it, and
    s = sigmoid, `log p(x) = log s(a - f) + log s(f - b) + log(1 - e^(b - a))`, which is exact
    however far f is; Pyro's `OrderedLogistic` subtracts the two probabilities in place of that, and
    gives log p = -16 and no gradient where it is -100. What stands for p(x | z) is its mode. The
    encoder sees the codes on [0, 1].

    References:
        McCullagh, 1980, Regression models for ordinal data (the proportional odds model).

    Arguments:
        event_shape: the shape of one x.
        levels: the number of codes, K.
        cuts: "element" for cut points of each element, "shared" for one set of them.

    Raises:
        ValueError: the shape is not one of positive integers, there are fewer than two levels, or
            the cuts are neither.

    Example:
        >>> likelihood = Ordinal((1,), levels=4)
        >>> scores = likelihood(torch.tensor([[-9.0], [0.0], [9.0]]), Context())
        >>> likelihood.typical(scores).flatten()
        tensor([0., 0., 3.])
        >>> likelihood(torch.tensor([1e4]), Context()).log_prob(torch.zeros(1)).item()
        -10001.0
    """

    head = Head(loc=1)

    codes = True

    def __init__(
        self, event_shape: tuple[int, ...], *, levels: int = 3, cuts: Cuts = "element"
    ) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.levels = levels_of(self, levels)
        if cuts not in ("shared", "element"):
            raise ValueError(f"Ordinal expects cuts to be 'shared' or 'element'; got {cuts!r}")
        self.cuts = cuts
        shape = self.event_shape if cuts == "element" else ()
        gaps = torch.zeros(*shape, levels - 2)
        self.raw_gaps = nn.Parameter(gaps) if levels > 2 else None  # none to learn

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        loc = self.head.unpack(raw, self.event_shape)["loc"].unsqueeze(-1)
        if self.raw_gaps is None:
            return self.over_elements(Codes(_log_probs(loc, loc.new_zeros(0))), context)
        return self.over_elements(Codes(_log_probs(loc, positive(self.raw_gaps))), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the frequencies of the data, and at its mean exactly; see `Likelihood`."""
        counts = frequencies(batch, self.levels)
        codes = torch.arange(self.levels, dtype=counts.dtype, device=counts.device)
        mean = (counts * codes).sum(-1) / counts.sum(-1)
        gaps = counts.new_zeros(0)
        if self.raw_gaps is not None:
            if self.cuts == "shared":
                counts = counts.flatten(0, -2).sum(0)
            smooth = counts + 0.5
            reached = (smooth / smooth.sum(-1, keepdim=True)).cumsum(-1)[..., :-1]
            gaps = torch.logit(reached).diff(dim=-1)
            with torch.no_grad():
                self.raw_gaps.copy_(raw_of(gaps))
            gaps = positive(self.raw_gaps.detach().double())
        low = torch.full_like(mean, -_FARTHEST)
        high = -low
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            share = _log_probs(middle.unsqueeze(-1), gaps).exp()
            above = (share * codes).sum(-1) > mean.clamp(0.001, self.levels - 1.001)
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return (0.5 * (low + high)).reshape(self.head.out_shape(self.event_shape))

    def inputs(self, x: Tensor) -> Tensor:
        """Return the codes on [0, 1]; see `Likelihood`."""
        return x / (self.levels - 1)

    def typical(self, x_given_z: TorchDistributionMixin) -> Tensor:
        """Return the likeliest codes; see `Likelihood`."""
        return likeliest(x_given_z)

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return remedy_for(self.levels)


def _log_probs(loc: Tensor, gaps: Tensor) -> Tensor:
    """Return the log-probability of each level, of shape `[*batch, K]`.

    Arguments:
        loc: f, of shape `[*batch, 1]`.
        gaps: the distances of neighbouring cut points, positive, K - 2 of them in the last
            dimension, of which there may be none.
    """
    first = gaps.new_zeros((*gaps.shape[:-1], 1))
    cuts = torch.cat([first, gaps.cumsum(-1)], -1)
    cuts = cuts - cuts.mean(-1, keepdim=True)
    apart = cuts - loc
    between = torch.log(-torch.expm1(-gaps))
    middle = logsigmoid(apart[..., 1:]) + logsigmoid(-apart[..., :-1]) + between
    return torch.cat([logsigmoid(apart[..., :1]), middle, logsigmoid(-apart[..., -1:])], -1)
