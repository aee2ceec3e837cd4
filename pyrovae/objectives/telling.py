"""Telling apart: a discriminator of two kinds of draws, whose logit estimates their density ratio.

References:
    Goodfellow et al., 2014, arXiv:1406.2661; Sugiyama, Suzuki and Kanamori, 2012.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyrovae.networks import MLP, Builder, Folded

SIZES = MLP((256, 256), activation="leaky_relu")


class Told(NamedTuple):
    """What a discriminator makes of two kinds of draws.

    Arguments:
        loss: its cross-entropy for each pair of draws, with its gradient, in nats per draw.
        accuracy: the share of draws that it tells right, 0-dimensional.
    """

    loss: Tensor
    accuracy: Tensor


def discriminator(network: Builder, draws: Tensor, *, owner: str) -> nn.Module:
    """Return a new discriminator of draws: it takes `[*batch, numbers]` to logits `[*batch, 1]`.

    Its best logit is the logarithm of the ratio of the densities of the two kinds.

    Arguments:
        network: builds it from the two shapes, such as `MLP((256, 256))`.
        draws: an example.
        owner: what the network is for, named in errors.
    """
    return Folded(network, (draws.shape[-1],), (1,), owner=owner)


def told_apart(judge: nn.Module, ones: Tensor, others: Tensor) -> Told:
    """Return how well a discriminator tells two kinds of draws apart; the draws get no gradient.

    Arguments:
        judge: the discriminator.
        ones: draws of the first kind, `[particles, batch, numbers]`.
        others: draws of the second kind, likewise.
    """
    both = torch.cat([ones.detach(), others.detach()])
    first, second = judge(both).squeeze(-1).chunk(2)
    loss = 0.5 * (softplus(-first) + softplus(second))
    right = torch.cat([first, -second]).detach() > 0.0
    return Told(loss, right.to(loss.dtype).mean())
