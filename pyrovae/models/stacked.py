"""The stacked semi-supervised autoencoder, over features of another one."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.likelihoods import Likelihood, Normal
from pyrovae.models.averaged import DRAWS, averaged, same_draws
from pyrovae.models.checks import require_part
from pyrovae.models.fitting import kind_of
from pyrovae.models.inputs import require_batch, require_tensor
from pyrovae.models.label_verbs import Label, sampled, translated
from pyrovae.models.labels import Inference, infer_of, rows_of
from pyrovae.models.model import Model
from pyrovae.models.program import program
from pyrovae.models.semi_supervised import SemiSupervisedVAE
from pyrovae.models.target import Target
from pyrovae.models.vae import VAE
from pyrovae.networks import Builder, Network
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior


class StackedVAE(Model):
    r"""A semi-supervised autoencoder of the features f that another one finds in x (M1+M2).

        y ~ p(y)                site "y"
        z ~ p(z), or p(z | y)   site "z"
        f ~ p(f | y, z)         site "features", normal, mean and scale by the decoder
        x ~ p(x | f)            site "x", by the decoder of the first model

    with the guide `q(f | x) q(y | f) q(z | f, y)`, of which `q(f | x)` is the first model's, and
    the term `label_weight * log q(y | f)` at known labels, the site "label".

    The first model is trained before, on all x, by a fit of its own; it is given trained, and
    frozen here. So what this model learns is the second stage of Kingma et al., with features drawn
    anew at each step, and its bound is one of log p(x), to be compared with those of other models.
    By the command line `--features RUN` names the run of the first model. A saved model holds both.

    Bounds with a logarithm over particles, such as IWAE, refuse an enumerated y, which hangs on the
    draw of f; see `AuxiliaryVAE`.

    References:
        Kingma, Rezende, Mohamed and Welling, 2014, arXiv:1406.5298.

    Arguments:
        features: the first model, whose z are the features.
        prior: p(z), or one of a condition, p(z | y).
        posterior: q(z | f, y).
        encoder: the network from f and y to the posterior's raw numbers, None where it has none.
        decoder: the network from z and y to the mean and the scale of f.
        target: the likelihood of y, such as `Categorical((), levels=10)`.
        classifier: the network from f to the raw numbers of q(y | f).
        inference: how an unknown y is inferred, see `SemiSupervisedVAE`.
        temperature: of relaxed draws, from 0.001 to 1000.
        target_prior: whether p(y) is "fixed" or "learned".
        label_weight: the weight of a known label in the bound, likewise.
        warmup: training steps in which q(y | f) of unlabelled rows gets its gradient, likewise.

    Raises:
        TypeError: an argument is not such a part.
        ValueError: the parts do not fit one another, or the features are no vectors of numbers.

    Example:
        >>> from pyrovae.likelihoods import Bernoulli, Categorical
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> first = VAE(prior=StandardNormal(4), likelihood=Bernoulli((8,)),
        ...             posterior=MeanFieldNormal(), encoder=MLP((16,)), decoder=MLP((16,)))
        >>> model = StackedVAE(
        ...     features=first, prior=StandardNormal(2), posterior=MeanFieldNormal(),
        ...     encoder=MLP((16,)), decoder=MLP((16,)), classifier=MLP((16,)),
        ...     target=Categorical((), levels=3))
        >>> model.classify(torch.zeros(5, 8)).probs.shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        *,
        features: VAE,
        prior: Prior,
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
        self.features = require_part("features", features, VAE).requires_grad_(False)
        self.encoder, self.decoder, self.classifier = encoder, decoder, classifier
        self.inference, self.temperature = inference, temperature
        self.target_prior, self.warmup = target_prior, warmup
        self.label_weight = label_weight
        self.event_shape = features.event_shape
        self.top = SemiSupervisedVAE(
            prior=prior,
            likelihood=Normal(_shape_of_features(features), scale="network"),
            posterior=posterior,
            encoder=encoder,
            decoder=decoder,
            target=target,
            classifier=classifier,
            inference=inference,
            temperature=temperature,
            target_prior=target_prior,
            label_weight=label_weight,
            warmup=warmup,
        )
        self.train()

    @property
    def likelihood(self) -> Likelihood:
        """p(x | f), the first model's."""
        return self.features.likelihood

    @property
    def prior(self) -> Prior:
        """p(z)."""
        return self.top.prior

    @property
    def posterior(self) -> Posterior:
        """q(z | f, y)."""
        return self.top.posterior

    @property
    def target(self) -> Likelihood:
        """The likelihood of y."""
        return self.top.target

    @property
    def label(self) -> Target:
        """What is known of y."""
        return self.top.label

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
        x = self.features._known(x, observed)
        require_batch(x, self.event_shape)
        with pyro.plate("data", rows_of(x, y)):
            label = pyro.sample("y", self.label.prior(y if x is None else None))
            code = self.label.embedded(label)
            z = pyro.sample("z", self.top._prior(code, index))
            f = pyro.sample("features", self.top._decoded(z, code, Context()))
            if x is not None and y is not None:
                raw = self.top._classified(f, None)
                scored, known_y = self.label.scored(raw, y, weight=self.label_weight)
                pyro.sample("label", scored, obs=known_y)
            context = Context(index=index, observed=observed, x=x)
            return pyro.sample("x", self.features._decode(f, context), obs=x)

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
        x = self.features._known(x, observed)
        if x is None:
            raise ValueError("the guide draws features, y and z given x, and got no x")
        require_batch(x, self.event_shape)
        with pyro.plate("data", len(x)):
            given = self.features._encoded(x, Context(index=index, observed=observed))
            f = pyro.sample("features", given)
            raw = self.top._classified(f, None)
            label = pyro.sample("y", self.label.posterior(raw, y), infer=self.label.infer)
            q = self.top._encoded(f, self.label.embedded(label), Context(index=index))
            return pyro.sample("z", q, infer=infer_of(self.posterior))

    def train(self, mode: bool = True) -> "StackedVAE":  # noqa: FBT001, FBT002
        """Set the mode of all but the first model, which is never in training here."""
        super().train(mode)
        self.features.eval()
        return self

    def classify(
        self, x: Tensor, *, observed: Tensor | None = None, draws: int = DRAWS
    ) -> TorchDistributionMixin:
        """Return `q(y | x)`, the mean of q(y | f) over draws of f, the same at each call."""
        q = self.features.encode(x, observed=observed)
        f = same_draws(q, draws, device=self.label.raw.device)
        return averaged(self.label, self.top._classified(f, None))

    def encode(
        self, x: Tensor, *, y: Label = None, observed: Tensor | None = None
    ) -> TorchDistributionMixin:
        """Return q(z | f, y) at the mean of `q(f | x)`; see `SemiSupervisedVAE`."""
        f = _typical(self.features.encode(x, observed=observed))
        batch = f.shape[: f.dim() - len(self.top.event_shape)]
        label = self.label.completed(y, batch, lambda: self.classify(x, observed=observed))
        return self.top.encode(f, y=label)

    def decode(self, z: Tensor, *, y: Tensor | float) -> TorchDistributionMixin:
        """Return p(x | f) at the mean of p(f | y, z), of the batch shape of z."""
        require_tensor("z", z)
        return self.features.decode(self.top.decode(z, y=y).mean)

    def sample(self, n: int = 1, *, y: Label = None, mean: bool = False) -> Tensor:
        """Draw n data from the model, of shape `[n, *event_shape]`; see `SemiSupervisedVAE`."""
        return sampled(
            self,
            n,
            y=y,
            mean=mean,
            prior=lambda code: self.top._prior(code, None),
            decode=lambda z, code: self.features.decode(
                self.top._decoded(z, code, Context()).sample()
            ),
        )

    def reconstruct(self, x: Tensor, *, y: Label = None, observed: Tensor | None = None) -> Tensor:
        """Return the mean of what `decode` returns at one draw of z for each datum; likewise."""
        return translated(self, x, y=y, source=y, observed=observed)

    def translate(
        self, x: Tensor, *, y: Label, source: Label = None, observed: Tensor | None = None
    ) -> Tensor:
        """Return each datum with another label in its own style; likewise."""
        return translated(self, x, y=y, source=source, observed=observed)

    @torch.no_grad()
    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the parts above the features set their starting values, once in the model's life."""
        if self.prepared:
            return
        observed = batch.get("observed")
        x = self.features._known(batch["x"], observed)
        context = Context(index=batch.get("index"), observed=observed)
        above = {name: value for name, value in batch.items() if name != "observed"}
        self.top.prepare({**above, "x": self.features._encoded(x, context).sample()})
        self.prepared.fill_(True)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise ValueError where x or y cannot be scored, or the first model is not trained."""
        self.features.check(batch)
        if batch.get("y") is not None:
            self.label.check(batch["y"], rows=len(batch["x"]))
        if not self.features.prepared:
            raise ValueError(
                "StackedVAE expects features to be a trained VAE, and this one has seen no data: "
                "fit it first, or name its run by --features; if it was trained otherwise, say so "
                "by features.prepared.fill_(True)"
            )

    def evidence(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the batch without labels, see `Model`."""
        return {name: value for name, value in batch.items() if name != "y"}


def _shape_of_features(features: VAE) -> tuple[int, ...]:
    """Return the shape of one z of the first model, or raise ValueError where it is no vector."""
    p = features.prior(Context(encode=features._encode_frozen))
    if features.posterior.enumerated or kind_of(p) != "vectors":
        raise ValueError(
            f"StackedVAE expects the features to be vectors of numbers, which p(f | y, z) is a "
            f"normal distribution of; those of prior {features.prior!r} are {kind_of(p)}"
        )
    return tuple(features.prior.event_shape)


def _typical(q: Any) -> Tensor:
    """Return the mean of a distribution, or a draw where it has none in closed form."""
    with suppress(NotImplementedError):
        mean: Tensor = q.mean
        return mean
    drawn: Tensor = q.sample()
    return drawn
