"""The optimal scale of a normal likelihood: its closed form, in place of a parameter."""

import torch
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.heads import FLOOR

_KEPT = 0.9  # of the weight of the batches before, from batch to batch


class OptimalScale(nn.Module):
    r"""The scale that maximises the likelihood of a batch given the means, for training.

        sigma^2 = mean over the known entries, and over all draws of z, of (x_i - mu_i(z))^2

    It is a constant to the gradient: where it is the maximum, the bound's derivative by it is zero,
    so that the means get the gradient of the bound at its maximum over sigma. That holds for bounds
    that are a mean over draws, as the ELBO; for others, as `IWAE`, it is the same closed form.

    Outside of training, where there is no batch to fit, sigma^2 is the mean of the squared errors
    of the batches before, of which each weighs 0.9 times as much as the next one and as much as it
    has known entries. After one batch it is that batch's. It is a buffer, saved with the model.

    References:
        Rybkin, Daniilidis and Levine, 2021, arXiv:2006.13202.

    Example:
        >>> scale = OptimalScale()
        >>> scale(torch.zeros(2), Context(x=torch.tensor([3.0, 4.0]))).square().item()
        12.5
        >>> scale.eval()(torch.zeros(2), Context()).square().item()
        12.5
    """

    variance: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def forward(self, loc: Tensor, context: Context) -> Tensor:
        """Return sigma, 0-dimensional; in training, fitted to the data of the context.

        Arguments:
            loc: the means, of shape `[*batch, *event_shape]`.
            context: with the data x, and what of them is observed.
        """
        if not self.training or context.x is None:
            return self.variance.clamp(min=FLOOR**2).sqrt()
        square = (context.x - loc).square()
        if context.observed is None:
            count = torch.full_like(self.weight, float(square.numel()))
        else:
            known = context.observed.expand_as(square)
            square = torch.where(known, square, 0.0)
            count = known.sum().to(self.weight)
        fitted = square.sum() / count.clamp(min=1.0)
        fitted = torch.where(count > 0, fitted, self.variance).to(self.variance)
        weight = _KEPT * self.weight + count
        share = count / weight.clamp(min=1.0)
        self.variance.copy_(torch.lerp(self.variance, fitted, share))
        self.weight.copy_(weight)
        return fitted.clamp(min=FLOOR**2).sqrt()

    @torch.no_grad()
    def begin(self, variance: Tensor) -> None:
        """Set the variance to start at, which the first batch replaces."""
        self.variance.copy_(variance)
