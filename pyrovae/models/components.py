"""Components: the clusters of a model as normals in its latent space, and how they begin."""

from typing import Literal

import torch
from pyro.distributions import Independent, Normal
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import Codes, DiagonalNormalMixture
from pyrovae.heads import positive, raw_of
from pyrovae.models.labels import is_learned
from pyrovae.priors import Prior

_LEAST = 0.02  # the share of a batch in the moments, at least: the mean of some fifty batches
_FALL = 0.7  # the power of the step by which it falls to that
_NARROWEST = 0.1  # the smallest standard deviation that a component begins with


class Components(Prior):
    r"""A mixture of normals whose components say what the clusters are.

        p(z) = sum_k pi_k N(z; mu_k, diag sigma_k^2)

    In the first `warmup` training steps p(z) is the standard normal, and the components follow the
    draws of q(z | x) by stepwise expectation maximisation; then they are parameters of the bound.
    What they follow is kept in buffers, to which the parameters are added.

    References:
        Stepwise expectation maximisation: Cappe and Moulines, 2009, arXiv:0712.4273.

    Arguments:
        dim: the number of latent dimensions.
        clusters: the number of normals, K.
        weights: whether pi are "learned", or "fixed" at 1/K.
        warmup: the number of training steps before the mixture is the prior.
    """

    passes: Tensor
    logits: Tensor
    start_logits: Tensor
    start_loc: Tensor
    start_scale: Tensor

    def __init__(
        self, dim: int, *, clusters: int, weights: Literal["fixed", "learned"], warmup: int
    ) -> None:
        super().__init__()
        self.dim = dim
        self.clusters = clusters
        self.weights = weights
        self.warmup = warmup
        self.event_shape = (dim,)
        if is_learned("ClusterVAE", weights):
            self.logits = nn.Parameter(torch.zeros(clusters))
        else:
            self.register_buffer("logits", torch.zeros(clusters), persistent=False)
        self.loc = nn.Parameter(torch.zeros(clusters, dim))
        self.raw_scale = nn.Parameter(torch.zeros(clusters, dim))
        self.register_buffer("start_logits", torch.zeros(clusters))
        self.register_buffer("start_loc", torch.randn(clusters, dim))
        self.register_buffer("start_scale", torch.zeros(clusters, dim))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z): the mixture, or while it warms up the standard normal."""
        logits, loc, scale = self.numbers()
        if self.warmup:
            warm = self.passes >= self.warmup
            loc = torch.where(warm, loc, torch.zeros_like(loc))
            scale = torch.where(warm, scale, torch.ones_like(scale))
        return DiagonalNormalMixture(logits, loc, scale)

    def numbers(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits `[K]`, the means and the standard deviations `[K, dim]`."""
        scale = positive(self.start_scale + self.raw_scale)
        return self.start_logits + self.logits, self.start_loc + self.loc, scale

    def labels(self) -> Codes:
        """Return p(y)."""
        return Codes(self.numbers()[0])

    def given(self, y: Tensor) -> TorchDistributionMixin:
        """Return p(z | y) for codes y of shape `[*batch]`."""
        _, loc, scale = self.numbers()
        rows = y.long()
        return Normal(loc[rows], scale[rows]).to_event(1)

    def shares(self, z: Tensor) -> Codes:
        """Return p(y | z), for z of shape `[*batch, dim]`."""
        logits, loc, scale = self.numbers()
        scores = Independent(Normal(loc, scale), 1).log_prob(z.unsqueeze(-2))
        return Codes(scores + logits.log_softmax(-1))

    @torch.no_grad()
    def follow(self, z: Tensor) -> None:
        """Move the components to draws of q(z | x) by one step, while they warm up.

        Steps are counted here, as batch normalisation counts them, so that it works in any loop.
        All of it is arithmetic on tensors, so that a compiled step holds it as well.

        Arguments:
            z: draws, of shape `[*batch, dim]`.
        """
        if not self.warmup or z.numel() == 0:
            return
        rows = z.detach().reshape(-1, self.dim)
        logits, loc, scale = self.numbers()
        share = (self.passes + 1.0).pow(-_FALL).clamp(min=_LEAST).to(rows.dtype)
        share = torch.where(self.passes < self.warmup, share, torch.zeros_like(share))
        r = self.shares(rows).probs
        found = torch.stack([torch.ones_like(rows), rows, rows.square()])  # [3, rows, dim]
        new = r.mT @ found / len(rows)  # [3, K, dim]
        mass = logits.softmax(-1).unsqueeze(-1).expand_as(loc)
        old = torch.stack([mass, mass * loc, mass * (scale.square() + loc.square())])
        count, first, second = old + share * (new - old)
        count = count.clamp(min=1e-6)
        mean = first / count
        deviation = (second / count - mean.square()).clamp(min=_NARROWEST**2).sqrt()
        moves = self.passes < self.warmup
        if self.weights == "learned":
            target = count[:, 0].log() - self.logits
            self.start_logits.copy_(torch.where(moves, target, self.start_logits))
        self.start_loc.copy_(torch.where(moves, mean - self.loc, self.start_loc))
        target = raw_of(deviation) - self.raw_scale
        self.start_scale.copy_(torch.where(moves, target, self.start_scale))
        self.passes.add_(1)
