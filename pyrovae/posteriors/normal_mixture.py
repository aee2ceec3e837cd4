"""The mixture posterior."""

from dataclasses import dataclass

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import PathwiseNormalMixture
from pyrovae.heads import Head, positive
from pyrovae.numeric import is_count, limit
from pyrovae.posteriors.posterior import Posterior, Shape


@dataclass(frozen=True)
class _Weights:
    """The shape of the mixture's weights, whatever the event."""

    components: int

    def __call__(self, event_shape: Shape) -> Shape:
        return (self.components,)


class NormalMixture(Posterior):
    r"""A mixture of normals, `q(z | x) = sum_k pi_k(x) N(z; mu_k(x), diag sigma_k(x)^2)`.

    Draws are reparameterised, by the weights as well, and the particles of a datum are spread over
    the components systematically, which lowers the variance of their mean. So an `ELBO` with
    several particles has the same expectation as with independent ones, and for `IWAE` the average
    weight is unbiased for p(x) still, though the bound's expectation is another one, as it is with
    any dependent draws. `PathwiseNormalMixture` says when the weights are slow to learn.

    References:
        Morningstar et al., 2021, arXiv:2003.01687; Jankowiak and Karaletsos, 2019,
        arXiv:1806.01856.

    Arguments:
        components: the number of normals, K.

    Raises:
        ValueError: the number is no positive integer, or z no vector.

    Example:
        >>> import torch
        >>> posterior = NormalMixture(components=4)
        >>> posterior.event_shape = (3,)
        >>> posterior.head.out_shape((3,))
        (28,)
        >>> posterior(torch.zeros(5, 28), Context()).batch_shape
        torch.Size([5])
    """

    def __init__(self, *, components: int = 3) -> None:
        super().__init__()
        if not is_count(components):
            raise ValueError(
                f"NormalMixture expects components to be a positive integer{limit(components)}; "
                f"got {components!r}"
            )
        self.components = components
        self.head = Head(loc=components, scale=components, weight=_Weights(components))

    def bind(self, data_shape: Shape) -> None:
        """Refuse an event that is no vector."""
        if len(self.event_shape) != 1:
            raise ValueError(
                f"NormalMixture expects a vector z; the prior's event shape is {self.event_shape}"
            )

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        parameters = self.head.unpack(raw, self.event_shape)
        shape = (*raw.shape[:-1], *self.event_shape, self.components)  # one: unpack squeezes it
        loc, scale = (parameters[name].reshape(shape).mT for name in ("loc", "scale"))
        return PathwiseNormalMixture(parameters["weight"], loc, positive(scale))
