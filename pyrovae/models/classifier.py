"""A classifier alone: the baseline of the semi-supervised models."""

from collections.abc import Mapping
from typing import Any

import pyro
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.likelihoods import Likelihood
from pyrovae.models.checks import check_data, claim, require_attributes, require_part
from pyrovae.models.inputs import known, require_batch
from pyrovae.models.model import Model
from pyrovae.models.program import program
from pyrovae.models.target import Target
from pyrovae.networks import Builder, Network


class Classifier(Model):
    r"""A network from x to its label y, trained on the known labels alone.

        y ~ q(y | x)            site "label", at the rows whose label is known

    It has no latent variable, so its bound is the log-likelihood of the known labels, and an
    unlabelled row counts nothing. It is what a semi-supervised model of the same classifier has to
    beat.

    Arguments:
        likelihood: the likelihood that x would have in a model of x; it says how a network sees x,
            and which x are legal.
        target: the likelihood of y.
        classifier: the network from x to the raw numbers of q(y | x).

    Raises:
        TypeError: an argument is not such a part.
        ValueError: the parts do not fit one another.

    Example:
        >>> import torch
        >>> from pyrovae.likelihoods import Bernoulli, Categorical
        >>> from pyrovae.networks import MLP
        >>> model = Classifier(likelihood=Bernoulli((8,)), target=Categorical((), levels=3),
        ...                    classifier=MLP((16,)))
        >>> model.classify(torch.zeros(5, 8)).probs.shape
        torch.Size([5, 3])
    """

    def __init__(
        self, *, likelihood: Likelihood, target: Likelihood, classifier: Network | Builder
    ) -> None:
        super().__init__()
        self.likelihood = require_part("likelihood", likelihood, Likelihood)
        require_attributes(likelihood, "event_shape", "head")
        self.event_shape = tuple(likelihood.event_shape)
        claim(likelihood, (), self.event_shape)
        likelihood.bind(())  # there is no z
        self.target = target
        self.classifier = classifier
        self.label = Target(self, target=target, classifier=classifier)

    @program
    def model(
        self,
        x: Tensor | None = None,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """The program of y given x; without y it draws one."""
        self.register()
        if x is None:
            raise ValueError("a Classifier is a model of y given x, and got no x")
        x = self._known(x, observed)
        require_batch(x, self.event_shape)
        with pyro.plate("data", len(x)):
            raw = self._classified(x, observed)
            if y is None:
                return pyro.sample("label", self.label.given(raw))
            scored, known_y = self.label.scored(raw, y, weight=1.0)
            return pyro.sample("label", scored, obs=known_y)

    @program
    def guide(self, x: Tensor | None = None, **batch: Any) -> None:
        """The guide, which has nothing to infer."""
        self.register()

    def classify(self, x: Tensor, *, observed: Tensor | None = None) -> TorchDistributionMixin:
        """Return q(y | x), of batch shape `[*batch]` for x of shape `[*batch, *event_shape]`."""
        return self.label.given(self._classified(self._known(x, observed), observed))

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the likelihood and the classifier set their starting values from data."""
        if self.prepared:
            return
        self.likelihood.prepare({**batch, "x": self._known(batch["x"], batch.get("observed"))})
        self.label.prepare(batch)
        self.prepared.fill_(True)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise ValueError where x lies outside its support, or y is missing or no label."""
        check_data(self, batch)
        if batch.get("y") is None:
            raise ValueError("a Classifier learns from labels, and the data have no 'y'")
        self.label.check(batch["y"], rows=len(batch["x"]))

    def _classified(self, x: Tensor, observed: Tensor | None) -> Tensor:
        return self.label.classified(self.likelihood.inputs(x), observed)

    def _known(self, x: Tensor | None, observed: Tensor | None) -> Any:
        return known(x, observed, self.likelihood, self.label.raw.dtype)
