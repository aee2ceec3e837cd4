"""The exemplar prior."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import DiagonalNormalMixture
from pyrovae.heads import positive
from pyrovae.numeric import is_count, limit
from pyrovae.priors.prior import Prior, Shape, dimension


class ExemplarPrior(Prior):
    r"""A normal around each of some training data, `p(z) = 1/K sum_k N(z; mu(x_k), s^2 I)`.

    mu(x) is the mean of the model's own q(z | x), and s is one learned number. The exemplars x_k
    are a random subset of the training data, fixed by the first `fit`, to which training adds no
    parameters. A datum in training does not see itself: where its `index` is that of an exemplar,
    the mixture is over the others, so that the prior cannot fit by copying. In evaluation all are
    in it.

    Each evaluation encodes the K exemplars, and a score of B values of z takes a matrix of B K
    numbers.

    References:
        Norouzi, Fleet and Norouzi, 2020, arXiv:2004.04795.

    Arguments:
        dim: the number of latent dimensions.
        exemplars: the number of training data in the mixture, K, at least two. If the training data
            are fewer, some are in it more often than others.

    Raises:
        ValueError: a number is out of range, the prior is used outside a model, or the posterior
            states no mean.

    Example:
        >>> ExemplarPrior(40, exemplars=50)
        ExemplarPrior(40, exemplars=50)
    """

    examples: Tensor
    indices: Tensor

    def __init__(self, dim: int = 32, *, exemplars: int = 500) -> None:
        super().__init__()
        self.dim = dim
        if not is_count(exemplars, least=2):
            raise ValueError(
                f"ExemplarPrior expects exemplars to be an integer of at least 2"
                f"{limit(exemplars)}, since in training a datum is left out of its own prior; "
                f"got {exemplars!r}"
            )
        self.exemplars = exemplars
        self.event_shape = dimension(self, dim)
        self.raw_scale = nn.Parameter(torch.zeros(()))

    def bind(self, data_shape: Shape) -> None:
        """Make room for the exemplars; until there are data they are noise, and nobody's own."""
        self.register_buffer("examples", 0.01 * torch.randn(self.exemplars, *data_shape))
        self.register_buffer("indices", torch.full((self.exemplars,), -1))

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Take a random subset of the data."""
        count = len(batch["x"])
        chosen = torch.randperm(count, device=batch["x"].device)
        chosen = chosen.repeat(-(-self.exemplars // count))[: self.exemplars]
        self.examples.copy_(batch["x"][chosen])
        if "index" in batch:
            self.indices.copy_(batch["index"][chosen])

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        if context.encode is None:
            raise ValueError(
                f"{self!r} is a mixture around encoded data, so it needs the model's q(z | x): "
                f"use it in a VAE, or call it with Context(encode=...)"
            )
        means = self._means(context.encode(self.examples))
        scale = positive(self.raw_scale).expand(means.shape)
        return DiagonalNormalMixture(self._logits(context.index, means), means, scale)

    def _means(self, posteriors: TorchDistributionMixin) -> Tensor:
        try:
            means: Tensor = posteriors.mean
        except (NotImplementedError, AttributeError) as error:
            raise ValueError(
                f"{self!r} is a mixture around the means of q(z | x), and the posterior's "
                f"{type(posteriors).__name__} states no mean: choose a posterior that does, such "
                f"as MeanFieldNormal, or a prior that needs none, such as VampPrior"
            ) from error
        return means

    def _logits(self, index: Tensor | None, means: Tensor) -> Tensor:
        """Return equal weights, `[*batch, K]`, in training none for a datum itself."""
        equal = means.new_zeros(means.shape[:-1])
        if index is None or not self.training:
            return equal
        own = index.unsqueeze(-1) == self.indices
        own = own & ~own.all(-1, keepdim=True)  # of a single datum there would be nothing left
        return equal.masked_fill(own, -torch.inf)
