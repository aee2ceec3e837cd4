"""The semi-supervised variational autoencoder."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import pyro
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.likelihoods import Likelihood
from pyrovae.models.building import bound_networks
from pyrovae.models.checks import check_data, check_parts
from pyrovae.models.inputs import known, require_batch, require_tensor
from pyrovae.models.label_verbs import Label, sampled, translated
from pyrovae.models.labels import (
    Inference,
    check_weight,
    infer_of,
    rows_of,
)
from pyrovae.models.local_bound import local_bound
from pyrovae.models.model import Model
from pyrovae.models.preparing import prepare_parts
from pyrovae.models.program import program
from pyrovae.models.target import Target
from pyrovae.networks import Builder, Network, frozen_statistics
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior


class SemiSupervisedVAE(Model):
    r"""A variational autoencoder with a label y that is known for some data (M2).

        y ~ p(y)                site "y", a point at the label where it is known
        z ~ p(z), or p(z | y)   site "z"
        x ~ p(x | y, z)         site "x", given the decoder's output at y and z

    with `q(y | x)` from the classifier and `q(z | x, y)` from the encoder. At known labels the
    classifier has a term of its own in the bound, `label_weight * log q(y | x)`, the site "label".
    One batch may hold labelled and unlabelled rows.

    An unknown y is summed over where it can be enumerated. Other ways draw it, and cost one run of
    the networks for any number of classes: "relaxed" with the gradient of a relaxed draw, which is
    biased; "score" without, for objectives such as `ELBO(estimator="score")`; "reparameterised" is
    for real numbers y.

    References:
        Kingma, Rezende, Mohamed and Welling, 2014, arXiv:1406.5298; relaxed: Jang, Gu and Poole,
        2017, arXiv:1611.01144.

    Arguments:
        prior: p(z), or one of a condition, such as `ConditionalNormal`, p(z | y).
        likelihood: p(x | y, z).
        posterior: q(z | x, y).
        encoder: the network from x and y to the posterior's raw numbers; None for a posterior that
            needs none.
        decoder: the network from z and y to the likelihood's raw numbers.
        target: the likelihood of y, of which p(y) and q(y | x) are instances, such as
            `Categorical((), levels=10)` for classes, or `Normal((), scale="network")`.
        classifier: the network from x to the raw numbers of q(y | x).
        inference: how an unknown y is inferred; None takes "enumerated", "reparameterised" or
            "score", the first of them that the target allows.
        temperature: of relaxed draws, from 0.001 to 1000.
        target_prior: "fixed" keeps p(y) uniform over classes, and at the moments of known labels
            where y are numbers; "learned" trains it.
        label_weight: the weight of a known label in the bound, in nats for each nat; with N data of
            which L have labels, Kingma et al. take `0.1 N / L`.
        warmup: training steps in which the gradient of the bound into q(y | x) of unlabelled rows
            rises from zero: with few labels, a decoder that knows nothing yet teaches the
            classifier clusters that are no classes, and it does not find back.

    Raises:
        TypeError: an argument is not such a part.
        ValueError: the parts do not fit one another; the message names both.

    Example:
        >>> import torch
        >>> from pyrovae.likelihoods import Bernoulli, Categorical
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> model = SemiSupervisedVAE(
        ...     prior=StandardNormal(2), likelihood=Bernoulli((8,)), posterior=MeanFieldNormal(),
        ...     encoder=MLP((16,)), decoder=MLP((16,)), classifier=MLP((16,)),
        ...     target=Categorical((), levels=3))
        >>> model.classify(torch.zeros(5, 8)).probs.shape
        torch.Size([5, 3])
        >>> model.sample(4, y=2).shape
        torch.Size([4, 8])
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
        inference: Inference | None = None,
        temperature: float = 0.5,
        target_prior: Literal["fixed", "learned"] = "fixed",
        label_weight: float = 10.0,
        warmup: int = 0,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.likelihood = likelihood
        self.posterior = posterior
        self.encoder = encoder
        self.decoder = decoder
        self.target = target
        self.classifier = classifier
        self.inference = inference
        self.temperature = temperature
        self.target_prior = target_prior
        self.label_weight = check_weight(self, label_weight)
        self.warmup = warmup
        self.label = Target(
            self,
            target=target,
            classifier=classifier,
            inference=inference,
            temperature=temperature,
            prior=target_prior,
            warmup=warmup,
        )
        self.encoder_network, self.decoder_network = bound_networks(
            self, encoder=encoder, decoder=decoder, condition_shape=self.label.condition_shape
        )
        self.event_shape = tuple(likelihood.event_shape)
        check_parts(self, condition=self.label.condition_shape)

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
            if x is not None and y is not None:
                raw = self._classified(x, observed)
                scored, known_y = self.label.scored(raw, y, weight=self.label_weight)
                pyro.sample("label", scored, obs=known_y)
            raw = self.decoder_network(z, condition=code)
            context = Context(condition=code, index=index, observed=observed, x=x)
            return pyro.sample("x", self.likelihood(raw, context), obs=x)

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
            raise ValueError("the guide draws y and z given x, and got no x")
        require_batch(x, self.event_shape)
        with pyro.plate("data", len(x)):
            raw = self._classified(x, observed)
            label = pyro.sample("y", self.label.posterior(raw, y), infer=self.label.infer)
            context = Context(index=index, observed=observed)
            q = self._encoded(x, self.label.embedded(label), context)
            return pyro.sample("z", q, infer=infer_of(self.posterior))

    def classify(self, x: Tensor, *, observed: Tensor | None = None) -> TorchDistributionMixin:
        """Return q(y | x), of batch shape `[*batch]` for x of shape `[*batch, *event_shape]`."""
        return self.label.given(self._classified(self._known(x, observed), observed))

    def encode(
        self, x: Tensor, *, y: Label = None, observed: Tensor | None = None
    ) -> TorchDistributionMixin:
        """Return q(z | x, y), of batch shape `[*batch]`.

        Arguments:
            x: the data, of shape `[*batch, *event_shape]`.
            y: their labels, or one for all; where unknown, what stands for q(y | x).
            observed: which entries of x are known.
        """
        shown = self._known(x, observed)
        batch = shown.shape[: shown.dim() - len(self.event_shape)]
        label = self.label.completed(y, batch, lambda: self.classify(x, observed=observed))
        return self._encoded(shown, self.label.code(label), Context(observed=observed))

    def decode(self, z: Tensor, *, y: Tensor | float) -> TorchDistributionMixin:
        """Return p(x | y, z), of batch shape `[*batch]` for z of shape `[*batch, *latent_shape]`.

        Arguments:
            z: latent vectors.
            y: their labels, or one for all.
        """
        require_tensor("z", z)
        batch = z.shape[: z.dim() - len(self.prior.event_shape)]
        code = self.label.code(self.label.completed(y, batch))
        return self._decoded(z, code, Context())

    def sample(self, n: int = 1, *, y: Label = None, mean: bool = False) -> Tensor:
        """Draw n data from the model, of shape `[n, *event_shape]`.

        Arguments:
            n: how many.
            y: their labels, or one for all; None draws them from p(y).
            mean: return E[x | y, z] at each draw in place of a draw of x; of codes the likeliest.
        """
        return sampled(
            self,
            n,
            y=y,
            mean=mean,
            prior=lambda code: self._prior(code, None),
            decode=lambda z, code: self._decoded(z, code, Context()),
        )

    def reconstruct(self, x: Tensor, *, y: Label = None, observed: Tensor | None = None) -> Tensor:
        """Return `E[x | y, z]` at one draw z ~ q(z | x, y) for each datum, of the shape of x."""
        return translated(self, x, y=y, source=y, observed=observed)

    def translate(
        self, x: Tensor, *, y: Label, source: Label = None, observed: Tensor | None = None
    ) -> Tensor:
        """Return each datum with another label in its own style: its z, decoded under y.

        Arguments:
            x: the data, of shape `[*batch, *event_shape]`.
            y: the new labels, or one for all.
            source: the labels that x have, by default what stands for q(y | x).
            observed: which entries of x are known.
        """
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
        """Return the batch without labels, which log p(x) is summed over; see `Model`."""
        return {name: value for name, value in batch.items() if name != "y"}

    def _classified(self, x: Tensor, observed: Tensor | None) -> Tensor:
        return self.label.classified(self.likelihood.inputs(x), observed)

    def _prior(self, code: Tensor, index: Tensor | None) -> TorchDistributionMixin:
        """Return p(z | y); pseudo-inputs are a batch dimension behind those of y."""
        encode = partial(self._encode_frozen, code=code.unsqueeze(-2))
        return self.prior(Context(condition=code, index=index, encode=encode))

    def _decoded(self, z: Tensor, code: Tensor, context: Context) -> TorchDistributionMixin:
        raw = self.decoder_network(z, condition=code)
        return self.likelihood(raw, replace(context, condition=code))

    def _encoded(self, x: Tensor, code: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x, y), told how to look at the bound of each datum."""
        bound = local_bound(
            x,
            prior=lambda: self._prior(code, context.index),
            decode=lambda z: self._decoded(z, code, context),
            decoder=self.decoder_network,
        )
        inputs = self.likelihood.inputs(x)
        raw = self.encoder_network(inputs, observed=context.observed, condition=code)
        return self.posterior(raw, replace(context, condition=code, bound=bound))

    def _encode_frozen(self, inputs: Tensor, code: Tensor | None = None) -> TorchDistributionMixin:
        """Return q(z | u, y) for pseudo-inputs u, which do not move running statistics."""
        with frozen_statistics(self.encoder_network):
            if code is None:  # to see whether the parts fit
                code = inputs.new_zeros(self.label.condition_shape)
            return self.posterior(self.encoder_network(inputs, condition=code), Context())

    def _known(self, x: Tensor | None, observed: Tensor | None) -> Any:
        """Return x in the model's precision, with a stand-in where it is not observed."""
        return known(x, observed, self.likelihood, self.decoder_network.offset.dtype)
