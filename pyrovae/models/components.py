"""Components: the clusters of a model as normals in its latent space, and how they begin."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from pyro.distributions import Normal
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import Codes, DiagonalNormalMixture
from pyrovae.heads import positive, raw_of
from pyrovae.models.inputs import known
from pyrovae.models.labels import is_learned
from pyrovae.models.local_bound import local_bound
from pyrovae.priors import Prior

_ROWS = 128  # of a batch while warming up
_RATE = 1e-3  # of Adam, then
_STARTS = 5  # of the mixture that is fitted, of which the likeliest is kept


class Components(Prior):
    r"""A mixture of normals whose components say what the clusters are.

        p(z) = sum_k pi_k N(z; mu_k, diag sigma_k^2)

    Arguments:
        dim: the number of latent dimensions.
        clusters: the number of normals, K.
        weights: whether pi are "learned", or "fixed" at 1/K.
    """

    logits: Tensor

    def __init__(self, dim: int, *, clusters: int, weights: Literal["fixed", "learned"]) -> None:
        super().__init__()
        self.dim = dim
        self.clusters = clusters
        self.weights = weights
        self.event_shape = (dim,)
        if is_learned("ClusterVAE", weights):
            self.logits = nn.Parameter(torch.zeros(clusters))
        else:
            self.register_buffer("logits", torch.zeros(clusters), persistent=False)
        self.loc = nn.Parameter(torch.randn(clusters, dim))
        self.raw_scale = nn.Parameter(torch.zeros(clusters, dim))

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z)."""
        return DiagonalNormalMixture(self.logits, self.loc, positive(self.raw_scale))

    def labels(self) -> Codes:
        """Return p(y)."""
        return Codes(self.logits)

    def given(self, y: Tensor) -> TorchDistributionMixin:
        """Return p(z | y) for codes y of shape `[*batch]`."""
        rows = y.long()
        return Normal(self.loc[rows], positive(self.raw_scale)[rows]).to_event(1)

    def shares(self, z: Tensor) -> Codes:
        """Return p(y | z), for z of shape `[*batch, dim]`."""
        normals = Normal(self.loc, positive(self.raw_scale))
        return Codes(normals.log_prob(z.unsqueeze(-2)).sum(-1) + self.logits.log_softmax(-1))

    @torch.no_grad()
    def fit(self, z: Tensor) -> None:
        """Begin at a mixture of normals that is fitted to latent vectors, `[rows, dim]`.

        Fewer rows than clusters tell nothing, and are left alone.
        """
        from sklearn.mixture import GaussianMixture  # slow to import

        if len(z) < self.clusters or not bool(z.isfinite().all()):
            return
        seed = int(torch.randint(2**31, ()))
        mixture = GaussianMixture(
            self.clusters, covariance_type="diag", n_init=_STARTS, random_state=seed
        )
        with warnings.catch_warnings():  # a start that did not converge is a start as well
            warnings.simplefilter("ignore")
            mixture.fit(z.double().cpu().numpy())
        self.loc.copy_(torch.as_tensor(mixture.means_))
        self.raw_scale.copy_(raw_of(torch.as_tensor(mixture.covariances_).sqrt()))
        if self.weights == "learned":
            self.logits.copy_(torch.as_tensor(mixture.weights_).clamp(min=1e-6).log())


def warm_up(model: Any, batch: Mapping[str, Tensor], *, steps: int) -> None:
    """Train a model's networks for a standard normal, and fit its components to the latents.

    Arguments:
        model: the model, whose prior are `Components`.
        batch: the data.
        steps: how many steps of Adam, each on a part of the data.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    if steps == 0 or not trained or len(batch["x"]) == 0:
        return
    was_training = model.training
    model.train()
    optimizer = torch.optim.Adam(trained, lr=_RATE)
    with torch.enable_grad():
        for _ in range(steps):
            rows = torch.randint(len(batch["x"]), (_ROWS,)).to(batch["x"].device)
            bound, _ = _looked_at(model, {name: value[rows] for name, value in batch.items()})
            optimizer.zero_grad(set_to_none=True)
            (-bound.mean()).backward()
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    model.eval()
    with torch.no_grad():
        parts = range(0, len(batch["x"]), _ROWS)
        found = [
            _looked_at(model, {n: value[at : at + _ROWS] for n, value in batch.items()})[1]
            for at in parts
        ]
        model.prior.fit(torch.cat(found))
    model.train(was_training)


def _looked_at(model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the bound of each datum under a standard normal as the prior, and a draw of z."""
    observed = batch.get("observed")
    x = known(batch["x"], observed, model.likelihood, model.decoder_network.offset.dtype)
    context = Context(index=batch.get("index"), observed=observed)
    zeros = torch.zeros_like(model.prior.loc[0])
    bound = local_bound(
        x,
        prior=lambda: Normal(zeros, torch.ones_like(zeros)).to_event(1),
        decode=lambda z: model._decode(z, context),
        decoder=model.decoder_network,
    )
    q = model._encoded(x, context)
    return bound(q), q.sample()
