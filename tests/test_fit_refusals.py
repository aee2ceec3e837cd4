"""fit: what it refuses before the first step, and where it ends by itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_fit import bits, vae_of
from torch import nn
from torch.optim import LBFGS, SGD, Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from torch.utils.data import IterableDataset

from pyrovae.data import Digits
from pyrovae.likelihoods import Binomial
from pyrovae.training import Callback, fit

PARAMETERS = [nn.Parameter(torch.zeros(1))]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer": Adam(PARAMETERS)}, "optimizer expects a function of the parameters"),
        ({"optimizer": lambda parameters: None}, "it returned None"),
        ({"optimizer": LBFGS}, "optimizer LBFGS cannot be used by fit"),
        ({"scheduler": StepLR(Adam(PARAMETERS), 1)}, "scheduler expects a function of the optim"),
        ({"scheduler": ReduceLROnPlateau}, "scheduler ReduceLROnPlateau cannot be used by fit"),
        ({"scheduler": lambda optimizer: optimizer, "warmup": 2}, "returns a torch scheduler"),
        ({"callbacks": Callback()}, "callbacks expects a list"),
        ({"callbacks": [Callback]}, "instances of pyrovae.training.Callback"),
    ],
)
def test_wrong_helpers_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        fit(vae_of(), bits(20), epochs=1, batch_size=20, **given)


def test_a_model_that_cannot_be_saved_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    vae = vae_of(encoder=lambda in_shape, out_shape: nn.Linear(*in_shape, *out_shape))
    before = vae.decoder_network.offset.clone()
    with pytest.raises(ValueError, match="a lambda has no name"):
        fit(vae, bits(20), epochs=1, batch_size=20, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert torch.equal(vae.decoder_network.offset, before)


def test_patience_wants_validation_data_of_a_source_too() -> None:
    vae = vae_of(likelihood=Binomial((1, 8, 8), total_count=16))
    with pytest.raises(ValueError, match="there are no validation data"):
        fit(vae, Digits(valid=0), patience=2)


def test_a_seed_that_torch_cannot_take_is_named() -> None:
    with pytest.raises(ValueError, match=r"from 0 to 2\*\*63"):
        fit(vae_of(), bits(20), seed=2**80)


class UsedUp(IterableDataset[torch.Tensor]):
    """A stream that hands out the same iterator each time."""

    def __init__(self) -> None:
        self.rows = iter(bits(20))

    def __iter__(self) -> Any:
        return self.rows


class Drained(UsedUp):
    """The same, hidden behind a generator."""

    def __iter__(self) -> Any:
        yield from self.rows


@pytest.mark.parametrize("stream", [UsedUp, Drained])
def test_a_stream_that_cannot_be_read_again_is_named(stream: Any) -> None:
    with pytest.raises(ValueError, match="must begin anew"):
        fit(vae_of(), stream(), epochs=2)


def test_a_loss_that_is_nan_ends_the_run() -> None:
    vae = vae_of()

    def diverging(parameters: Any) -> SGD:
        return SGD(parameters, lr=1e30)

    with pytest.warns(UserWarning, match="training ended, and the parameters"):
        history = fit(vae, bits(20), epochs=50, batch_size=10, optimizer=diverging, seed=0)
    assert "the loss is nan" in history.stopped
    assert history.failure is not None
    assert len(history) < 50
