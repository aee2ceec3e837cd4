"""State cannot leak: between models, copies, Pyro's store, and the caller's random numbers."""

import copy
import io
import pickle
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import FIRST, data_for, small_vae
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor, nn

from pyrovae.likelihoods import Normal
from pyrovae.models import VAE
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE, LocalParameters
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import VampPrior
from pyrovae.training import fit


def svi(vae: VAE, loss: Any = None) -> SVI:
    return SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-2}), loss or Trace_ELBO())


def snapshot(vae: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in vae.named_parameters()}


def moved(vae: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in vae.named_parameters() if not torch.equal(value, before[name])}


def unpickled(vae: VAE) -> VAE:
    return pickle.loads(pickle.dumps(vae))


def reloaded(vae: VAE) -> VAE:
    file = io.BytesIO()
    torch.save(vae, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def another(vae: VAE) -> VAE:
    return small_vae()


def twice_copied(vae: VAE) -> VAE:
    return copy.deepcopy(copy.deepcopy(vae))


@pytest.mark.parametrize("loss", [Trace_ELBO, ELBO, IWAE])
@pytest.mark.parametrize("make", [another, copy.deepcopy, twice_copied, unpickled, reloaded])
@pytest.mark.parametrize("trained_first", [False, True])
def test_models_trained_in_turns(make: Any, trained_first: bool, loss: Any) -> None:
    first = small_vae()
    x = data_for(first)
    trainer = svi(first, loss())
    if trained_first:
        trainer.step(x)
    second = make(first)
    assert torch.equal(second.encode(x).mean, second.encode(x).mean)
    trainers = [trainer, svi(second, loss())]
    for turn in range(4):
        models = [first, second]
        before = [snapshot(model) for model in models]
        trainers[turn % 2].step(x)
        assert moved(models[turn % 2], before[turn % 2]) == set(before[0])
        assert not moved(models[1 - turn % 2], before[1 - turn % 2])


def test_two_models_train_as_each_would_alone() -> None:
    def run(vaes: list[VAE], x: Tensor) -> list[dict[str, Tensor]]:
        trainers = [svi(vae) for vae in vaes]
        for step in range(5):
            for number, trainer in enumerate(trainers):
                torch.manual_seed(10 * step + number)
                trainer.step(x)
        return [snapshot(vae) for vae in vaes]

    vae = small_vae()
    x = data_for(vae)
    pair = run([copy.deepcopy(vae), copy.deepcopy(vae)], x)
    alone = run([copy.deepcopy(vae)], x)
    for name, value in alone[0].items():
        assert torch.equal(pair[0][name], value), name
        assert not torch.equal(pair[1][name], value), name  # its random numbers are others


def test_a_copy_does_not_disturb_the_original() -> None:
    """Copying and pickling in the midst of training: the original goes on, step for step."""
    runs = []
    for disturb in (False, True):
        pyro.clear_param_store()
        torch.manual_seed(0)
        vae = small_vae()
        trainer, x = svi(vae), data_for(vae)
        for step in range(4):
            torch.manual_seed(step)
            trainer.step(x)
            if disturb:
                unpickled(copy.deepcopy(vae))
        runs.append(snapshot(vae))
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


@pytest.mark.parametrize("frozen", ["encoder_network", "decoder_network", "prior"])
def test_frozen_parts_stay_frozen(frozen: str) -> None:
    """Warnings are errors here, and Pyro's own `pyro.module` warns of frozen parameters."""
    vae = small_vae(prior="GaussianMixture")
    getattr(vae, frozen).requires_grad_(False)
    x = data_for(vae)
    names = {name for name, _ in vae.named_parameters()}
    still = {name for name in names if name.startswith(frozen)}
    assert still
    before = snapshot(vae)
    svi(vae).step(x)
    assert moved(vae, before) == names - still
    module = ELBO()(vae.model, vae.guide)
    module(x).backward()
    assert all(not p.requires_grad and p.grad is None for p in getattr(vae, frozen).parameters())


def test_fit_sets_no_starting_value_and_no_statistic_of_what_is_frozen() -> None:
    """A pretrained part brings its own values, and buffers are as frozen as parameters."""

    def normalised(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        hidden = nn.Linear(in_shape[0], 4)
        return nn.Sequential(hidden, nn.BatchNorm1d(4, affine=False), nn.Linear(4, out_shape[0]))

    vae = VAE(
        prior=VampPrior(2, components=3),
        likelihood=Normal((6,), scale="shared"),
        posterior=MeanFieldNormal(),
        encoder=normalised,
        decoder=MLP((4,)),
    )
    frozen = vae.prior, vae.likelihood, vae.encoder_network
    for part in frozen:
        part.requires_grad_(False)
    before = [copy.deepcopy(part.state_dict()) for part in frozen]
    fit(vae, 5 + torch.randn(40, 6), epochs=2, batch_size=20, seed=0)
    for part, state in zip(frozen, before, strict=True):
        assert all(torch.equal(state[name], value) for name, value in part.state_dict().items())
    assert bool((vae.decoder_network.offset > 4).all())  # what is not frozen begins at the data
    assert all(module.training for module in vae.modules())

    other = small_vae()
    other.decoder_network.requires_grad_(False)
    offset = other.decoder_network.offset.clone()
    fit(other, data_for(other), epochs=1, batch_size=len(data_for(other)), seed=0)
    assert torch.equal(other.decoder_network.offset, offset)


def test_frozen_after_training_began_and_thawed() -> None:
    vae = small_vae()
    x = data_for(vae)
    trainer = svi(vae)
    trainer.step(x)
    vae.encoder_network.requires_grad_(False)
    before = snapshot(vae)
    trainer.step(x)
    assert {name.split(".")[0] for name in moved(vae, before)} == {"decoder_network"}
    vae.requires_grad_(True)
    before = snapshot(vae)
    trainer.step(x)
    assert moved(vae, before) == set(before)


def test_a_model_frozen_whole_is_scored() -> None:
    vae = small_vae().requires_grad_(False)
    before = snapshot(vae)
    assert svi(vae, ELBO()).step(data_for(vae)) > 0
    assert not moved(vae, before)
    assert not list(pyro.get_param_store())


def test_a_parameter_that_is_not_contiguous_is_an_error() -> None:
    vae = small_vae()
    weight = vae.encoder_network.network[1].weight
    weight.data = weight.data.t().contiguous().t()
    for call in (vae.model, vae.guide):
        with pytest.raises(
            ValueError, match=r"'encoder_network.network.1.weight'.*strides \(1, 6\)"
        ):
            call(data_for(vae))


def test_a_replaced_parameter_is_trained() -> None:
    vae = small_vae()
    x = data_for(vae)
    trainer = svi(vae)
    trainer.step(x)
    layer = vae.decoder_network.network[1]
    old = layer.weight
    layer.weight = nn.Parameter(old.detach().clone())
    before = snapshot(vae)
    kept = old.detach().clone()
    trainer.step(x)
    assert moved(vae, before) == set(before)
    assert torch.equal(old, kept)


@pytest.mark.parametrize("prior", FIRST[0])
@pytest.mark.parametrize("objective", [ELBO(), IWAE(particles=3)], ids=repr)
def test_the_store_is_left_alone_by_the_module(prior: str, objective: Any) -> None:
    store = pyro.get_param_store()
    pyro.param("mine", torch.tensor(3.0))
    before = {name: value.clone() for name, value in store.items()}
    vae = small_vae(prior)
    module = objective(vae.model, vae.guide)
    optimizer = torch.optim.Adam(module.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        module(data_for(vae)).backward()
        optimizer.step()
    assert {name: value.clone() for name, value in store.items()} == before


def test_foreign_parameters_are_refused_by_name() -> None:
    vae = small_vae()

    def model(x: Tensor) -> None:
        pyro.param("temperature", torch.tensor(1.0))
        vae.model(x)

    with pytest.raises(ValueError, match=r"pyro\.param\('temperature'\).*nn\.Parameter.*SVI"):
        ELBO()(model, vae.guide)(data_for(vae))
    assert not list(pyro.get_param_store())
    SVI(model, vae.guide, pyro.optim.Adam({"lr": 1e-3}), ELBO()).step(data_for(vae))
    assert "temperature" in pyro.get_param_store()


def test_another_models_parameters_are_foreign() -> None:
    mine, other = small_vae(), small_vae()
    with LocalParameters(mine):
        mine.model(data_for(mine))
        with pytest.raises(ValueError, match=r"VAE-\d+\$\$\$"):
            other.model(data_for(other))
    assert not list(pyro.get_param_store())


@pytest.mark.parametrize("prior", FIRST[0])
def test_building_draws_only_the_weights(prior: str) -> None:
    """The checks of a VAE draw numbers, but not the caller's."""
    from pyrovae.models import checks
    from pyrovae.models import vae as module

    states = []
    for check in (checks.check_parts, lambda model: None):
        original, module.check_parts = module.check_parts, check
        try:
            torch.manual_seed(0)
            small_vae(prior)
        finally:
            module.check_parts = original
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_checking_data_draws_nothing() -> None:
    vae = small_vae()
    before = torch.get_rng_state()
    vae.check({"x": data_for(vae)})
    assert torch.equal(torch.get_rng_state(), before)


def test_sampling_leaves_mode_and_gradients_alone() -> None:
    vae = small_vae()
    vae.encoder_network.eval()
    modes = [module.training for module in vae.modules()]
    vae.sample(2)
    vae.reconstruct(data_for(vae))
    assert [module.training for module in vae.modules()] == modes
    assert torch.is_grad_enabled()


def test_a_foreign_pair_is_not_renamed() -> None:
    """Only our programs are scoped: a user's `pyro.module` keeps the name that it was given."""
    net = nn.Linear(1, 1)

    def model(x: Tensor) -> None:
        pyro.module("net", net)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(net(z.unsqueeze(-1)).squeeze(-1), 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x, 1.0))

    SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), ELBO()).step(torch.zeros(3))
    assert set(pyro.get_param_store()) == {"net$$$weight", "net$$$bias"}
