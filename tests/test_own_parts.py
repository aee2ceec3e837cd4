"""Parts that users write: the mistakes that are easily made, and what is said of them."""

from typing import Any

import pyro.distributions as dist
import pytest
import torch
from cases import small_vae
from torch import Tensor

from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.likelihoods import Likelihood
from pyrovae.priors import Prior
from pyrovae.training import fit


class Plain(Prior):
    """A prior whose event shape is what the test says."""

    def __init__(self, event_shape: Any) -> None:
        super().__init__()
        self.event_shape = event_shape

    def forward(self, context: Context) -> Any:
        return dist.Normal(torch.zeros(2), 1.0).to_event(1)


class Uninitialised(Plain):
    def __init__(self) -> None:
        self.event_shape = (2,)


def test_a_part_without_its_base_constructor() -> None:
    with pytest.raises(TypeError, match=r"Uninitialised .* super\(\).__init__\(\)"):
        small_vae(prior=Uninitialised())


@pytest.mark.parametrize("shape", [2, 2.0, "2", (2.0,)])
def test_an_event_shape_that_is_no_shape(shape: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a tuple of integers, such as \(3,\)"):
        small_vae(prior=Plain(shape))


class Joint(Likelihood):
    """A likelihood that overlooks which entries are observed."""

    head = Head(loc=1)

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape

    def forward(self, raw: Tensor, context: Context) -> Any:
        return dist.MultivariateNormal(raw, torch.eye(*self.event_shape))


def test_a_likelihood_that_scores_missing_entries_is_refused() -> None:
    x = torch.randn(8, 3)
    vae = small_vae(likelihood=Joint((3,)))
    with pytest.raises(ValueError, match=r"Joint.* missing.*over_elements"):
        fit(vae, {"x": x, "observed": x > 0}, epochs=1, batch_size=8)
    assert len(fit(vae, x, epochs=1, batch_size=8)) == 1
