"""The variational autoencoder with an auxiliary variable and labels."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import pyro
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.likelihoods import Likelihood
from pyrovae.models.auxiliary_variable import AuxiliaryVariable, dimension_of, side_by_side
from pyrovae.models.averaged import DRAWS, averaged, same_draws
from pyrovae.models.building import bound_networks
from pyrovae.models.checks import check_data, check_parts
from pyrovae.models.inputs import known, require_batch, require_tensor
from pyrovae.models.label_verbs import Label, sampled, translated
from pyrovae.models.labels import Inference, check_weight, infer_of, rows_of
from pyrovae.models.local_bound import local_bound
from pyrovae.models.model import Model
from pyrovae.models.preparing import prepare_parts
from pyrovae.models.program import program
from pyrovae.models.target import Target
from pyrovae.networks import Builder, Network, frozen_statistics
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior


class AuxiliaryVAE(Model):
    r"""A semi-supervised autoencoder whose guide draws an auxiliary variable a first (ADGM).

        y ~ p(y)                site "y"
        z ~ p(z), or p(z | y)   site "z"
        x ~ p(x | y, z)         site "x"
        a ~ p(a | z, y, x)      site "a"

    with the guide `q(a | x) q(y | a, x) q(z | a, x, y)`: with a averaged out both q(y | x) and
    q(z | x, y) are mixtures, and the model of x stays as it was. With `skip` the variable is part
    of that model (SDGM), `a ~ p(a | z, y)` and `x ~ p(x | a, y, z)`. At known labels the classifier
    has the term `label_weight * log q(y | a, x)`, the site "label".

    An enumerated y hangs on the draw of a. ELBO takes that; bounds with a logarithm over particles,
    such as IWAE, whose mean over y stands outside of it, need a y that is drawn, as by "relaxed".

    References:
        Maaloe, Sonderby, Sonderby and Winther, 2016, arXiv:1602.05473.

    Arguments:
        prior: p(z), or one of a condition, p(z | y).
        likelihood: p(x | y, z), or p(x | a, y, z).
        posterior: q(z | a, x, y).
        encoder: the network from x, a and y to the posterior's raw numbers, None where it has none.
        decoder: the network from z and y, and a with `skip`, to the likelihood's raw numbers.
        target: the likelihood of y, such as `Categorical((), levels=10)`.
        classifier: the network from x and a to the raw numbers of q(y | a, x).
        auxiliary_dim: the dimension of a, whose distributions are diagonal normal ones.
        auxiliary_encoder: the network from x to those of q(a | x), by default as the classifier.
        auxiliary_decoder: that from z, y and x to those of p(a | z, y, x), by default likewise, or
            with `skip` from z and y to those of p(a | z, y), by default as the decoder.
        skip: whether x is made of a.
        inference: how an unknown y is inferred, see `SemiSupervisedVAE`.
        temperature: of relaxed draws, from 0.001 to 1000.
        target_prior: whether p(y) is "fixed" or "learned".
        label_weight: the weight of a known label in the bound, likewise.
        warmup: training steps in which q(y | a, x) of unlabelled rows gets its gradient, likewise.

    Raises:
        TypeError: an argument is not such a part.
        ValueError: the parts do not fit one another; the message names both.

    Example:
        >>> import torch
        >>> from pyrovae.likelihoods import Bernoulli, Categorical
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> model = AuxiliaryVAE(
        ...     prior=StandardNormal(2), likelihood=Bernoulli((8,)), posterior=MeanFieldNormal(),
        ...     encoder=MLP((16,)), decoder=MLP((16,)), classifier=MLP((16,)),
        ...     target=Categorical((), levels=3), auxiliary_dim=4, skip=True)
        >>> model.classify(torch.zeros(5, 8)).probs.shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        *,
        prior: Prior,
        likelihood: Likelihood,
        posterior: Posterior,
        encoder: Network | Builder | None,
        decoder: Network | Builder,
        target: Likelihood,
        classifier: Network | Builder,
        auxiliary_dim: int = 100,
        auxiliary_encoder: Network | Builder | None = None,
        auxiliary_decoder: Network | Builder | None = None,
        skip: bool = False,
        inference: Inference | None = None,
        temperature: float = 0.5,
        target_prior: Literal["fixed", "learned"] = "fixed",
        label_weight: float = 10.0,
        warmup: int = 0,
    ) -> None:
        super().__init__()
        self.prior, self.likelihood, self.posterior = prior, likelihood, posterior
        self.encoder, self.decoder = encoder, decoder
        self.target, self.classifier = target, classifier
        self.auxiliary_dim, self.skip = dimension_of(self, auxiliary_dim), skip
        self.auxiliary_encoder, self.auxiliary_decoder = auxiliary_encoder, auxiliary_decoder
        self.inference, self.temperature = inference, temperature
        self.target_prior, self.warmup = target_prior, warmup
        self.label_weight = check_weight(self, label_weight)
        self.label = Target(
            self,
            target=target,
            classifier=classifier,
            inference=inference,
            temperature=temperature,
            prior=target_prior,
            warmup=warmup,
            beside=(auxiliary_dim,),
        )
        codes = self.label.condition_shape
        both = (auxiliary_dim + codes[0],)
        self.encoder_network, self.decoder_network = bound_networks(
            self,
            encoder=encoder,
            decoder=decoder,
            condition_shape=both if skip else codes,
            encoder_condition_shape=both,
        )
        self.auxiliary = AuxiliaryVariable(
            self,
            dim=auxiliary_dim,
            encoder=auxiliary_encoder or classifier,
            decoder=auxiliary_decoder or (decoder if skip else classifier),
            skip=skip,
            condition_shape=codes,
        )
        self.event_shape = tuple(likelihood.event_shape)
        check_parts(self, condition=codes)

    @program
    def model(
        self,
        x: Tensor | None = None,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """The generative program; without x it draws one, with the label y where it is known."""
        self.register()
        x = self._known(x, observed)
        require_batch(x, self.event_shape)
        with pyro.plate("data", rows_of(x, y)):
            label = pyro.sample("y", self.label.prior(y if x is None else None))
            code = self.label.embedded(label)
            z = pyro.sample("z", self._prior(code, index))
            a = pyro.sample("a", self.auxiliary.prior(z, code)) if self.skip else None
            context = Context(index=index, observed=observed, x=x)
            made = pyro.sample("x", self._decoded(z, code, a, context), obs=x)
            if a is None:
                seen = self.likelihood.inputs(made)
                a = pyro.sample("a", self.auxiliary.prior(z, code, seen, observed=observed))
            if x is not None and y is not None:
                raw = self._classified(x, a, observed)
                scored, known_y = self.label.scored(raw, y, weight=self.label_weight)
                pyro.sample("label", scored, obs=known_y)
            return made

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
            raise ValueError("the guide draws a, y and z given x, and got no x")
        require_batch(x, self.event_shape)
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", self._auxiliary(x, observed))
            raw = self._classified(x, a, observed)
            label = pyro.sample("y", self.label.posterior(raw, y), infer=self.label.infer)
            context = Context(index=index, observed=observed)
            q = self._encoded(x, a, self.label.embedded(label), context)
            return pyro.sample("z", q, infer=infer_of(self.posterior))

    def classify(
        self, x: Tensor, *, observed: Tensor | None = None, draws: int = DRAWS
    ) -> TorchDistributionMixin:
        """Return `q(y | x)`, the mean of q(y | a, x) over draws of a, the same at each call."""
        x = self._known(x, observed)
        a = same_draws(self._auxiliary(x, observed), draws, device=x.device)
        return averaged(self.label, self._classified(x, a, observed))

    def encode(
        self, x: Tensor, *, y: Label = None, observed: Tensor | None = None
    ) -> TorchDistributionMixin:
        """Return q(z | a, x, y) at the mean of `q(a | x)`; see `SemiSupervisedVAE`."""
        shown = self._known(x, observed)
        batch = shown.shape[: shown.dim() - len(self.event_shape)]
        label = self.label.completed(y, batch, lambda: self.classify(x, observed=observed))
        a = self._auxiliary(shown, observed).mean
        return self._encoded(shown, a, self.label.code(label), Context(observed=observed))

    def decode(self, z: Tensor, *, y: Tensor | float) -> TorchDistributionMixin:
        """Return p(x | y, z), or p(x | a, y, z) at the mean of p(a | z, y); likewise."""
        require_tensor("z", z)
        batch = z.shape[: z.dim() - len(self.prior.event_shape)]
        code = self.label.code(self.label.completed(y, batch))
        a = self.auxiliary.prior(z, code).mean if self.skip else None
        return self._decoded(z, code, a, Context())

    def sample(self, n: int = 1, *, y: Label = None, mean: bool = False) -> Tensor:
        """Draw n data from the model, of shape `[n, *event_shape]`; see `SemiSupervisedVAE`."""
        prior = partial(self._prior, index=None)
        return sampled(self, n, y=y, mean=mean, prior=prior, decode=self._drawn)

    def reconstruct(self, x: Tensor, *, y: Label = None, observed: Tensor | None = None) -> Tensor:
        """Return the mean of what `decode` returns at one draw of z for each datum; likewise."""
        return translated(self, x, y=y, source=y, observed=observed)

    def translate(
        self, x: Tensor, *, y: Label, source: Label = None, observed: Tensor | None = None
    ) -> Tensor:
        """Return each datum with another label in its own style; likewise."""
        return translated(self, x, y=y, source=source, observed=observed)

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the parts set their starting values from data, once in the model's life."""
        if not self.prepared:
            self.label.prepare(batch)
        prepare_parts(self, batch, offset=self.decoder_network.offset)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise ValueError where x or y cannot be scored."""
        check_data(self, batch)
        if batch.get("y") is not None:
            self.label.check(batch["y"], rows=len(batch["x"]))

    def evidence(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the batch without labels, see `Model`."""
        return {name: value for name, value in batch.items() if name != "y"}

    def _auxiliary(self, x: Tensor, observed: Tensor | None) -> Any:
        return self.auxiliary.posterior(self.likelihood.inputs(x), observed)

    def _classified(self, x: Tensor, a: Tensor, observed: Tensor | None) -> Tensor:
        return self.label.classified(self.likelihood.inputs(x), observed, beside=a)

    def _prior(self, code: Tensor, index: Tensor | None) -> TorchDistributionMixin:
        """Return p(z | y); pseudo-inputs are a batch dimension behind those of y."""
        encode = partial(self._encode_frozen, code=code.unsqueeze(-2))
        return self.prior(Context(condition=code, index=index, encode=encode))

    def _drawn(self, z: Tensor, code: Tensor) -> TorchDistributionMixin:
        a = self.auxiliary.prior(z, code).sample() if self.skip else None
        return self._decoded(z, code, a, Context())

    def _decoded(
        self, z: Tensor, code: Tensor, a: Tensor | None, context: Context
    ) -> TorchDistributionMixin:
        seen = code if a is None else side_by_side(a, code)
        raw = self.decoder_network(z, condition=seen)
        return self.likelihood(raw, replace(context, condition=code))

    def _encoded(
        self, x: Tensor, a: Tensor, code: Tensor, context: Context
    ) -> TorchDistributionMixin:
        """Return q(z | a, x, y), told how to look at the bound of each datum."""
        bound = local_bound(
            x,
            prior=lambda: self._prior(code, context.index),
            decode=lambda z: self._decoded(z, code, a if self.skip else None, context),
            decoder=self.decoder_network,
        )
        seen = side_by_side(a, code)
        inputs = self.likelihood.inputs(x)
        raw = self.encoder_network(inputs, observed=context.observed, condition=seen)
        return self.posterior(raw, replace(context, condition=code, bound=bound))

    def _encode_frozen(self, inputs: Tensor, code: Tensor | None = None) -> TorchDistributionMixin:
        """Return q(z | a, u, y) for pseudo-inputs u, at the mean of a; running statistics stay."""
        with frozen_statistics(self.encoder_network), frozen_statistics(self.auxiliary):
            code = inputs.new_zeros(self.label.condition_shape) if code is None else code
            seen = side_by_side(self.auxiliary.posterior(inputs).mean, code)
            return self.posterior(self.encoder_network(inputs, condition=seen), Context())

    def _known(self, x: Tensor | None, observed: Tensor | None) -> Any:
        return known(x, observed, self.likelihood, self.decoder_network.offset.dtype)
