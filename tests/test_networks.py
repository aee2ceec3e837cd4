"""Networks: any shape to any shape, folded around any batch, in any precision."""

from typing import Any

import pytest
import torch
from cases import NETWORKS, data_for, small_vae
from torch import nn

from pyrovae.networks import MLP, Conv, Folded, GatedMLP, ResNet, autocast, frozen_statistics
from pyrovae.objectives import ELBO

IMAGES = [(1, 28, 20), (3, 33, 47), (1, 1, 1), (3, 2, 5)]
BATCHES = [(), (1,), (0,), (4,), (2, 3, 4), (2, 0, 3)]


def normalised(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
    """A builder as a user writes one: a plain function, with batch normalisation."""
    size_in, size_out = torch.Size(in_shape).numel(), torch.Size(out_shape).numel()
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(size_in, 5),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Linear(5, size_out),
        nn.Unflatten(1, out_shape),
    )


def _name(value: object) -> str:
    """Name a case the same way in every process: a function by its name, not its address."""
    return getattr(value, "__name__", None) or str(value)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("name", NETWORKS)
def test_images_of_any_size(name: str, image: tuple[int, ...]) -> None:
    """Both ways, with a gradient in every parameter and every input."""
    for in_shape, out_shape in [(image, (6,)), ((3,), image)]:
        net = Folded(NETWORKS[name].make(), in_shape, out_shape, owner="test")
        value = torch.randn(2, 3, *in_shape, requires_grad=True)
        output = net(value)
        assert output.shape == (2, 3, *out_shape)
        (output * torch.randn_like(output)).sum().backward()
        assert (value.grad != 0).any(-1).all()
        for key, parameter in net.named_parameters():
            assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("builder", [*(c.make() for c in NETWORKS.values()), normalised], ids=_name)
def test_folding_is_row_by_row(builder: Any, batch: tuple[int, ...]) -> None:
    net = Folded(builder, (2, 5, 3), (4,), owner="test").eval()
    value = torch.randn(*batch, 2, 5, 3)
    output = net(value)
    assert output.shape == (*batch, 4)
    by_hand = [net.network(row.unsqueeze(0)) for row in value.reshape(-1, 2, 5, 3)]
    if by_hand:
        torch.testing.assert_close(output.reshape(-1, 4), torch.cat(by_hand))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_trains_both_ways(name: str) -> None:
    """Twenty steps raise the bound under the noise that they were made with."""
    vae = small_vae(encoder=NETWORKS[name].make(), decoder=NETWORKS[name].make()).train()
    x = data_for(vae, 12)
    vae.train()
    loss = ELBO(particles=2)(vae.model, vae.guide)
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)

    def bound() -> torch.Tensor:
        torch.manual_seed(1)
        return loss(x=x)

    before = bound().item()
    for _ in range(20):
        optimizer.zero_grad()
        bound().backward()
        optimizer.step()
    assert bound().item() < before - 0.1 * len(x)


def test_no_hidden_layer_is_one_linear_map() -> None:
    for network in (MLP(()), GatedMLP(())):
        net = network((2, 3), (4, 5))
        weights = list(net.parameters())
        assert [tuple(w.shape) for w in weights] == [(20, 6), (20,)]
        value = torch.randn(7, 2, 3)
        expected = (value.reshape(7, 6) @ weights[0].T + weights[1]).reshape(7, 4, 5)
        torch.testing.assert_close(net(value), expected)


def test_mlp_by_hand() -> None:
    net = MLP((5,), activation="tanh")((3,), (2,))
    w1, b1, w2, b2 = net.parameters()
    value = torch.randn(4, 3)
    torch.testing.assert_close(net(value), torch.tanh(value @ w1.T + b1) @ w2.T + b2)
    assert (b1 == 0).all()
    assert w1.abs().max() <= (6 / 8) ** 0.5  # Glorot: uniform on +-sqrt(6 / (fan in + fan out))


def test_gated_mlp_by_hand() -> None:
    net = GatedMLP((5,))((3,), (2,))
    w1, b1, w2, b2 = net.parameters()
    x = torch.randn(4, 3)
    value, gate = (x @ w1.T + b1).split(5, dim=-1)
    torch.testing.assert_close(net(x), (value * gate.sigmoid()) @ w2.T + b2)


def test_activations_are_torchs() -> None:
    names = ["relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "tanh"]
    value = torch.randn(4, 3)
    for name in names:
        net = MLP((5,), activation=name)((3,), (2,))
        w1, b1, w2, b2 = net.parameters()
        activation = getattr(nn.functional, name, torch.tanh)
        torch.testing.assert_close(net(value), activation(value @ w1.T + b1) @ w2.T + b2)


def test_batch_norm_sees_particles_as_one_batch() -> None:
    """In training the statistics are those of all particles and data, folded by hand."""
    net = Folded(normalised, (3,), (4,), owner="test")
    twin = normalised((3,), (4,))
    twin.load_state_dict(net.network.state_dict())
    value = torch.randn(5, 6, 3)
    torch.testing.assert_close(net(value), twin(value.reshape(30, 3)).reshape(5, 6, 4))
    for (key, ours), theirs in zip(net.network.named_buffers(), twin.buffers(), strict=True):
        assert torch.equal(ours, theirs), key
    assert net.network[2].num_batches_tracked == 1


def test_frozen_statistics() -> None:
    net = Folded(normalised, (3,), (4,), owner="test")
    net(torch.randn(9, 3))
    net.network.append(nn.BatchNorm1d(4).eval())
    before = {key: value.clone() for key, value in net.named_buffers()}
    modes = [module.training for module in net.modules()]
    value = torch.randn(8, 3)
    with frozen_statistics(net):
        frozen = net(value)
        assert net.training  # only batch normalisation is held: dropout goes on
    torch.testing.assert_close(frozen, net.eval()(value))
    net.train()
    net.network[-1].eval()
    assert [module.training for module in net.modules()] == modes
    for key, buffer in net.named_buffers():
        assert torch.equal(buffer, before[key]), key
    with pytest.raises(KeyError), frozen_statistics(net):
        raise KeyError
    assert [module.training for module in net.modules()] == modes


@pytest.mark.parametrize("name", NETWORKS)
def test_autocast_runs_lower_and_leaves_as_float32(name: str) -> None:
    net = Folded(NETWORKS[name].make(), (2, 6, 5), (4,), owner="test")
    seen: list[torch.dtype] = []
    last = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    last.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    value = torch.randn(3, 2, 6, 5)
    full = net(value)
    with autocast(torch.bfloat16):
        low = net(value)
        assert not torch.is_autocast_enabled("cpu")  # only the networks, and nothing around them
    with autocast(None):
        again = net(value)
    assert seen == [torch.float32, torch.bfloat16, torch.float32]
    assert low.dtype == torch.float32
    assert torch.equal(again, full)
    torch.testing.assert_close(low, full, rtol=0.05, atol=0.05)
    with pytest.raises(KeyError), autocast(torch.bfloat16):
        raise KeyError
    assert torch.equal(net(value), full)


def test_integers_and_doubles() -> None:
    net = Folded(MLP((4,)), (3,), (2,), owner="test")
    counts = torch.randint(9, (5, 3), dtype=torch.uint8)
    assert torch.equal(net(counts), net(counts.float()))
    assert torch.equal(net(counts > 4), net((counts > 4).float()))
    assert net.double()(counts).dtype == torch.float64


def test_offset_shifts_the_output_and_is_saved() -> None:
    net = Folded(MLP((4,)), (3,), (2, 2), owner="test")
    value = torch.randn(5, 3)
    before = net(value)
    net.offset.copy_(torch.arange(4.0).reshape(2, 2))
    torch.testing.assert_close(net(value), before + net.offset)
    assert "offset" in net.state_dict()


@pytest.mark.parametrize(
    ("builder", "error", "said"),
    [
        (None, TypeError, "the encoder expects a network such as .*; got None"),
        (lambda i, o: 3, TypeError, "the encoder .*built int for shapes .*expected a torch.nn"),
    ],
)
def test_builders_that_are_none(builder: Any, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        Folded(builder, (3,), (2,), owner="the encoder")


def test_shape_errors_name_both_shapes() -> None:
    net = Folded(MLP((4,)), (2, 3), (2,), owner="the encoder")
    for wrong in [(3, 2), (5, 3, 2), (3,), (), (6,)]:
        with pytest.raises(ValueError, match=r"the encoder expects input of shape \[..., 2, 3\]"):
            net(torch.zeros(wrong))
    net = Folded(lambda i, o: nn.Flatten(), (2, 3), (2,), owner="the encoder")
    with pytest.raises(ValueError, match=r"the encoder .* took \[5, 2, 3\] to \[5, 6\].*\[5, 2\]"):
        net(torch.zeros(5, 2, 3))


@pytest.mark.parametrize("bad", [(0,), (2.0,), (True,), "a", None, ((3,),), (-4,)], ids=_name)
@pytest.mark.parametrize(
    "make",
    [
        *(MLP, GatedMLP, Conv, lambda value: Conv((4,), hidden=value)),
        *(ResNet, lambda value: ResNet((4,), blocks=value)),
    ],
    ids=_name,
)
def test_bad_widths(make: Any, bad: Any) -> None:
    with pytest.raises(
        ValueError, match=r"expects (hidden|channels|blocks) to be positive integers; got"
    ):
        make(bad)


@pytest.mark.parametrize("make", [MLP, Conv, ResNet])
def test_unknown_activation_lists_the_known(make: Any) -> None:
    with pytest.raises(ValueError, match=rf"{make.__name__} expects .*'softplus'.*got 'sine'"):
        make((4,), activation="sine")


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((1, 8, 8), (1, 8, 8)), ((8, 8), (4,))])
@pytest.mark.parametrize("make", [Conv, ResNet])
def test_convolutions_need_one_image(make: Any, shapes: Any) -> None:
    with pytest.raises(ValueError, match=rf"{make.__name__}.* from an image"):
        make((4,))(*shapes)


def test_a_residual_block_adds_to_its_input() -> None:
    """With what the blocks add at zero, a residual network is its halvings and dense layers."""
    net = ResNet((3, 4), blocks=2, hidden=6)((1, 5, 6), (2,))
    value = torch.randn(4, 1, 5, 6)
    full = net(value)
    blocks = [layer for layer in net if type(layer).__name__ == "_Residual"]
    assert len(blocks) == 4
    for block in blocks:
        nn.init.zeros_(block[-1].weight)
        nn.init.zeros_(block[-1].bias)
    plain = nn.Sequential(*(layer for layer in net if layer not in blocks))
    assert torch.equal(net(value), plain(value))
    assert not torch.allclose(full, net(value))
