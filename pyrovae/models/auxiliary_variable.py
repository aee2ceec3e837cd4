"""The auxiliary variable a of a model: its two distributions, and how networks see it."""

import math
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.networks import Builder, Folded, Network
from pyrovae.numeric import is_count, limit
from pyrovae.posteriors import MeanFieldNormal

Shape = tuple[int, ...]


class AuxiliaryVariable(nn.Module):
    """The distributions `q(a | x)` and p(a | ...) of an auxiliary variable, both normal.

    Arguments:
        model: the model, with its likelihood and its prior.
        dim: the dimension of a.
        encoder: builds the network of q(a | x).
        decoder: builds the network of p(a | ...).
        skip: whether x is made of a, and so p(a | z, y) without x.
        condition_shape: the shape of y as networks see it.

    Raises:
        TypeError: `skip` is neither true nor false.
    """

    def __init__(
        self,
        model: Any,
        *,
        dim: int,
        encoder: Network | Builder,
        decoder: Network | Builder,
        skip: bool,
        condition_shape: Shape,
    ) -> None:
        super().__init__()
        if not isinstance(skip, bool):
            raise TypeError(
                f"{type(model).__name__} expects skip to be true or false; got {skip!r}"
            )
        self.family = MeanFieldNormal()
        self.family.event_shape = (dim,)
        event_shape = tuple(model.likelihood.event_shape)
        self.latent_shape = tuple(model.prior.event_shape)
        raw_shape = self.family.head.out_shape((dim,))
        (width,) = condition_shape
        self.encoder_network = Folded(
            encoder, event_shape, raw_shape, owner="the auxiliary encoder"
        )
        self.decoder_network = Folded(
            decoder,
            self.latent_shape if skip else event_shape,
            raw_shape,
            owner="the auxiliary decoder",
            condition_shape=(width if skip else width + math.prod(self.latent_shape),),
        )

    def posterior(self, inputs: Tensor, observed: Tensor | None = None) -> TorchDistributionMixin:
        """Return `q(a | x)`.

        Arguments:
            inputs: x as a network sees it, of shape `[*batch, *event_shape]`.
            observed: which entries of x are known.
        """
        return self.family(self.encoder_network(inputs, observed=observed), Context())

    def prior(
        self,
        z: Tensor,
        code: Tensor,
        inputs: Tensor | None = None,
        *,
        observed: Tensor | None = None,
    ) -> TorchDistributionMixin:
        """Return `p(a | z, y)` where x is made of a, and `p(a | z, y, x)` elsewhere.

        Arguments:
            z: latent vectors, of shape `[*batch, *latent_shape]`.
            code: y as a network sees it.
            inputs: x as a network sees it, None where it is made of a.
            observed: which entries of x are known.
        """
        if inputs is None:
            return self.family(self.decoder_network(z, condition=code), Context())
        flat = z.flatten(z.dim() - len(self.latent_shape))
        raw = self.decoder_network(inputs, observed=observed, condition=side_by_side(flat, code))
        return self.family(raw, Context())


def dimension_of(model: Any, dim: int) -> int:
    """Return the dimension of a, or raise ValueError where it is no positive integer."""
    if not is_count(dim):
        raise ValueError(
            f"{type(model).__name__} expects auxiliary_dim to be a positive integer{limit(dim)}; "
            f"got {dim!r}"
        )
    return dim


def side_by_side(*vectors: Tensor) -> Tensor:
    """Return vectors as one, with their batch dimensions broadcast.

    Example:
        >>> side_by_side(torch.zeros(5, 2), torch.zeros(3, 1, 4)).shape
        torch.Size([3, 5, 6])
    """
    batch = torch.broadcast_shapes(*(vector.shape[:-1] for vector in vectors))
    return torch.cat([vector.expand(*batch, vector.shape[-1]) for vector in vectors], -1)
