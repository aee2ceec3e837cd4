"""The categorical likelihood, for codes without an order."""

from collections.abc import Mapping

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import Codes
from pyrovae.heads import Head
from pyrovae.likelihoods.levels import frequencies, levels_of, likeliest, remedy_for
from pyrovae.likelihoods.likelihood import Likelihood, Shape, shape_of


class Categorical(Likelihood):
    r"""Independent codes 0, ..., K - 1, `p(x | z) = prod_i pi_i(x_i)`.

    The raw numbers are K logits for each element. What stands for p(x | z) is its mode; its mean
    is the mean of the codes as numbers, which says little of categories. Quantiles are by the
    order of the codes.

    Arguments:
        event_shape: the shape of one x.
        levels: the number of codes, K.

    Raises:
        ValueError: the shape is not one of positive integers, or there are fewer than two levels.

    Example:
        >>> import torch
        >>> likelihood = Categorical((2,), levels=4)
        >>> likelihood(torch.zeros(8), Context()).log_prob(torch.tensor([0.0, 3.0])).exp()
        tensor(0.0625)
        >>> likelihood.head.out_shape((2,))
        (8,)
    """

    codes = True

    def __init__(self, event_shape: tuple[int, ...], *, levels: int = 2) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.levels = levels_of(self, levels)
        self.head = Head(logits=levels)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        return self.over_elements(Codes(logits), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the frequencies of the data; see `Likelihood`."""
        counts = frequencies(batch, self.levels)
        share = (counts / counts.sum(-1, keepdim=True)).clamp(min=0.001 / self.levels)
        return share.log().movedim(-1, 0).reshape(self.head.out_shape(self.event_shape))

    def typical(self, x_given_z: TorchDistributionMixin) -> Tensor:
        """Return the likeliest codes; see `Likelihood`."""
        return likeliest(x_given_z)

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return remedy_for(self.levels)
