"""The conditional variational autoencoder."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.likelihoods import Likelihood
from pyrovae.memory import memory_advice
from pyrovae.models.building import bound_networks
from pyrovae.models.checks import check_data, check_parts
from pyrovae.models.condition import Condition
from pyrovae.models.decoded import Score
from pyrovae.models.fixed import FixedPrograms, fixed_programs
from pyrovae.models.inputs import known, require_batch, require_tensor
from pyrovae.models.labels import infer_of, prior_draws, require_count
from pyrovae.models.local_bound import local_bound
from pyrovae.models.model import Model
from pyrovae.models.preparing import prepare_parts
from pyrovae.models.program import program
from pyrovae.networks import Builder, Folded, Network, frozen_statistics
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior
from pyrovae.scopes import evaluation_mode


class ConditionalVAE(Model):
    r"""A variational autoencoder of x given y, which is known for every datum.

        z ~ p(z), or p(z | y)   site "z"
        x ~ p(x | z, y)         site "x", given the decoder's output at z and y

    with the amortized posterior `q(z | x, y)`, given the encoder's output at x and y. The bound,
    and what `evaluate` estimates, is of log p(x | y). y is a class, a vector, or an image, such as
    the part of x that is seen.

    With a baseline the likelihood's raw numbers are the sum of the decoder's output and that of a
    network of y alone, which may be trained before and frozen.

    References:
        Sohn, Lee and Yan, 2015, Learning structured output representation using deep conditional
        generative models; Kingma, Rezende, Mohamed and Welling, 2014, arXiv:1406.5298.

    Arguments:
        prior: p(z), or one of a condition, p(z | y).
        likelihood: p(x | z, y).
        posterior: q(z | x, y).
        encoder: the network from x and y to the posterior's raw numbers; None for a posterior that
            needs none.
        decoder: the network from z and y to the likelihood's raw numbers.
        levels: y is a class out of so many, int64 of shape `[batch]`; None where y are numbers.
        condition_shape: y are numbers of this shape, floating of shape
            `[batch, *condition_shape]`; () for a single number, and with `levels`.
        baseline: the network from y to raw numbers of the likelihood; None for none.

    Raises:
        TypeError: an argument is not such a part.
        ValueError: the parts do not fit one another; the message names both.
        MemoryError: the networks do not fit into memory.

    Example:
        >>> from pyrovae.likelihoods import Bernoulli
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> cvae = ConditionalVAE(prior=StandardNormal(2), likelihood=Bernoulli((1, 8, 8)),
        ...                       posterior=MeanFieldNormal(), encoder=MLP((32,)),
        ...                       decoder=MLP((32,)), levels=10)
        >>> cvae.encode(torch.zeros(5, 1, 8, 8), y=3).batch_shape
        torch.Size([5])
        >>> cvae.sample(2, y=torch.tensor([3, 7])).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        *,
        prior: Prior,
        likelihood: Likelihood,
        posterior: Posterior,
        encoder: Network | Builder | None,
        decoder: Network | Builder,
        levels: int | None = None,
        condition_shape: tuple[int, ...] = (),
        baseline: Network | Builder | None = None,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.likelihood = likelihood
        self.posterior = posterior
        self.encoder = encoder
        self.decoder = decoder
        self.levels = levels
        self.condition = Condition(type(self).__name__, levels=levels, shape=condition_shape)
        self.condition_shape = self.condition.shape
        self.baseline = baseline
        self.encoder_network, self.decoder_network = bound_networks(
            self, encoder=encoder, decoder=decoder, condition_shape=self.condition.embedded_shape
        )
        self.event_shape = tuple(likelihood.event_shape)
        self.baseline_network = None
        if baseline is not None:
            shapes = self.condition.embedded_shape, self.decoder_network.out_shape
            with memory_advice(lambda: "building the baseline; use a smaller network"):
                self.baseline_network = Folded(baseline, *shapes, owner="the baseline")
        check_parts(self, condition=(self.condition.size,))

    @program
    def model(
        self,
        x: Tensor | None = None,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """The generative program of x given y; without x it draws one for each y."""
        self.register()
        x = self._known(x, observed)
        require_batch(x, self.event_shape)
        y = self.condition.require(y, None if x is None else len(x))
        context = self._context(y, index=index, observed=observed)
        with pyro.plate("data", len(y)):
            z = pyro.sample("z", self._prior(context))
            return pyro.sample("x", self._decode(z, replace(context, x=x)), obs=x)

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
            raise ValueError("the guide draws z given x and y, and got no x")
        require_batch(x, self.event_shape)
        context = self._context(self.condition.require(y, len(x)), index=index, observed=observed)
        with pyro.plate("data", len(x)):
            return pyro.sample("z", self._encoded(x, context), infer=infer_of(self.posterior))

    def fixed(
        self,
        x: Tensor,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
        score: Score | None = None,
    ) -> FixedPrograms:
        """Return `model` and `guide` for one batch, with p(z | y) and q(z | x, y) made beforehand.

        x is decoded and scored a part at a time; see `Model`.
        """
        x = self._known(x, observed)
        require_batch(x, self.event_shape)
        context = self._context(self.condition.require(y, len(x)), index=index, observed=observed)
        p, q, told = self._prior(context), self._encoded(x, context), infer_of(self.posterior)
        return fixed_programs(
            x, p=p, q=q, decode=self._decode, context=context, infer=told, score=score
        )

    def encode(self, x: Tensor, *, y: Any, observed: Tensor | None = None) -> Any:
        """Return q(z | x, y), of batch shape `[*batch]` for x of shape `[*batch, *event_shape]`.

        Arguments:
            x: the data.
            y: one for all, or one for each datum, of shape `[*batch, *condition_shape]`.
            observed: which entries of x are known.
        """
        x = self._known(x, observed)
        batch = x.shape[: x.dim() - len(self.event_shape)]
        return self._encoded(x, self._asked(y, batch, observed=observed))

    def decode(self, z: Tensor, *, y: Any) -> TorchDistributionMixin:
        """Return p(x | z, y); the batch dimensions of z and y are broadcast.

        So z of shape `[5, 1, *latent_shape]` and classes y of shape `[10]` make a grid.
        """
        require_tensor("z", z)
        return self._decode(z, self._context(self.condition.asked(y, z)))

    @torch.no_grad()
    def sample(self, n: int = 1, *, y: Any = None, mean: bool = False) -> Tensor:
        """Draw n data from the model given y, of shape `[n, *event_shape]`.

        Arguments:
            n: how many.
            y: one for all, or one for each draw; where y are classes, by default each in turn.
            mean: return E[x | z, y] at each draw of z instead of a draw of x; where x are codes,
                the likeliest one.

        Raises:
            TypeError: y is of another kind.
            ValueError: n is not a count, or y is missing, of another shape, or out of range.
            MemoryError: so many do not fit into memory.
        """
        if y is None and self.levels is not None:
            y = torch.arange(require_count(n)) % self.levels
        with evaluation_mode(self), memory_advice(lambda: f"drawing {n} data; draw fewer at once"):
            context = self._asked(y, (require_count(n),))
            z = prior_draws(self._prior(context), max(n, 1))[:n]  # a mixture cannot draw none
            x_given_z = self._decode(z, context)
            return self.likelihood.typical(x_given_z) if mean else x_given_z.sample()

    def reconstruct(self, x: Tensor, *, y: Any, observed: Tensor | None = None) -> Tensor:
        """Return `E[x | z, y]` at one draw z ~ q(z | x, y) for each datum, of the shape of x."""
        return self.translate(x, y=y, source=y, observed=observed)

    @torch.no_grad()
    def translate(
        self, x: Tensor, *, y: Any, source: Any, observed: Tensor | None = None
    ) -> Tensor:
        """Return each datum with another y in its own style: its z, decoded under y.

        Arguments:
            x: the data, of shape `[*batch, *event_shape]`.
            y: the new one, for all or for each datum.
            source: the y that x have, likewise.
            observed: which entries of x are known.
        """
        with evaluation_mode(self):
            z = self.encode(x, y=source, observed=observed).sample()
            return self.likelihood.typical(self.decode(z, y=y))

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the parts, and the baseline before the decoder, start at where the data lie."""
        prepare_parts(self, batch, offset=(self.baseline_network or self.decoder_network).offset)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise where x or y have another shape, x lies outside the support, or y is not known."""
        check_data(self, batch)
        self.condition.check(batch)

    def _prior(self, context: Context) -> TorchDistributionMixin:
        """Return the prior, which gets y as a vector, and posteriors of pseudo-inputs given y."""
        condition = context.condition
        encode = partial(self._encode_frozen, condition=self.condition.beside(condition))
        vector = self.condition.vector(condition)
        return self.prior(Context(condition=vector, index=context.index, encode=encode))

    def _decode(self, z: Tensor, context: Context) -> TorchDistributionMixin:
        raw = self.decoder_network(z, condition=context.condition)
        if self.baseline_network is not None:
            raw = raw + self.baseline_network(context.condition)
        return self.likelihood(raw, context)

    def _encoded(self, x: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x, y), told how to look at the bound of each datum."""

        def decode(z: Tensor) -> TorchDistributionMixin:
            return self._decode(z, context)

        bound = local_bound(x, prior=partial(self._prior, context), decode=decode, decoder=self)
        raw = self._raw(self.likelihood.inputs(x), context)
        return self.posterior(raw, replace(context, bound=bound))

    def _encode_frozen(
        self, inputs: Tensor, condition: Tensor | None = None
    ) -> TorchDistributionMixin:
        """Return q(z | u, y) for pseudo-inputs u, which do not move running statistics."""
        if condition is None:  # to see whether the parts fit
            condition = inputs.new_zeros(self.condition.embedded_shape)
        with frozen_statistics(self.encoder_network):
            context = Context(condition=condition)
            return self.posterior(self._raw(inputs, context), context)

    def _raw(self, inputs: Tensor, context: Context) -> Tensor:
        """Return the encoder's output; where there is no encoder it takes no condition either."""
        takes = self.encoder_network.condition_shape is not None
        condition = context.condition if takes else None
        raw: Tensor = self.encoder_network(inputs, observed=context.observed, condition=condition)
        return raw

    def _context(self, y: Tensor, **told: Tensor | None) -> Context:
        """Return what the parts are told, with y as networks see it."""
        condition = self.condition.embedded(y, self.decoder_network.offset.dtype)
        return Context(condition=condition, index=told.get("index"), observed=told.get("observed"))

    def _asked(self, y: Any, batch: tuple[int, ...], observed: Tensor | None = None) -> Context:
        """Return the context of a y of the user's for data of a batch shape."""
        given = self.condition.asked(y, self.decoder_network.offset, batch)
        return self._context(given, observed=observed)

    def _known(self, x: Tensor | None, observed: Tensor | None) -> Any:
        """Return x in the model's precision, with a stand-in where it is not observed."""
        return known(x, observed, self.likelihood, self.decoder_network.offset.dtype)
