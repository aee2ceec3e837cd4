"""`fit` with compiled steps: the same training, and everything around a step still holds."""

from pathlib import Path
from typing import Any

import pytest
import torch
from cases import data_for, randomized, small_vae
from torch import Tensor

import pyrovae
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, GECO, IWAE, Adversarial, FactorVAE
from pyrovae.schedules import Ramp
from pyrovae.training import Callback, compiled, fit
from pyrovae.training.choice import WORTHWHILE
from pyrovae.training.run import Run

OPPOSED = ["FactorVAE", "Adversarial", "GECO"]


@pytest.fixture
def recorded_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the recorded graph as it is: the same operations, without minutes of a compiler."""
    monkeypatch.setattr(compiled, "compiled_graph", lambda graph, inputs: graph)


def trained(*, compile: Any, **settings: Any) -> tuple[pyrovae.VAE, pyrovae.training.History]:
    torch.manual_seed(0)
    vae = randomized(small_vae(prior="VampPrior"), spread=0.1)
    x = data_for(vae, n=26)
    given = {"epochs": 3, "batch_size": 8, "seed": 1, "progress": False, **settings}
    return vae, fit(vae, x, valid=x[:5], compile=compile, **given)


@pytest.mark.usefixtures("recorded_only")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"objective": ELBO(beta=Ramp(0.0, 1.0, steps=5)), "clip": 0.5, "ema": 0.9},
        {"objective": IWAE(particles=3), "optimizer": lambda p: torch.optim.SGD(p, lr=0.01)},
        {"precision": "bf16-mixed"},
        {"objective": FactorVAE(network=MLP((6,), normalization="batch")), "clip": 0.5},
        {"objective": Adversarial(network=MLP((6,))), "precision": "bf16-mixed"},
        {"objective": GECO(target=-7.0), "ema": 0.9},
    ],
    ids=["plain", "schedule, clip and average", "IWAE and SGD", "bf16", *OPPOSED],
)
def test_the_same_weights_and_records(settings: dict[str, Any]) -> None:
    eager, before = trained(compile=False, **settings)
    vae, after = trained(compile=True, **settings)
    assert (before.compiled, after.compiled) == (False, True)
    torch.testing.assert_close(vae.state_dict(), eager.state_dict(), rtol=0.0, atol=0.0)
    for there, here in zip(before.records, after.records, strict=True):
        assert {**there, "seconds": 0} == {**here, "seconds": 0}


class Stop(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Run) -> None:
        if run.step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("backend", ["recorded", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_run_goes_on_bit_for_bit(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without being told: the choice is in the checkpoint."""
    if backend == "recorded":
        monkeypatch.setattr(compiled, "compiled_graph", lambda graph, inputs: graph)
    whole, _ = trained(compile=True)
    with pytest.raises(KeyboardInterrupt):
        trained(compile=True, out=tmp_path / "run", checkpoint_share=1.0, callbacks=[Stop(6)])
    vae, history = trained(compile="auto", resume=tmp_path / "run")
    assert history.compiled
    torch.testing.assert_close(vae.state_dict(), whole.state_dict(), rtol=0.0, atol=0.0)
    with pytest.raises(ValueError, match="has compiled True; got False"):
        trained(compile=False, resume=tmp_path / "run")


@pytest.mark.usefixtures("recorded_only")
def test_a_step_that_is_not_finite_is_found_and_left_out(tmp_path: Path) -> None:
    vae = small_vae(likelihood="Normal", shape=(3,))
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(1))
    x[13] = 1e30
    with pytest.warns(UserWarning, match="step .* is not finite: the loss is inf; at site 'x'"):
        history = fit(
            vae, x, epochs=2, batch_size=4, seed=1, compile=True, progress=False, out=tmp_path / "r"
        )
    assert history.failure is not None
    assert all(parameter.isfinite().all() for parameter in vae.parameters())


def test_auto_counts_the_planned_steps(
    recorded_only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not trained(compile="auto")[1].compiled
    monkeypatch.setattr("pyrovae.training.choice.WORTHWHILE", 12)
    assert trained(compile="auto")[1].compiled  # four steps an epoch
    assert WORTHWHILE > 12


@pytest.mark.parametrize("choice", ["yes", 1, None])
def test_another_choice_is_refused(choice: Any) -> None:
    with pytest.raises(ValueError, match="compile expects True, False or 'auto'; got"):
        trained(compile=choice)


def test_what_cannot_be_recorded_is_trained_all_the_same() -> None:
    class Reading(ELBO):
        def measure(self, terms: Any, step: Tensor | None = None) -> Any:
            terms.log_likelihood.sum().item()
            return super().measure(terms, step)

    with pytest.warns(UserWarning, match="the step is not compiled: ") as said:
        _, history = trained(compile=True, objective=Reading())
    assert len(said) == 1
    assert not history.compiled
    assert len(history) == 3


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.filterwarnings("always")
def test_bfloat16_is_warned_of_where_it_costs(
    native: bool,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    monkeypatch.setattr("pyrovae.training.precision.has_bfloat16", lambda: native)
    trained(compile=False, precision="bf16-mixed")
    said = [str(warning.message) for warning in recwarn]
    assert ["no instructions for bfloat16" in line for line in said] == ([] if native else [True])
