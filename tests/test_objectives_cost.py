"""A training step brings no value from the device to the host: forward, backward and Adam."""

from itertools import product
from typing import Any

import pyro
import pytest
import torch
from cases import FIRST, OBJECTIVES, PAIRS, POSTERIORS, SPLIT, data_for, small_vae
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Reads(TorchDispatchMode):
    """Counts the operations that bring a value to the host, from Python or from C++."""

    NAMES = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "_unique2")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        name = function.overloadpacket.__name__
        masks = (
            [i for i in args[1] if i is not None and i.dtype == torch.bool]
            if (name in ("index", "index_put", "index_put_"))
            else []
        )
        if name in self.NAMES or masks:  # an index that is a mask must be counted first
            self.seen.append(str(function))
        return function(*args, **(kwargs or {}))


PYTHON = ["item", "__bool__", "__float__", "__int__", "__index__", "tolist", "numpy", "cpu"]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counter = Reads()
    for name in PYTHON:
        original = getattr(Tensor, name)

        def counted(self: Tensor, *args: Any, _o: Any = original, _n: str = name, **kw: Any) -> Any:
            counter.seen.append(_n)
            return _o(self, *args, **kw)

        monkeypatch.setattr(Tensor, name, counted)
    return counter


def test_the_counter_counts(reads: Reads) -> None:
    with reads:
        bool(torch.ones(1) > 0)
        torch.ones(3)[torch.tensor([True, False, True])]
    assert "__bool__" in reads.seen  # from Python
    assert any("_local_scalar_dense" in name for name in reads.seen)  # from C++
    assert any("index" in name for name in reads.seen)


@pytest.mark.parametrize(
    ("prior", "posterior", "objective"),
    [
        *((*pair, name) for pair in product(*FIRST) for name in OBJECTIVES),
        *((*pair, "ELBO") for pair in PAIRS if not POSTERIORS[pair[1]].point),
    ],
)
def test_a_training_step_reads_nothing(
    prior: str, posterior: str, objective: str, reads: Reads
) -> None:
    splits = (prior, posterior) == ("StandardNormal", "MeanFieldNormal")
    if any(word in objective for word in SPLIT) and not splits:
        return
    vae = small_vae(prior, posterior)
    module = OBJECTIVES[objective].make()(vae.model, vae.guide)
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    x = data_for(vae)
    with pyro.validation_enabled(False):
        for _ in range(2):  # the first step of Adam makes its state
            reads.seen.clear()
            with reads:
                optimizer.zero_grad()
                module(x).backward()
                optimizer.step()
    assert not reads.seen
