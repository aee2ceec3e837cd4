"""A mixture of diagonal normals whose density is a matrix product."""

import math
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.relaxed import RelaxedMixture, is_relaxed

Sizes = torch.Size | list[int] | tuple[int, ...]


class DiagonalNormalMixture(dist.MixtureSameFamily):  # type: ignore[misc]
    r"""The mixture `p(z) = sum_k pi_k N(z; m_k, diag s_k^2)`, scored by one matrix product.

    With the centre c of the means, u = z - c and a_k = m_k - c, the exponent of a component is

        -1/2 sum_d (u_d - a_kd)^2 / s_kd^2
            = u^2 . (-1/2 s_k^-2) + u . (a_k s_k^-2) - 1/2 sum_d a_kd^2 / s_kd^2,

    so no tensor of `[*batch, K, dim]` is made. Its terms cancel, so it is taken in float64, which
    autocast leaves alone, and comes back in the type of the parameters. What the expansion adds to
    the error is about `1e-16 r^2` nats for each dimension, r being how many scales the means are
    spread over. Measured against SciPy, 500 components in 50 dimensions in float32: at most 3e-5
    nats where means spread by one have scales from 1e-4 to 10 (element by element, in float32:
    6e-5), and 0.02 where means spread by 100 have scales of 1e-4. Float64 parameters keep fewer
    digits than element by element: 2e-6 nats for means spread by one and scales of 1e-4. Normals
    that are batched themselves, such as one mixture for each class, take one product for each.
    Where there is no float64 (mps) the form is element by element.

    Arguments:
        logits: the weights' unnormalised logarithms, of shape `[K]` or `[*batch, K]`; the normals
            may be the same for the whole batch.
        loc: the means m, of shape `[K, *event_shape]` or `[*batch, K, *event_shape]`.
        scale: the standard deviations s, likewise.
        event_dim: how many dimensions an event has.

    Example:
        >>> mixture = DiagonalNormalMixture(torch.zeros(5), torch.zeros(5, 2), torch.ones(5, 2))
        >>> mixture.log_prob(torch.zeros(7, 2))[0].item()  # -log 2 pi
        -1.8378770351409912
        >>> mixture.sample((7,)).shape
        torch.Size([7, 2])
    """

    def __init__(
        self,
        logits: Tensor,
        loc: Tensor,
        scale: Tensor,
        *,
        event_dim: int = 1,
        validate_args: bool | None = None,
    ) -> None:
        weights = dist.Categorical(logits=logits)
        normals = dist.Normal(loc, scale).to_event(event_dim)
        batch = torch.broadcast_shapes(logits.shape[:-1], normals.batch_shape[:-1])
        shared = normals.expand((*batch, *normals.batch_shape[-1:]))  # a view
        super().__init__(weights.expand(batch), shared, validate_args=validate_args)
        plain = loc.device.type != "mps"
        self._parameters = (weights.logits, normals.base_dist) if plain else None

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "DiagonalNormalMixture":
        """Return the distribution with its batch shape expanded, which leaves it as cheap."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        super().expand(torch.Size(batch_shape), _instance=new)
        new._parameters = self._parameters
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._parameters is None:
            return super().log_prob(value)
        if self._validate_args:
            self._validate_sample(value)
        logits, normals = self._parameters
        depth = value.dim() - len(self.event_shape)
        batch, size = value.shape[:depth], self.event_shape.numel()
        loc, scale = normals.loc, normals.scale
        dtype = torch.promote_types(value.dtype, loc.dtype)
        if loc.dim() == 1 + len(self.event_shape):
            exponents = _exponents(value.reshape(batch.numel(), size), loc, scale)
            exponents = exponents.to(dtype).reshape(*batch, exponents.shape[-1])
        else:
            several = (*loc.shape[: loc.dim() - len(self.event_shape)], size)
            exponents = _batched_exponents(
                value.reshape(*batch, size), loc.reshape(several), scale.reshape(several)
            ).to(dtype)
        scores = torch.logsumexp(exponents + logits, dim=-1)
        return scores.expand(torch.broadcast_shapes(batch, self.batch_shape))

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients; only the chosen component of each draw is drawn from."""
        if self._parameters is None:
            return super().sample(torch.Size(sample_shape))
        chosen = self.mixture_distribution.sample(torch.Size(sample_shape))
        _, normals = self._parameters
        depth = len(self.event_shape)
        if normals.loc.dim() == 1 + depth:
            return torch.normal(normals.loc[chosen], normals.scale[chosen])
        index = chosen.reshape(*chosen.shape, 1, *(1 for _ in self.event_shape))
        index = index.expand(*chosen.shape, 1, *self.event_shape)
        several = (*chosen.shape, *normals.loc.shape[-1 - depth :])
        drawn = [
            parameter.expand(several).gather(-1 - depth, index).squeeze(-1 - depth)
            for parameter in (normals.loc, normals.scale)
        ]
        return torch.normal(*drawn)


def mixture(logits: Tensor, components: Distribution) -> TorchDistributionMixin:
    """Return the mixture of a distribution's last batch dimension, in the cheapest form.

    Arguments:
        logits: the weights' unnormalised logarithms, of shape `[K]`.
        components: a distribution of batch shape `[K]`, or `[*batch, K]` for several mixtures.

    Example:
        >>> normals = dist.Normal(torch.zeros(3, 2), 1.0)
        >>> type(mixture(torch.zeros(3), normals.to_event(1))).__name__
        'DiagonalNormalMixture'
        >>> type(mixture(torch.zeros(3), dist.Laplace(torch.zeros(3), 1.0))).__name__
        'MixtureSameFamily'
    """
    if isinstance(components, torch.distributions.Independent):
        base = components.base_dist
        if type(base) in (dist.Normal, torch.distributions.Normal):
            depth = len(components.event_shape)
            return DiagonalNormalMixture(logits, base.loc, base.scale, event_dim=depth)
    family = RelaxedMixture if is_relaxed(components) else dist.MixtureSameFamily
    weights = dist.Categorical(logits=logits.expand(components.batch_shape))
    return family(weights, components)


def _exponents(rows: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Return the log-density of each row under each normal, `[rows, K]`, in float64.

    Arguments:
        rows: values, of shape `[rows, dim]`.
        loc: means, of shape `[K, *event_shape]`.
        scale: standard deviations, likewise.
    """
    means = loc.flatten(1).double()
    centre = means.detach().mean(0)  # any constant would do
    means = means - centre
    scales = scale.flatten(1).double()
    precision = scales.square().reciprocal()
    slope = means * precision
    constant = -0.5 * (means * slope).sum(-1) - scales.log().sum(-1)
    constant = constant - 0.5 * math.log(2.0 * math.pi) * means.shape[-1]
    centred = rows.double() - centre
    features = torch.cat([centred.square(), centred], dim=-1)
    return torch.addmm(constant, features, torch.cat([-0.5 * precision, slope], dim=-1).mT)


def _batched_exponents(values: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Return the log-density of each value under each normal of its mixture, `[*batch, K]`.

    Mixtures that the last batch dimension shares take its values as the rows of one product.

    Arguments:
        values: of shape `[*batch, dim]`.
        loc: means, of shape `[*batch, K, dim]`, that broadcast.
        scale: standard deviations, likewise.
    """
    means, scales = loc.double(), scale.double()
    centre = means.detach().mean(-2, keepdim=True)  # any constant would do
    means = means - centre
    precision = scales.square().reciprocal()
    slope = means * precision
    constant = -0.5 * (means * slope).sum(-1) - scales.log().sum(-1)
    constant = constant - 0.5 * math.log(2.0 * math.pi) * means.shape[-1]
    centred = values.double() - centre.squeeze(-2)
    features = torch.cat([centred.square(), centred], dim=-1)
    factors = torch.cat([-0.5 * precision, slope], dim=-1).mT
    if factors.shape[-3] == 1:
        return constant + features @ factors.squeeze(-3)
    return constant + (features.unsqueeze(-2) @ factors).squeeze(-2)
