"""Networks of two inputs: broadcast batches, one first layer each, and no work done twice."""

import math
from typing import Any

import pytest
import torch
from cases import NETWORKS
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.networks import (
    MLP,
    Conditioned,
    Conv,
    Embedding,
    Folded,
    GatedMLP,
    ResNet,
    SetEncoder,
    autocast,
)

# Batch shapes of an input and a condition, and of both together.
BATCHES = [
    ((5,), (5,), (5,)),
    ((5,), (), (5,)),
    ((), (5,), (5,)),
    ((5,), (7, 1), (7, 5)),
    ((2, 5), (7, 1, 5), (7, 2, 5)),
    ((5,), (7, 2, 1), (7, 2, 5)),
    ((0,), (7, 1), (7, 0)),
    ((), (), ()),
]
SHAPES = [((1, 5, 6), (4,)), ((3,), (2, 5, 6))]


def foreign(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
    """A builder as a user writes one, who knows nothing of conditions."""
    size_in, size_out = math.prod(in_shape), math.prod(out_shape)
    layers = nn.Linear(size_in, 5), nn.Tanh(), nn.Linear(5, size_out)
    return nn.Sequential(nn.Flatten(), *layers, nn.Unflatten(1, out_shape))


class Both(nn.Module):
    """A module of a user's who does: the condition scales the output."""

    def __init__(
        self, in_shape: tuple[int, ...], out_shape: tuple[int, ...], *, condition_shape: Any = None
    ) -> None:
        super().__init__()
        self.net = foreign(in_shape, out_shape)
        self.scale = nn.Linear(math.prod(condition_shape), 1)

    def forward(self, value: Tensor, condition: Tensor) -> Tensor:
        scale = self.scale(condition.flatten(1))
        return self.net(value) * scale.reshape(-1, *(1 for _ in self.net[-1].unflattened_size))


BUILDERS: dict[str, Any] = {name: case.make() for name, case in NETWORKS.items()}
BUILDERS |= {"foreign": foreign, "a module of both": Both, "linear": MLP(())}


def conditioned(name: str, shapes: Any, condition: tuple[int, ...] = (3,)) -> Folded:
    return Folded(BUILDERS[name], *shapes, owner="test", condition_shape=condition).double()


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", BUILDERS)
def test_broadcasting_is_row_by_row(name: str, shapes: Any) -> None:
    net = conditioned(name, shapes).eval()
    for batch, beside, both in BATCHES:
        value = torch.randn(*batch, *shapes[0], dtype=torch.float64)
        condition = torch.randn(*beside, 3, dtype=torch.float64)
        output = net(value, condition=condition)
        assert output.shape == (*both, *shapes[1])
        values = value.expand(*both, *shapes[0]).reshape(-1, *shapes[0])
        conditions = condition.expand(*both, 3).reshape(-1, 3)
        if len(values):
            alone = net.network(values, conditions)
            torch.testing.assert_close(output, alone.reshape(output.shape))


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", BUILDERS)
def test_both_inputs_matter_and_every_parameter_learns(name: str, shapes: Any) -> None:
    net = conditioned(name, shapes)
    value = torch.randn(6, *shapes[0], dtype=torch.float64, requires_grad=True)
    condition = torch.randn(4, 1, 3, dtype=torch.float64, requires_grad=True)
    output = net(value, condition=condition)
    (output * torch.randn_like(output)).sum().backward()
    for tensor in (value, condition):
        assert (tensor.grad != 0).any(-1).all()
    for key, parameter in net.named_parameters():
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", BUILDERS)
def test_a_condition_of_any_shape_and_kind(name: str) -> None:
    for shape in [(), (2, 2)]:
        net = conditioned(name, ((1, 5, 6), (4,)), shape)
        labels = torch.randint(3, (5, *shape))
        x = torch.randn(5, 1, 5, 6, dtype=torch.float64)
        assert torch.equal(net(x, condition=labels), net(x, condition=labels.double()))


@pytest.mark.parametrize("name", NETWORKS)
def test_without_a_condition_nothing_is_drawn_for_one(name: str) -> None:
    """A network with a condition begins with the same numbers, and then draws those of it."""
    for shapes in SHAPES:
        torch.manual_seed(3)
        plain = list(NETWORKS[name].make()(*shapes).parameters())
        torch.manual_seed(3)
        both = NETWORKS[name].make()(*shapes, condition_shape=(3,))
        own = {id(p) for p in both.beside.parameters()}
        assert len(own) == 1
        rest = [p for p in both.parameters() if id(p) not in own]
        assert all(torch.equal(a, b) for a, b in zip(plain, rest, strict=True))


def by_hand(name: str) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    builder = {"MLP": MLP((5,), activation="tanh"), "GatedMLP": GatedMLP((5,))}[name]
    net = builder((4,), (2,), condition_shape=(3,))
    x, y = torch.randn(6, 4), torch.randn(6, 3)
    w1, b1, v, w2, b2 = (p for p in net.parameters())
    hidden = x @ w1.T + b1 + y @ v.T
    if name == "GatedMLP":
        value, gate = hidden.chunk(2, dim=-1)
        return net, x, y, (value * gate.sigmoid()) @ w2.T + b2
    return net, x, y, hidden.tanh() @ w2.T + b2


@pytest.mark.parametrize("name", ["MLP", "GatedMLP"])
def test_first_layers_are_summed(name: str) -> None:
    net, x, y, expected = by_hand(name)
    torch.testing.assert_close(net(x, y), expected)


@pytest.mark.parametrize("network", [Conv((4,), hidden=6), ResNet((4,), hidden=6)], ids=repr)
def test_a_condition_is_a_bias_of_the_channels_of_an_image(network: Any) -> None:
    net = network((2, 5, 6), (3,), condition_shape=(3,))
    x, y = torch.randn(4, 2, 5, 6), torch.randn(1, 3)
    torch.manual_seed(0)
    expected = net(x, y)
    with torch.no_grad():
        net.first[0].bias += net.beside(y).reshape(4)
        net.beside[1].weight.zero_()
    torch.testing.assert_close(net(x, y), expected)


# ----------------------------------------------------------------------------- the work is counted

WIDE = {
    "MLP": MLP((50,)),
    "GatedMLP": GatedMLP((25,)),
    "SetEncoder": SetEncoder(network=MLP((50,))),
}
ROWS, VALUES, OUT, CONDITION = 8, 10, 4, 3


def flops(net: nn.Module, *args: Tensor, **kwargs: Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        net(*args, **kwargs)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", ["MLP", "GatedMLP"])
def test_an_enumerated_condition_does_not_repeat_the_first_layer(name: str) -> None:
    """Its products with x are counted once for a row, whatever the number of conditions."""
    net = Folded(WIDE[name], (784,), (OUT,), owner="test", condition_shape=(CONDITION,))
    x, y = torch.randn(ROWS, 784), torch.randn(VALUES, 1, CONDITION)
    first, hidden = 50, 50 if name == "MLP" else 25
    once = 2 * ROWS * 784 * first
    beside = 2 * VALUES * CONDITION * first
    rest = 2 * VALUES * ROWS * hidden * OUT
    assert flops(net, x, condition=y) == once + beside + rest
    expanded = x.expand(VALUES, ROWS, 784)
    assert flops(net, expanded, condition=y) == VALUES * once + beside + rest


@pytest.mark.parametrize("network", [Conv((4,), hidden=6), ResNet((4,), hidden=6)], ids=repr)
def test_nor_the_first_convolution(network: Any) -> None:
    net = Folded(network, (1, 8, 8), (OUT,), owner="test", condition_shape=(CONDITION,))
    x, y = torch.randn(ROWS, 1, 8, 8), torch.randn(VALUES, 1, CONDITION)
    saved = flops(net, x.expand(VALUES, *x.shape), condition=y) - flops(net, x, condition=y)
    assert saved == (VALUES - 1) * 2 * ROWS * 4 * 9 * 16


def test_a_front_runs_once_for_each_row() -> None:
    """The vectors of a set's entries are not made again for each condition."""
    for network in (SetEncoder(network=MLP((5,))), Embedding((2,) * 6, network=MLP((5,)))):
        net = Folded(network, (6,), (OUT,), owner="test", condition_shape=(CONDITION,))
        seen: list[torch.Size] = []
        front = net.network.first.front
        front.register_forward_hook(lambda module, given, made, s=seen: s.append(made.shape))
        net(torch.zeros(ROWS, 6), condition=torch.randn(VALUES, 1, CONDITION))
        assert [shape[0] for shape in seen] == [ROWS]


# ------------------------------------------------------------------------------- what is passed on


@pytest.mark.parametrize("inner", [MLP((5,)), foreign], ids=["ours", "foreign"])
def test_a_front_hands_the_condition_on(inner: Any) -> None:
    net = Folded(
        SetEncoder(6, network=inner), (2, 3), (4,), owner="test", condition_shape=(3,)
    ).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    y = torch.randn(7, 1, 3, dtype=torch.float64)
    observed = torch.rand(5, 2, 3) < 0.5
    output = net(x, observed=observed, condition=y)
    assert output.shape == (7, 5, 4)
    torch.testing.assert_close(
        net(torch.where(observed, x, 9.0), observed=observed, condition=y), output
    )
    assert not torch.equal(net(x, condition=y), output)
    assert not torch.equal(net(x, observed=observed, condition=y + 1), output)


def test_a_foreign_network_that_asks_for_what_is_observed_learns_that_conditions_are() -> None:
    class Asking(nn.Module):
        takes_observed = True

        def forward(self, value: Tensor, *, observed: Tensor) -> Tensor:
            return torch.stack([observed.sum(1), value.sum(1)], dim=1)

    net = Folded(lambda i, o: Asking(), (2, 2), (2,), owner="test", condition_shape=(3,))
    x, y = torch.ones(5, 2, 2), torch.ones(7, 1, 3)
    observed = torch.tensor([[True, False], [False, False]]).expand(5, 2, 2)
    assert torch.equal(
        net(x, observed=observed, condition=y), torch.tensor([4.0, 7.0]).expand(7, 5, 2)
    )


def test_lower_precision_and_the_offset_reach_both() -> None:
    net = Folded(MLP((5,)), (4,), (2,), owner="test", condition_shape=(3,))
    x, y = torch.randn(6, 4), torch.randn(7, 1, 3)
    seen: list[torch.dtype] = []
    for part in (net.network.first, net.network.beside, net.network.rest):
        part.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    with autocast(torch.bfloat16):
        low = net(x, condition=y)
    assert seen == [torch.bfloat16] * 3
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, net(x, condition=y), rtol=0.05, atol=0.05)
    before = net(x, condition=y)
    net.offset.fill_(2.0)
    torch.testing.assert_close(net(x, condition=y), before + 2.0)


def test_all_of_ours_are_conditioned() -> None:
    for name in NETWORKS:
        assert isinstance(conditioned(name, SHAPES[0]).network, Conditioned)


@pytest.mark.parametrize(
    ("batch", "given", "said"),
    [
        ((5,), None, "the classifier expects a condition; got none"),
        ((5,), (5, 4), r"the classifier expects condition of shape \[\.\.\., 3\]; got \[5, 4\]"),
        ((5,), (), r"the classifier expects condition of shape \[\.\.\., 3\]; got \[\]"),
        ((5,), (4, 3), r"whose batch dimensions broadcast; got \[5\] and \[4\]"),
        ((2, 5), (2, 3), r"whose batch dimensions broadcast; got \[2, 5\] and \[2\]"),
    ],
)
def test_conditions_that_do_not_fit(batch: Any, given: Any, said: str) -> None:
    net = Folded(MLP((5,)), (2,), (2,), owner="the classifier", condition_shape=(3,))
    condition = None if given is None else torch.zeros(given)
    with pytest.raises(ValueError, match=said):
        net(torch.zeros(*batch, 2), condition=condition)


def test_a_condition_that_nobody_asked_for() -> None:
    net = Folded(MLP((5,)), (2,), (2,), owner="the encoder")
    with pytest.raises(
        ValueError, match=r"encoder expects no condition; got one of shape \[5, 3\]"
    ):
        net(torch.zeros(5, 2), condition=torch.zeros(5, 3))


def test_a_foreign_network_of_another_shape_is_named_with_both_inputs() -> None:
    net = Folded(lambda i, o: nn.Flatten(), (2,), (2,), owner="the encoder", condition_shape=(3,))
    with pytest.raises(
        ValueError, match=r"took \[5, 2\] and \[5, 3\] to \[5, 5\]; expected \[5, 2\]"
    ):
        net(torch.zeros(5, 2), condition=torch.zeros(5, 3))
    with pytest.raises(TypeError, match=r"the encoder .*built int"):
        Folded(lambda i, o: 3, (2,), (2,), owner="the encoder", condition_shape=(3,))
