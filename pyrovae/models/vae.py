"""The variational autoencoder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from pyro.poutine.runtime import InferDict
from torch import Tensor

from pyrovae.context import Context
from pyrovae.likelihoods import Likelihood
from pyrovae.memory import memory_advice
from pyrovae.models.building import bound_networks
from pyrovae.models.checks import check_data, check_parts
from pyrovae.models.decoded import Score
from pyrovae.models.fixed import FixedPrograms, fixed_programs
from pyrovae.models.inputs import known, require_batch, require_tensor
from pyrovae.models.local_bound import local_bound
from pyrovae.models.model import Model
from pyrovae.models.preparing import prepare_parts
from pyrovae.models.program import program
from pyrovae.networks import Builder, Network, frozen_statistics
from pyrovae.numeric import is_count, limit
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior
from pyrovae.scopes import evaluation_mode


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
            `MLP((400, 400))` or any function `(in_shape, out_shape) -> nn.Module`; None for a
            posterior that needs none.
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
        encoder: Network | Builder | None,
        decoder: Network | Builder,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.likelihood = likelihood
        self.posterior = posterior
        self.encoder = encoder
        self.decoder = decoder
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
        """The generative program; without x it draws one."""
        self.register()
        x = self._known(x, observed)
        require_batch(x, self.event_shape)
        with pyro.plate("data", 1 if x is None else len(x)):
            z = pyro.sample("z", self.prior(Context(index=index, encode=self._encode_frozen)))
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
            return pyro.sample("z", q, infer=self._infer())

    def fixed(
        self,
        x: Tensor,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
        score: Score | None = None,
    ) -> FixedPrograms:
        """Return `model` and `guide` for one batch, with p(z) and q(z | x) computed beforehand.

        For many runs on the same data and parameters, to score them: each draws anew, none encodes
        again, and x is decoded and scored a part at a time. Both programs take, and ignore, the
        batch.
        """
        x = self._known(x, observed)
        require_batch(x, self.event_shape)
        p = self.prior(Context(index=index, encode=self._encode_frozen))
        context = Context(index=index, observed=observed)
        q = self._encoded(x, context)

        return fixed_programs(
            x, p=p, q=q, decode=self._decode, context=context, infer=self._infer(), score=score
        )

    def encode(self, x: Tensor, *, observed: Tensor | None = None) -> TorchDistributionMixin:
        """Return q(z | x), of batch shape `[*batch]` for x of shape `[*batch, *event_shape]`."""
        return self._encoded(self._known(x, observed), Context(observed=observed))

    def decode(self, z: Tensor) -> TorchDistributionMixin:
        """Return p(x | z), of batch shape `[*batch]` for z of shape `[*batch, *latent_shape]`."""
        require_tensor("z", z)
        return self._decode(z, Context())

    @torch.no_grad()
    def sample(self, n: int = 1, *, mean: bool = False) -> Tensor:
        """Draw n data from the model, of shape `[n, *event_shape]`.

        Arguments:
            n: how many.
            mean: return E[x | z] at each draw of z instead of a draw of x; where x are codes, the
                likeliest one.

        Raises:
            ValueError: n is not a count.
            MemoryError: so many do not fit into memory.
        """
        if not is_count(n, least=0):
            raise ValueError(f"sample expects n to be a whole number of draws{limit(n)}; got {n!r}")
        with evaluation_mode(self), memory_advice(lambda: f"drawing {n} data; draw fewer at once"):
            z = self.prior(Context(encode=self._encode_frozen)).sample((max(n, 1),))[:n]
            x_given_z = self.decode(z)  # a mixture cannot draw none: torch.multinomial refuses
            return self.likelihood.typical(x_given_z) if mean else x_given_z.sample()

    @torch.no_grad()
    def reconstruct(self, x: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Return `E[x | z]` at one draw z ~ q(z | x) for each datum, of the shape of x.

        Where x are codes it is the likeliest one.
        """
        with evaluation_mode(self):
            z = self.encode(x, observed=observed).sample()
            return self.likelihood.typical(self.decode(z))

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the parts set their starting values from data, once in the model's life.

        What is frozen keeps the values it has.
        """
        prepare_parts(self, batch, offset=self.decoder_network.offset)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise ValueError where x has another shape or lies outside the likelihood's support."""
        check_data(self, batch)

    def _decode(self, z: Tensor, context: Context) -> TorchDistributionMixin:
        return self.likelihood(self.decoder_network(z), context)

    def _encoded(self, x: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x), told how to look at the bound of each datum."""
        bound = local_bound(
            x,
            prior=lambda: self.prior(Context(index=context.index, encode=self._encode_frozen)),
            decode=lambda z: self._decode(z, context),
            decoder=self.decoder_network,
        )
        raw = self.encoder_network(self.likelihood.inputs(x), observed=context.observed)
        return self.posterior(raw, replace(context, bound=bound))

    def _encode_frozen(self, inputs: Tensor) -> TorchDistributionMixin:
        """Return q(z | x) for pseudo-inputs, which must not move the statistics of the data."""
        with frozen_statistics(self.encoder_network):
            return self.posterior(self.encoder_network(inputs), Context())

    def _infer(self) -> InferDict:
        return {"enumerate": "parallel"} if self.posterior.enumerated else {}

    def _known(self, x: Tensor | None, observed: Tensor | None) -> Any:
        """Return x in the model's precision, with a stand-in where it is not observed."""
        return known(x, observed, self.likelihood, self.decoder_network.offset.dtype)
