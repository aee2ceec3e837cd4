"""Normalisation layers: statistics of folded rows, frozen for pseudo-inputs, and any last batch."""

from typing import Any

import pytest
import torch
from cases import data_for, small_vae
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch import Tensor, nn

import pyrovae
from pyrovae.networks import MLP, Conv, Folded, ResNet, frozen_statistics
from pyrovae.networks.normalization import BatchNormalization, RowNormalization
from pyrovae.objectives import ELBO, IWAE

IMAGE = (1, 5, 6)
BATCH = {
    "MLP": MLP((7,), normalization="batch"),
    "Conv": Conv((4,), hidden=6, normalization="batch"),
    "ResNet": ResNet((4,), hidden=6, normalization="batch"),
}
LAYER = {
    "MLP": MLP((7,), normalization="layer"),
    "Conv": Conv((4,), hidden=6, normalization="layer"),
    "ResNet": ResNet((4,), hidden=6, normalization="layer"),
}


def layers_of(module: nn.Module) -> list[BatchNormalization]:
    return [layer for layer in module.modules() if isinstance(layer, BatchNormalization)]


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.named_buffers()}


@pytest.mark.parametrize("shape", [(9, 4), (9, 4, 3, 5)])
def test_batch_normalisation_is_torchs_where_torch_has_one(shape: tuple[int, ...]) -> None:
    ours = BatchNormalization(4)
    theirs = nn.BatchNorm1d(4) if len(shape) == 2 else nn.BatchNorm2d(4)
    for _ in range(3):
        value = torch.randn(shape) * 2 + 1
        torch.testing.assert_close(ours(value), theirs(value), rtol=0.0, atol=0.0)
    torch.testing.assert_close(state(ours), state(theirs), rtol=0.0, atol=0.0)
    torch.testing.assert_close(ours.eval()(value), theirs.eval()(value), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("shape", [(1, 4), (1, 4, 1, 1), (0, 4), (0, 4, 3, 3)])
def test_a_row_without_spread_is_normalised_as_in_evaluation(shape: tuple[int, ...]) -> None:
    layer = BatchNormalization(4)
    layer(torch.randn(9, 4))
    before = state(layer)
    value = torch.randn(shape, requires_grad=True)
    output = layer(value)
    torch.testing.assert_close(state(layer), before, rtol=0.0, atol=0.0)
    torch.testing.assert_close(output, layer.eval()(value))
    output.sum().backward()
    assert value.grad is not None


def test_one_row_of_an_image_has_a_spread() -> None:
    layer = BatchNormalization(4)
    output = layer(torch.randn(1, 4, 3, 5))
    torch.testing.assert_close(output.mean((0, 2, 3)), torch.zeros(4), rtol=0.0, atol=1e-6)
    assert layer.num_batches_tracked == 1


@pytest.mark.parametrize("shape", [(9, 4), (1, 4), (9, 4, 3, 5), (1, 1, 1, 1), (0, 4)])
def test_row_normalisation_by_hand(shape: tuple[int, ...]) -> None:
    layer = RowNormalization(1, shape[1])
    with torch.no_grad():
        layer.weight.uniform_(0.5, 1.5)
        layer.bias.uniform_(-1.0, 1.0)
    value = torch.randn(shape)
    flat = value.flatten(1)
    apart = flat - flat.mean(1, keepdim=True)
    scaled = apart / (apart.square().mean(1, keepdim=True) + layer.eps).sqrt()
    channels = (-1, *(1 for _ in shape[2:]))
    expected = scaled.reshape(shape) * layer.weight.reshape(channels) + layer.bias.reshape(channels)
    torch.testing.assert_close(layer(value), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", BATCH)
def test_particles_and_enumerated_values_are_rows(name: str) -> None:
    """In training a folded batch is one batch, and the statistics are those of all its rows."""
    net = Folded(BATCH[name], IMAGE, (3,), owner="test", condition_shape=(2,)).double()
    twin = Folded(BATCH[name], IMAGE, (3,), owner="test", condition_shape=(2,)).double()
    twin.load_state_dict(net.state_dict())
    x = torch.randn(4, *IMAGE, dtype=torch.float64)
    y = torch.randn(5, 2, 1, 2, dtype=torch.float64)
    there = net(x, condition=y)
    rows = x.expand(5, 2, 4, *IMAGE).reshape(40, *IMAGE), y.expand(5, 2, 4, 2).reshape(40, 2)
    here = twin.network(*rows).reshape(5, 2, 4, 3)
    torch.testing.assert_close(there, here)
    torch.testing.assert_close(state(net), state(twin))
    assert all(layer.num_batches_tracked == 1 for layer in layers_of(net))


@pytest.mark.parametrize("name", LAYER)
def test_a_layers_normalisation_is_blind_to_other_rows(name: str) -> None:
    net = Folded(LAYER[name], IMAGE, (3,), owner="test").double().train()
    value = torch.randn(3, 4, *IMAGE, dtype=torch.float64)
    output = net(value)
    torch.testing.assert_close(net(value[1, 2]), output[1, 2])
    assert len(dict(net.named_buffers())) == 1  # the offset


@pytest.mark.parametrize("name", BATCH)
def test_no_layer_before_batch_normalisation_has_a_bias_in_vain(name: str) -> None:
    """A gradient of rounding errors alone is none."""
    for in_shape, out_shape in ((IMAGE, (3,)), ((3,), IMAGE)):
        net = BATCH[name](in_shape, out_shape).double()
        output = net(torch.randn(6, *in_shape, dtype=torch.float64))
        (output * torch.randn_like(output)).sum().backward()
        for key, parameter in net.named_parameters():
            assert parameter.grad.abs().sum() > 1e-9, key


def test_pseudo_inputs_move_no_statistics() -> None:
    vae = small_vae(prior="VampPrior", encoder=BATCH["MLP"], decoder=BATCH["MLP"]).train()
    x = data_for(vae)
    vae.train()
    (layer,) = layers_of(vae.encoder_network)
    loss = ELBO()(vae.model, vae.guide)
    loss(x=x).backward()
    assert layer.num_batches_tracked == 1
    twin = BatchNormalization(7)
    flatten, linear = list(vae.encoder_network.network)[:2]
    twin(linear(flatten(x)))
    torch.testing.assert_close(layer.running_mean, twin.running_mean)
    assert layer.training
    before = state(vae)
    with frozen_statistics(vae):
        loss(x=x)
    torch.testing.assert_close(state(vae), before, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("name", BATCH)
@pytest.mark.parametrize("shape", [(1, 1, 1), IMAGE])
def test_an_epoch_may_end_in_a_batch_of_one_row(name: str, shape: tuple[int, ...]) -> None:
    vae = small_vae(encoder=BATCH[name], decoder=BATCH[name], shape=shape)
    x = torch.randint(2, (9, *shape)).float()
    history = pyrovae.fit(vae, x, epochs=2, batch_size=4, seed=0, progress=False)
    assert torch.tensor(history["train/loss"]).isfinite().all()
    assert all(value.isfinite().all() for value in vae.state_dict().values())
    one_row_in_none = small_vae(encoder=BATCH[name], decoder=BATCH[name], shape=shape)
    pyrovae.fit(one_row_in_none, x[:1], epochs=2, batch_size=1, seed=0, progress=False)


@pytest.mark.parametrize("objective", [ELBO(), IWAE(particles=4)], ids=repr)
def test_enumerated_codes_train_with_statistics(objective: Any) -> None:
    vae = small_vae("Categorical", encoder=BATCH["MLP"], decoder=BATCH["MLP"])
    x = data_for(vae)
    history = pyrovae.fit(
        vae, x, objective=objective, epochs=9, batch_size=5, seed=0, progress=False
    )
    assert history["train/loss"][-1] < history["train/loss"][0]


def test_the_plain_pyro_way_moves_the_statistics() -> None:
    vae = small_vae(encoder=BATCH["MLP"], decoder=BATCH["MLP"])
    svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-2}), Trace_ELBO(num_particles=2))
    for _ in range(3):
        svi.step(data_for(vae))
    for network in (vae.encoder_network, vae.decoder_network):
        assert all(layer.num_batches_tracked > 0 for layer in layers_of(network))


def test_statistics_are_saved_and_evaluated_with(tmp_path: Any) -> None:
    vae = small_vae(encoder=BATCH["Conv"], decoder=BATCH["ResNet"], shape=IMAGE)
    x = data_for(vae, 8)
    pyrovae.fit(vae, x, epochs=2, batch_size=4, seed=0, progress=False)
    before = state(vae)
    there = pyrovae.evaluate(vae, x, samples=20)
    torch.testing.assert_close(state(vae), before, rtol=0.0, atol=0.0)
    pyrovae.save(vae, tmp_path / "model")
    again = pyrovae.load(tmp_path / "model")
    torch.testing.assert_close(state(again), before, rtol=0.0, atol=0.0)
    assert pyrovae.evaluate(again, x, samples=20).log_prob == there.log_prob


@pytest.mark.parametrize("make", [MLP, Conv, ResNet])
@pytest.mark.parametrize("bad", ["Batch", None, True, 3, ("batch",)])
def test_unknown_normalisations_list_the_known(make: Any, bad: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"{make.__name__} expects a norm.*'none', 'batch', 'layer'"
    ):
        make((4,), normalization=bad)
