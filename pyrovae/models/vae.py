"""The variational autoencoder."""

from collections.abc import Callable, Mapping
from typing import Any

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.likelihoods import Likelihood
from pyrovae.memory import memory_advice
from pyrovae.models.checks import check_data, check_parts, claim, require_attributes, require_part
from pyrovae.models.decoded import Decoded, Score
from pyrovae.models.model import Model
from pyrovae.models.program import program
from pyrovae.networks import Builder, Folded, Network, frozen_statistics
from pyrovae.numeric import is_count, limit
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior
from pyrovae.scopes import evaluation_mode, frozen_tensors

_LESS = "lower the widths of the networks or the sizes of the parts"


class VAE(Model):
    r"""A variational autoencoder: three distributions and two networks.

        z ~ p(z)                site "z"
        x ~ p(x | z)            site "x", given the decoder's output at z

    with the amortized posterior `q(z | x)`, given the encoder's output at x.

    References:
        Kingma and Welling, 2014, arXiv:1312.6114; Rezende, Mohamed and Wierstra, 2014,
        arXiv:1401.4082.

    Arguments:
        prior: p(z).
        likelihood: p(x | z).
        posterior: q(z | x).
        encoder: the network from x to the posterior's raw numbers, a description such as
            `MLP((400, 400))` or any function `(in_shape, out_shape) -> nn.Module`.
        decoder: the network from z to the likelihood's raw numbers, likewise.

    Raises:
        TypeError: an argument is not such a part.
        ValueError: the parts do not fit one another; the message names both.
        MemoryError: the networks do not fit into memory.

    Example:
        >>> from pyrovae.likelihoods import Bernoulli
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = VAE(prior=StandardNormal(2), likelihood=Bernoulli((1, 8, 8)),
        ...           posterior=MeanFieldNormal(), encoder=MLP((32,)), decoder=MLP((32,)))
        >>> vae.encode(torch.zeros(5, 1, 8, 8)).batch_shape
        torch.Size([5])
        >>> vae.sample(3).shape
        torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        *,
        prior: Prior,
        likelihood: Likelihood,
        posterior: Posterior,
        encoder: Network | Builder,
        decoder: Network | Builder,
    ) -> None:
        super().__init__()
        self.prior = require_part("prior", prior, Prior)
        self.likelihood = require_part("likelihood", likelihood, Likelihood)
        self.posterior = require_part("posterior", posterior, Posterior)
        self.encoder = encoder
        self.decoder = decoder
        require_attributes(prior, "event_shape")
        require_attributes(likelihood, "event_shape", "head")
        require_attributes(posterior, "head")
        self.event_shape = tuple(likelihood.event_shape)
        latent_shape = tuple(prior.event_shape)
        for part in (prior, likelihood, posterior):
            claim(part, latent_shape, self.event_shape)
        posterior.event_shape = latent_shape
        encoded, decoded = posterior.head, likelihood.head
        with memory_advice(lambda: f"building a VAE of {prior!r} for {likelihood!r}; {_LESS}"):
            prior.bind(self.event_shape)
            posterior.bind(self.event_shape)
            likelihood.bind(latent_shape)
            self.encoder_network = Folded(
                encoder, self.event_shape, encoded.out_shape(latent_shape), owner="the encoder"
            )
            self.decoder_network = Folded(
                decoder, latent_shape, decoded.out_shape(self.event_shape), owner="the decoder"
            )
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
        """The generative program; without x it draws one."""
        self.register()
        x = self._known(x, observed)
        self._require_batch(x)
        with pyro.plate("data", 1 if x is None else len(x)):
            z = pyro.sample("z", self.prior(Context(index=index, encode=self._encode_frozen)))
            raw = self.decoder_network(z)
            x_given_z = self.likelihood(raw, Context(index=index, observed=observed))
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
        self._require_batch(x)
        with pyro.plate("data", len(x)):
            raw = self.encoder_network(x)
            return pyro.sample("z", self.posterior(raw, Context(index=index, observed=observed)))

    def fixed(
        self,
        x: Tensor,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
        score: Score | None = None,
    ) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
        """Return `model` and `guide` for one batch, with p(z) and q(z | x) computed beforehand.

        For many runs on the same data and parameters, to score them: each draws anew, none encodes
        again, and x is decoded and scored a part at a time. Both programs take, and ignore, the
        batch.
        """
        x = self._known(x, observed)
        self._require_batch(x)
        p = self.prior(Context(index=index, encode=self._encode_frozen))
        context = Context(index=index, observed=observed)
        q = self.posterior(self.encoder_network(x), context)

        def model(**batch: Tensor) -> Tensor:
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", p)
                several = z.dim() == 2 + len(self.prior.event_shape)  # in a plate of particles
                if several:
                    return pyro.sample("x", Decoded(self._decode, z, context, score=score), obs=x)
                return pyro.sample("x", self._decode(z, context), obs=x)

        def guide(**batch: Tensor) -> Tensor:
            with pyro.plate("data", len(x)):
                return pyro.sample("z", q)

        return model, guide

    def encode(self, x: Tensor, *, observed: Tensor | None = None) -> TorchDistributionMixin:
        """Return q(z | x), of batch shape `[*batch]` for x of shape `[*batch, *event_shape]`."""
        known = self._known(x, observed)
        return self.posterior(self.encoder_network(known), Context(observed=observed))

    def decode(self, z: Tensor) -> TorchDistributionMixin:
        """Return p(x | z), of batch shape `[*batch]` for z of shape `[*batch, *latent_shape]`."""
        _require_tensor("z", z)
        return self._decode(z, Context())

    @torch.no_grad()
    def sample(self, n: int = 1, *, mean: bool = False) -> Tensor:
        """Draw n data from the model, of shape `[n, *event_shape]`.

        Arguments:
            n: how many.
            mean: return E[x | z] at each draw of z instead of a draw of x.

        Raises:
            ValueError: n is not a count.
            MemoryError: so many do not fit into memory.
        """
        if not is_count(n, least=0):
            raise ValueError(f"sample expects n to be a whole number of draws{limit(n)}; got {n!r}")
        with evaluation_mode(self), memory_advice(lambda: f"drawing {n} data; draw fewer at once"):
            z = self.prior(Context(encode=self._encode_frozen)).sample((max(n, 1),))[:n]
            x_given_z = self.decode(z)  # a mixture cannot draw none: torch.multinomial refuses
            return x_given_z.mean if mean else x_given_z.sample()

    @torch.no_grad()
    def reconstruct(self, x: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Return `E[x | z]` at one draw z ~ q(z | x) for each datum, of the shape of x."""
        with evaluation_mode(self):
            return self.decode(self.encode(x, observed=observed).sample()).mean

    @torch.no_grad()
    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the parts set their starting values from data, once in the model's life.

        What is frozen keeps the values it has.
        """
        if self.prepared:
            return
        batch = {**batch, "x": self._known(batch["x"], batch.get("observed"))}
        kept = [(tensor, tensor.clone()) for tensor in frozen_tensors(self)]
        self.prior.prepare(batch)
        self.posterior.prepare(batch)
        start = self.likelihood.prepare(batch)
        if start is not None:
            self.decoder_network.offset.copy_(start)
        for tensor, before in kept:
            tensor.copy_(before)
        self.prepared.fill_(True)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise ValueError where x has another shape or lies outside the likelihood's support."""
        check_data(self, batch)

    def _decode(self, z: Tensor, context: Context) -> TorchDistributionMixin:
        return self.likelihood(self.decoder_network(z), context)

    def _encode_frozen(self, x: Tensor) -> TorchDistributionMixin:
        """Return q(z | x) for pseudo-inputs, which must not move the statistics of the data."""
        with frozen_statistics(self.encoder_network):
            return self.encode(x)

    def _require_batch(self, x: Tensor | None) -> None:
        """Raise ValueError where x has not exactly one batch dimension, which the plate needs."""
        if x is not None and x.dim() != len(self.event_shape) + 1:
            raise ValueError(
                f"the programs expect x of shape [batch, "
                f"{', '.join(map(str, self.event_shape))}]; got {list(x.shape)}"
            )

    def _known(self, x: Tensor | None, observed: Tensor | None) -> Any:
        """Return x in the model's precision, with a stand-in where it is not observed."""
        if x is None:
            return None
        _require_tensor("x", x)
        depth = x.dim() - len(self.event_shape)
        if depth < 0 or tuple(x.shape[depth:]) != self.event_shape:
            raise ValueError(
                f"{self.likelihood!r} expects x of shape [*batch, "
                f"{', '.join(map(str, self.event_shape))}]; got {list(x.shape)}"
            )
        if observed is not None and (observed.dtype != torch.bool or observed.shape != x.shape):
            raise ValueError(
                f"observed says of each entry of x whether it is known: expected a boolean tensor "
                f"of shape {list(x.shape)}; got {observed.dtype} of shape {list(observed.shape)}"
            )
        x = x.to(self.decoder_network.offset.dtype)  # bytes, or doubles, in the model's precision
        return x if observed is None else torch.where(observed, x, self.likelihood.fill)


def _require_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name} must be a tensor; got {type(value).__name__}: convert it with torch.as_tensor"
        )
