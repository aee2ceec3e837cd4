"""The variational mixture of posteriors."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import mixture
from pyrovae.priors.prior import Prior, Shape, count, dimension


class VampPrior(Prior):
    r"""The mixture of the posteriors of learned pseudo-inputs, `p(z) = 1/K sum_k q(z | u_k)`.

    The pseudo-inputs are learned without bounds, and start at examples of the data. The posterior
    comes with the context: it is the model's own, not a copy.

    References:
        Tomczak and Welling, 2018, arXiv:1705.07120.

    Arguments:
        dim: the number of latent dimensions.
        components: the number of pseudo-inputs, K.

    Raises:
        ValueError: a number is not a positive integer, or the prior is used outside a model.

    Example:
        >>> VampPrior(40, components=50)
        VampPrior(40, components=50)
    """

    pseudo_inputs: nn.Parameter

    def __init__(self, dim: int = 32, *, components: int = 500) -> None:
        super().__init__()
        self.dim = dim
        self.components = count(self, "components", components)
        self.event_shape = dimension(self, dim)

    def bind(self, data_shape: Shape) -> None:
        """Make the pseudo-inputs, of the shape of the data."""
        start = 0.01 * torch.randn(self.components, *data_shape)
        self.pseudo_inputs = nn.Parameter(start)

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Start the pseudo-inputs at examples of the data, with a little noise to part equals."""
        examples = batch["x"].to(self.pseudo_inputs)
        chosen = torch.randperm(len(examples), device=examples.device)
        chosen = chosen.repeat(-(-self.components // len(examples)))[: self.components]
        with torch.no_grad():
            noise = 0.01 * torch.randn_like(self.pseudo_inputs)
            self.pseudo_inputs.copy_(examples[chosen] + noise)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        if context.encode is None:
            raise ValueError(
                f"{self!r} is a mixture of posteriors, so it needs the model's q(z | x): "
                f"use it in a VAE, or call it with Context(encode=...)"
            )
        posteriors = context.encode(self.pseudo_inputs)
        equal = self.pseudo_inputs.new_zeros(self.components)
        return mixture(equal, posteriors)
