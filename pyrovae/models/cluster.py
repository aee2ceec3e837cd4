"""The clustering variational autoencoder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.likelihoods import Likelihood
from pyrovae.memory import memory_advice
from pyrovae.models.building import bound_networks
from pyrovae.models.checks import check_data, check_parts
from pyrovae.models.components import Components, warm_up
from pyrovae.models.decoded import Score
from pyrovae.models.fixed import FixedPrograms, fixed_programs
from pyrovae.models.inputs import known, require_batch, require_tensor
from pyrovae.models.labels import check_warmup, infer_of, require_count
from pyrovae.models.local_bound import local_bound
from pyrovae.models.model import Model
from pyrovae.models.preparing import prepare_parts
from pyrovae.models.program import program
from pyrovae.networks import Builder, Network
from pyrovae.numeric import is_count, limit
from pyrovae.posteriors import Posterior
from pyrovae.scopes import evaluation_mode, frozen_tensors


class ClusterVAE(Model):
    r"""A variational autoencoder with a cluster y for each datum, which is never observed.

        y ~ Cat(pi)                            site "y", where the program draws x
        z ~ N(mu_y, diag sigma_y^2)            site "z"
        x ~ p(x | z)                           site "x", given the decoder's output at z

    with `q(z | x)` from the encoder, and q(y | z) = p(y | z) exactly. Given that, the bound with y
    is the one without,

        sum_y p(y | z) log [p(y) p(z | y) / p(y | z)] = log sum_y p(y) p(z | y) = log p(z),

    so y is summed out in closed form where x is known: the bound is that of a `VAE` with the prior
    `GaussianMixture`. What is more here is how clusters begin, for from random starts many die:
    before its first step `fit` lets the model `prepare`, which trains the networks for a standard
    normal p(z) on some of the data, and fits the components to draws of q(z | x). Labels in the
    data are ignored.

    References:
        Jiang, Zheng, Tan, Tang and Zhou, 2017, arXiv:1611.05148; Dilokthanakul et al., 2016,
        arXiv:1611.02648.

    Arguments:
        dim: the number of latent dimensions.
        clusters: the number of clusters.
        likelihood: p(x | z).
        posterior: q(z | x).
        encoder: the network from x to the posterior's raw numbers; None for a posterior that needs
            none.
        decoder: the network from z to the likelihood's raw numbers.
        target_prior: whether pi is "learned", or "fixed" at equal weights.
        warmup: the number of steps of Adam in `prepare`, each on 128 data; 0 for none, where the
            components begin at random.

    Raises:
        TypeError: an argument is not such a part.
        ValueError: a number is out of range, or the parts do not fit one another.

    Example:
        >>> import torch
        >>> from pyrovae.likelihoods import Bernoulli
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> model = ClusterVAE(
        ...     dim=2, clusters=3, likelihood=Bernoulli((8,)), posterior=MeanFieldNormal(),
        ...     encoder=MLP((16,)), decoder=MLP((16,)))
        >>> model.classify(torch.zeros(5, 8)).probs.shape
        torch.Size([5, 3])
        >>> model.sample(4, y=2).shape
        torch.Size([4, 8])
    """

    def __init__(
        self,
        *,
        dim: int = 10,
        clusters: int = 10,
        likelihood: Likelihood,
        posterior: Posterior,
        encoder: Network | Builder | None,
        decoder: Network | Builder,
        target_prior: Literal["fixed", "learned"] = "learned",
        warmup: int = 500,
    ) -> None:
        super().__init__()
        for name, value in (("dim", dim), ("clusters", clusters)):
            if not is_count(value):
                raise ValueError(
                    f"ClusterVAE expects {name} to be a positive integer{limit(value)}; "
                    f"got {value!r}"
                )
        self.dim = dim
        self.clusters = clusters
        self.likelihood = likelihood
        self.posterior = posterior
        self.encoder = encoder
        self.decoder = decoder
        self.target_prior = target_prior
        self.warmup = check_warmup("ClusterVAE", warmup)
        with memory_advice(lambda: f"making {clusters} clusters in {dim} dimensions; take fewer"):
            self.prior = Components(dim, clusters=clusters, weights=target_prior)
        self.encoder_network, self.decoder_network = bound_networks(
            self, encoder=encoder, decoder=decoder
        )
        self.event_shape = tuple(likelihood.event_shape)
        check_parts(self)

    @program
    def model(
        self,
        x: Tensor | None = None,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """The generative program; without x it draws y, z and x."""
        self.register()
        x = self._known(x, observed)
        require_batch(x, self.event_shape)
        with pyro.plate("data", 1 if x is None else len(x)):
            if x is None:
                z = pyro.sample("z", self.prior.given(pyro.sample("y", self.prior.labels())))
            else:
                z = pyro.sample("z", self.prior(Context(index=index)))
            raw = self.decoder_network(z)
            x_given_z = self.likelihood(raw, Context(index=index, observed=observed, x=x))
            return pyro.sample("x", x_given_z, obs=x)

    @program
    def guide(
        self,
        x: Tensor | None = None,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """The amortized posterior's program."""
        self.register()
        x = self._known(x, observed)
        if x is None:
            raise ValueError("the guide draws z given x, and got no x")
        require_batch(x, self.event_shape)
        with pyro.plate("data", len(x)):
            q = self._encoded(x, Context(index=index, observed=observed))
            return pyro.sample("z", q, infer=infer_of(self.posterior))

    def fixed(
        self,
        x: Tensor,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
        score: Score | None = None,
    ) -> FixedPrograms:
        """Return `model` and `guide` for one batch, with p(z) and q(z | x) computed beforehand."""
        x = self._known(x, observed)
        require_batch(x, self.event_shape)
        context = Context(index=index, observed=observed)
        return fixed_programs(
            x,
            p=self.prior(Context(index=index)),
            q=self._encoded(x, context),
            decode=self._decode,
            context=context,
            infer=infer_of(self.posterior),
            score=score,
        )

    def classify(self, x: Tensor, *, observed: Tensor | None = None) -> TorchDistributionMixin:
        """Return p(y | z) at the mean of q(z | x), of batch shape `[*batch]`.

        A mean over draws would be the exact q(y | x); this has no noise.

        Arguments:
            x: the data, of shape `[*batch, *event_shape]`.
            observed: which entries of x are known.

        Raises:
            ValueError: the posterior states no mean.
        """
        q = self.encode(x, observed=observed)
        try:
            mean = q.mean
        except (NotImplementedError, AttributeError) as error:
            raise ValueError(
                f"classify looks at the mean of q(z | x), and {self.posterior!r} states none: "
                f"choose a posterior that does, such as MeanFieldNormal"
            ) from error
        return self.prior.shares(mean)

    def encode(self, x: Tensor, *, observed: Tensor | None = None) -> TorchDistributionMixin:
        """Return q(z | x), of batch shape `[*batch]` for x of shape `[*batch, *event_shape]`."""
        return self._encoded(self._known(x, observed), Context(observed=observed))

    def decode(self, z: Tensor) -> TorchDistributionMixin:
        """Return p(x | z), of batch shape `[*batch]` for z of shape `[*batch, *latent_shape]`."""
        require_tensor("z", z)
        return self._decode(z, Context())

    @torch.no_grad()
    def sample(self, n: int = 1, *, y: Tensor | float | None = None, mean: bool = False) -> Tensor:
        """Draw n data from the model, of shape `[n, *event_shape]`.

        Arguments:
            n: how many.
            y: their clusters, or one for all; None draws them from p(y).
            mean: return E[x | z] at each draw in place of a draw of x; of codes the likeliest.

        Raises:
            ValueError: n is no count, or y are no clusters.
            MemoryError: so many do not fit into memory.
        """
        require_count(n)
        with evaluation_mode(self), memory_advice(lambda: f"drawing {n} data; draw fewer at once"):
            p = self.prior.labels()
            codes = p.sample(torch.Size((n,))) if y is None else self._codes(y, n)
            x_given_z = self.decode(self.prior.given(codes).sample())
            return self.likelihood.typical(x_given_z) if mean else x_given_z.sample()

    @torch.no_grad()
    def reconstruct(self, x: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Return `E[x | z]` at one draw z ~ q(z | x) for each datum, of the shape of x."""
        with evaluation_mode(self):
            return self.likelihood.typical(self.decode(self.encode(x, observed=observed).sample()))

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the parts and the components set their starting values, once in the model's life.

        What is frozen keeps the values it has.
        """
        if self.prepared:
            return
        kept = [(tensor, tensor.detach().clone()) for tensor in frozen_tensors(self)]
        prepare_parts(self, batch, offset=self.decoder_network.offset)
        warm_up(self, batch, steps=self.warmup)
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise ValueError where x has another shape or lies outside the likelihood's support."""
        check_data(self, batch)

    def _codes(self, y: Tensor | float, n: int) -> Tensor:
        codes = torch.as_tensor(y, device=self.prior.loc.device)
        whole = codes.shape in ((), (n,)) and bool((codes == codes.round()).all())
        if not whole or bool(((codes < 0) | (codes >= self.clusters)).any()):
            raise ValueError(
                f"sample expects y to be one of the clusters 0 to {self.clusters - 1}, or {n} of "
                f"them; got {y!r}"
            )
        return codes.expand(n)

    def _decode(self, z: Tensor, context: Context) -> TorchDistributionMixin:
        return self.likelihood(self.decoder_network(z), context)

    def _encoded(self, x: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x), told how to look at the bound of each datum."""
        bound = local_bound(
            x,
            prior=lambda: self.prior(Context(index=context.index)),
            decode=lambda z: self._decode(z, context),
            decoder=self.decoder_network,
        )
        raw = self.encoder_network(self.likelihood.inputs(x), observed=context.observed)
        return self.posterior(raw, replace(context, bound=bound))

    def _known(self, x: Tensor | None, observed: Tensor | None) -> Any:
        """Return x in the model's precision, with a stand-in where it is not observed."""
        return known(x, observed, self.likelihood, self.decoder_network.offset.dtype)
