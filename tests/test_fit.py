"""fit: the loop against one written by hand, what it keeps, and what it refuses."""

import copy
import json
import math
from pathlib import Path

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import RenyiELBO, ReweightedWakeSleep, Trace_ELBO, TraceGraph_ELBO
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import LambdaLR, StepLR

import pyrovae
from pyrovae.data import Digits
from pyrovae.likelihoods import Bernoulli, Normal
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal, VampPrior
from pyrovae.schedules import Ramp
from pyrovae.training import Callback, fit


def vae_of(**parts: object) -> pyrovae.VAE:
    torch.manual_seed(0)
    given = {
        "prior": StandardNormal(2),
        "likelihood": Bernoulli((6,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((8,)),
        "decoder": MLP((8,)),
    }
    return pyrovae.VAE(**{**given, **parts})


def bits(count: int = 60, *, seed: int = 1) -> Tensor:
    """Six bits of which three copy the other three, so that there is something to learn."""
    half = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.cat([half, half], dim=1).float()


def weights(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def descent(parameters: object) -> SGD:
    return SGD(parameters, lr=0.1)


def test_the_loop_is_the_one_written_by_hand() -> None:
    """Same noise, same order, plain SGD with clipping: the same weights to the last bit."""
    x, ours, hand = bits(20), vae_of(), vae_of()
    fit(ours, x, epochs=2, batch_size=8, optimizer=descent, clip=0.5, seed=3)

    generator = torch.Generator().manual_seed(3)
    start = torch.randperm(20, generator=generator)
    hand.prepare({"x": x[start]})
    optimizer = descent(list(hand.parameters()))
    loss = ELBO()(hand.model, hand.guide)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for epoch in range(2):
            generator = torch.Generator().manual_seed(3 * 1_000_003 + epoch)
            for rows in torch.randperm(20, generator=generator).split(8):
                optimizer.zero_grad()
                (loss(x[rows]) / len(rows)).backward()
                nn.utils.clip_grad_norm_(hand.parameters(), 0.5)
                optimizer.step()
    torch.testing.assert_close(weights(ours), weights(hand), rtol=0.0, atol=0.0)


def test_the_bound_rises_and_the_history_says_so(tmp_path: Path) -> None:
    vae = vae_of()
    history = fit(vae, bits(), valid=bits(seed=2), epochs=30, batch_size=20, seed=0, out=tmp_path,
                  optimizer=lambda p: Adam(p, lr=1e-2))  # fmt: skip
    assert history["valid/elbo"][-1] > history["valid/elbo"][0] + 0.5
    assert history.kl == {"z": "analytic"}
    assert history.stopped == "all 30 epochs are done"
    assert len(history) == 30
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 31))
    assert lines[-1]["step"] == 90
    assert lines == history.records
    assert {"train/loss", "train/elbo", "train/kl", "train/reconstruction", "valid/loss", "lr",
            "seconds"} <= set(lines[0])  # fmt: skip
    loaded = pyrovae.load(tmp_path / "model")
    torch.testing.assert_close(weights(loaded), weights(vae))
    with pytest.raises(KeyError, match="train/elbow"):
        history["train/elbow"]


def test_means_of_an_epoch_weigh_batches_by_their_size() -> None:
    class Recorder(Callback):
        def __init__(self) -> None:
            self.seen: list[tuple[float, int]] = []

        def on_step(self, run: object) -> None:
            self.seen.append((run.loss.logged["loss"].item(), 20 if len(self.seen) < 2 else 5))

    recorder = Recorder()
    history = fit(vae_of(), bits(45), epochs=1, batch_size=20, seed=0, callbacks=[recorder])
    expected = sum(loss * size for loss, size in recorder.seen) / 45
    assert history["train/loss"] == [pytest.approx(expected, rel=1e-6)]


def test_the_best_weights_are_kept_and_patience_stops() -> None:
    """The rate is so large that the validation loss soon gets worse."""
    vae = vae_of()
    kept: dict[int, Tensor] = {}

    class Keeper(Callback):
        def on_epoch(self, run: object, record: dict[str, float]) -> None:
            kept[int(record["epoch"])] = weights(vae)

    history = fit(vae, bits(), valid=bits(seed=2), epochs=200, batch_size=20, patience=2, seed=0,
                  optimizer=lambda p: Adam(p, lr=0.1), callbacks=[Keeper()])  # fmt: skip
    losses = history["valid/loss"]
    assert history.best_epoch == 1 + losses.index(min(losses))
    assert len(history) == history.best_epoch + 3 < 200
    assert "has not improved for 3 epochs" in history.stopped
    assert torch.equal(weights(vae), kept[history.best_epoch])


def test_patience_waits_for_the_schedules() -> None:
    objective = ELBO(beta=Ramp(0.0, 1.0, steps=3 * 12))
    history = fit(vae_of(), bits(), valid=bits(seed=2), objective=objective, epochs=40, seed=0,
                  batch_size=20, patience=0, optimizer=lambda p: Adam(p, lr=0.1))  # fmt: skip
    assert len(history) >= 12
    assert history["train/beta"][0] == pytest.approx((0 + 1 + 2) / 3 / 36)
    assert history["valid/beta"][0] == 1.0


def test_the_average_of_the_weights_is_kept() -> None:
    vae, decay = vae_of(), 0.9
    average = None

    class Averager(Callback):
        def on_start(self, run: object) -> None:
            nonlocal average
            average = weights(vae)

        def on_step(self, run: object) -> None:
            nonlocal average
            average = decay * average + (1 - decay) * weights(vae)

    fit(vae, bits(), epochs=3, batch_size=20, ema=decay, seed=0, callbacks=[Averager()])
    torch.testing.assert_close(weights(vae), average, rtol=1e-5, atol=1e-6)
    plain = vae_of()
    fit(plain, bits(), epochs=3, batch_size=20, seed=0)
    assert not torch.equal(weights(plain), weights(vae))


def test_warmup_then_scheduler_set_the_rate() -> None:
    rates: list[float] = []

    class Rates(Callback):
        def on_step(self, run: object) -> None:
            rates.append(run.optimizer.param_groups[0]["lr"])

    def halve(optimizer: torch.optim.Optimizer) -> StepLR:
        return StepLR(optimizer, step_size=2, gamma=0.5)

    fit(vae_of(), bits(), epochs=3, batch_size=20, warmup=4, scheduler=halve, optimizer=descent,
        callbacks=[Rates()], seed=0)  # fmt: skip
    # the rate after each of nine steps: a rise in four, then halved every two steps
    expected = [0.04, 0.06, 0.08, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    assert rates == pytest.approx(expected)
    rates.clear()
    fit(vae_of(), bits(), epochs=1, batch_size=20, callbacks=[Rates()], optimizer=descent, seed=0,
        scheduler=lambda o: LambdaLR(o, lambda step: 1 / (1 + step)))  # fmt: skip
    assert rates == pytest.approx([0.05, 0.1 / 3, 0.025])


def test_a_callback_can_stop() -> None:
    class Stopper(Callback):
        def on_epoch(self, run: object, record: dict[str, float]) -> None:
            if record["epoch"] == 2:
                run.stop("that will do")

    history = fit(vae_of(), bits(), epochs=9, batch_size=20, seed=0, callbacks=[Stopper()])
    assert (len(history), history.stopped) == (2, "that will do")


def test_a_seed_repeats_a_run_and_no_seed_follows_the_caller() -> None:
    def run(seed: int | None, caller: int) -> Tensor:
        vae = vae_of()
        torch.manual_seed(caller)
        fit(vae, bits(), epochs=2, batch_size=20, seed=seed)
        return weights(vae)

    assert torch.equal(run(5, 0), run(5, 1))
    assert not torch.equal(run(5, 0), run(6, 0))
    assert torch.equal(run(None, 0), run(None, 0))
    assert not torch.equal(run(None, 0), run(None, 1))


def test_nothing_global_is_changed() -> None:
    pyro.param("mine", torch.tensor(1.0))
    torch.distributions.Distribution.set_default_validate_args(False)  # not Pyro's default
    try:
        settings, state = pyro.settings.get(), torch.random.get_rng_state()
        fit(vae_of(), bits(), valid=bits(), epochs=1, batch_size=20, seed=0, ema=0.9)
        vae = vae_of()
        state = torch.random.get_rng_state()
        with pytest.raises(ValueError, match="binarise"):
            fit(vae, bits() / 2, epochs=1)
        fit(vae, bits(), epochs=1, batch_size=20)
        assert pyro.settings.get() == settings
        assert not torch.distributions.Distribution._validate_args
        assert torch.equal(state, torch.random.get_rng_state())
        assert list(pyro.get_param_store()) == ["mine"]
    finally:
        torch.distributions.Distribution.set_default_validate_args(True)


def test_two_models_in_turns_do_not_touch_each_other() -> None:
    first, second = vae_of(), vae_of()
    third = copy.deepcopy(first)
    for model in (first, second, third):
        others = [other for other in (first, second, third) if other is not model]
        before = weights(model), [weights(other) for other in others]
        fit(model, bits(), epochs=1, batch_size=20, seed=0)
        assert not torch.equal(before[0], weights(model))
        after = [weights(other) for other in others]
        assert all(torch.equal(a, b) for a, b in zip(before[1], after, strict=True))


def test_frozen_submodules_stay_frozen_and_modes_come_back() -> None:
    vae = vae_of()
    vae.decoder_network.requires_grad_(False)
    vae.encoder_network.eval()
    frozen, moving = weights(vae.decoder_network), weights(vae.encoder_network)
    fit(vae, bits(), epochs=1, batch_size=20, seed=0)
    assert torch.equal(frozen, weights(vae.decoder_network))
    assert not torch.equal(moving, weights(vae.encoder_network))
    assert (vae.training, vae.encoder_network.training) == (True, False)


def test_starting_values_are_set_once_in_a_life(tmp_path: Path) -> None:
    vae = vae_of(prior=VampPrior(2, components=5))
    fit(vae, bits(), epochs=1, batch_size=20, seed=0, optimizer=lambda p: SGD(p, lr=0.0))
    mean = bits().mean(0)
    torch.testing.assert_close(vae.decoder_network.offset, torch.logit(mean))
    nearest = torch.cdist(vae.prior.pseudo_inputs.detach(), bits()).min(1).values
    assert float(nearest.max()) < 0.15  # examples, but for noise of scale 0.01
    offset = vae.decoder_network.offset.clone()
    pyrovae.save(vae, tmp_path / "model")
    for model in (vae, pyrovae.load(tmp_path / "model")):
        fit(model, torch.ones(40, 6), epochs=1, batch_size=20, seed=0)
        assert torch.equal(offset, model.decoder_network.offset)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 2)

    def forward(self, data: Tensor) -> None:
        pyro.module("decoder", self.net)
        with pyro.plate("data", len(data)):
            z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(self.net(z), 1.0).to_event(1), obs=data)


class Guide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 1)

    def forward(self, data: Tensor) -> None:
        pyro.module("encoder", self.net)
        with pyro.plate("data", len(data)):
            pyro.sample("z", dist.Normal(self.net(data), 0.5).to_event(1))


@pytest.mark.parametrize(
    "objective", [None, IWAE(particles=3), Trace_ELBO(), Trace_ELBO(num_particles=2)]
)
def test_any_pyro_pair_trains_under_any_objective(objective: object) -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 1) * torch.tensor([[1.0, 2.0]]) + 1.0
    pair = (Model(), Guide())
    before = [weights(program) for program in pair]
    history = fit(pair, x, valid=x, objective=objective, epochs=15, batch_size=10, seed=0,
                  optimizer=lambda p: Adam(p, lr=2e-2))  # fmt: skip
    assert history["valid/loss"][-1] < history["valid/loss"][0] - 0.5
    after = [weights(program) for program in pair]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert len(pyro.get_param_store()) == 0
    assert math.isfinite(pyrovae.evaluate(pair, x, samples=50).log_prob)


@pytest.mark.parametrize(
    ("objective", "instead"),
    [
        (RenyiELBO(alpha=0.0), "IWAE"),
        (TraceGraph_ELBO(), "ELBO"),
        (ReweightedWakeSleep(), "ReweightedWakeSleep"),
        ("ELBO", "expects one of pyrovae.objectives"),
    ],
)
def test_objectives_without_a_differentiable_loss_are_refused(
    objective: object, instead: str
) -> None:
    with pytest.raises(TypeError, match=instead):
        fit(vae_of(), bits(), objective=objective)


def test_a_parameter_that_would_not_be_trained_is_refused_by_name() -> None:
    class Stray(Model):
        def forward(self, data: Tensor) -> None:
            pyro.param("stray", torch.tensor(1.0))
            super().forward(data)

    with pytest.raises(ValueError, match="stray"):
        fit((Stray(), Guide()), torch.zeros(5, 2), epochs=1, batch_size=5)
    with pytest.raises(ValueError, match="nothing to train"):
        fit((lambda data: Model().forward(data), lambda data: Guide().forward(data)),
            torch.zeros(5, 2), epochs=1, batch_size=5)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs expects an integer of at least 1; got 0"),
        ({"epochs": 1.5}, "epochs"),
        ({"batch_size": -3}, "batch_size"),
        ({"warmup": -1}, "warmup"),
        ({"clip": 0.0}, "clip"),
        ({"clip": float("nan")}, "clip"),
        ({"ema": 1.0}, "ema"),
        ({"patience": 3}, "validation"),
        ({"seed": -1}, "seed"),
        ({"precision": "16"}, "precision"),
        ({"device": "gpu0"}, "device"),
        ({"device": "cuda:99"}, "device"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(vae_of(), bits(), **{"epochs": 1, "batch_size": 20, **options})


def test_data_that_cannot_be_scored_are_refused_before_the_first_step() -> None:
    vae = vae_of()
    late = bits(5000)
    late[4321, 2] = 0.5
    with pytest.raises(ValueError, match=r"x\[4321, 2\] = 0.5"):
        fit(vae, late, epochs=1)
    with pytest.raises(ValueError, match="expects x of shape"):
        fit(vae, torch.zeros(10, 5), epochs=1, batch_size=5)
    with pytest.raises(TypeError, match="tuple"):
        fit(nn.Linear(2, 2), bits(), epochs=1)
    assert not bool(vae.prepared)


def test_a_batch_larger_than_the_data_is_clamped_and_said() -> None:
    with pytest.warns(UserWarning, match="batch_size=128 is larger than the 60 data; using 60"):
        fit(vae_of(), bits(), epochs=1, seed=0)


def test_a_source_brings_its_splits_and_lower_precision_trains(capsys: object) -> None:
    from pyrovae.likelihoods import Binomial

    vae = vae_of(likelihood=Binomial((1, 8, 8), total_count=16))
    history = fit(vae, Digits(), epochs=2, seed=0, precision="bf16-mixed")
    assert history["valid/elbo"][-1] > history["valid/elbo"][0]
    assert all(parameter.dtype == torch.float32 for parameter in vae.parameters())
    assert capsys.readouterr() == ("", "")  # not a terminal: not a word


def test_double_precision_and_masks_train() -> None:
    vae = vae_of(likelihood=Normal((6,), scale="element")).double()
    observed = torch.rand(60, 6, generator=torch.Generator().manual_seed(0)) < 0.8
    x = torch.where(observed, bits(), torch.tensor(float("nan")))
    history = fit(vae, {"x": x, "observed": observed}, epochs=3, batch_size=20, seed=0)
    assert all(math.isfinite(loss) for loss in history["train/loss"])
    assert vae.likelihood.raw_scale.dtype == torch.float64
