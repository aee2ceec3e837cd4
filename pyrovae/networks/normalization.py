"""Normalisation layers that take any batch: one row, none, particles, a whole enumeration."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from pyrovae.networks.network import Network

Normalization = Literal["none", "batch", "layer"]


def require_normalization(network: Network, name: Normalization) -> Normalization:
    """Return the name of a normalisation, or raise ValueError where there is none of that name."""
    known = get_args(Normalization)
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f"{type(network).__name__} expects a normalization among {list(known)}; got {name!r}"
        )
    return name


def normalization_layers(name: Normalization, channels: int) -> list[nn.Module]:
    """Return the layer that normalises `[rows, channels, ...]`, in a list; an empty one for none.

    Arguments:
        name: "batch" normalises each channel over all rows and pixels, "layer" each row over all
            channels and pixels.
        channels: how many channels there are.
    """
    if name == "none":
        return []
    return [BatchNormalization(channels) if name == "batch" else RowNormalization(1, channels)]


class BatchNormalization(_BatchNorm):
    """Batch normalisation, by its running statistics where a channel has a single value.

    One value has no spread. torch refuses it; here the last batch of an epoch may be one row, which
    is normalised as in evaluation and moves no statistics. All rows count alike: those of
    particles, and those of the values of an enumerated variable.

    References:
        Ioffe and Szegedy, 2015, arXiv:1502.03167.

    Example:
        >>> layer = BatchNormalization(2)
        >>> layer(torch.tensor([[3.0, -1.0]])).allclose(torch.tensor([[3.0, -1.0]]), atol=1e-4)
        True
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Take any number of pixel dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `[rows, channels, ...]`."""
        if self.training and input.numel() <= input.shape[1]:
            mean, variance = self.running_mean, self.running_var
            return functional.batch_norm(
                input, mean, variance, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(input)


class RowNormalization(nn.GroupNorm):
    """Normalisation of each row over all of its channels and pixels, whatever the other rows.

    References:
        Ba, Kiros and Hinton, 2016, arXiv:1607.06450; for images it is group normalisation in one
        group: Wu and He, 2018, arXiv:1803.08494.

    Example:
        >>> RowNormalization(1, 2)(torch.tensor([[3.0, 1.0]])).round()
        tensor([[ 1., -1.]], grad_fn=<RoundBackward0>)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `[rows, channels, ...]`; a row of a single number becomes the bias."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
