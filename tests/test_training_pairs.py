"""Every legal pair of a prior and a posterior trains: its bound rises under the same noise."""

import pytest
import torch
from cases import PAIRS, data_for, objectives, randomized, small_vae

from pyrovae.networks import MLP


@pytest.mark.parametrize(("prior", "posterior"), PAIRS)
def test_twenty_steps_raise_the_bound(prior: str, posterior: str) -> None:
    torch.manual_seed(3)
    shape = (1, 4, 3)
    teacher = randomized(small_vae("StandardNormal", decoder=MLP(())), spread=1.0)
    x = data_for(teacher, 40)
    vae = small_vae(prior, posterior, shape=shape)
    loss = objectives(posterior)[0](vae.model, vae.guide)
    vae.prepare({"x": x, "index": torch.arange(len(x))})
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.02)

    def bound() -> float:
        torch.manual_seed(5)
        with torch.no_grad():
            return sum(-loss(x).item() for _ in range(8))

    before = bound()
    for step in range(20):
        torch.manual_seed(step)
        optimizer.zero_grad()
        (loss(x) / len(x)).backward()
        optimizer.step()
    assert bound() > before
