"""Embedding and SetEncoder: codes, missing entries, and an encoder of what is known alone."""

import math
from typing import Any

import pytest
import torch
from cases import data_for, small_vae
from torch import Tensor, nn

import pyrovae
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP, Embedding, Folded, GatedMLP, SetEncoder
from pyrovae.objectives import ELBO
from pyrovae.training import compiled
from pyrovae.training.compiled import CompiledLoss

LEVELS = (0, 3, 0, 2)


def rows(count: int = 6, seed: int = 4) -> Tensor:
    """A table with two columns of numbers, one of three codes and one of two."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    for column, levels in ((1, 3), (3, 2)):
        x[:, column] = torch.randint(levels, (count,), generator=generator).double()
    return x


def folded(network: Any, in_shape: tuple[int, ...] = (4,)) -> Folded:
    return Folded(network, in_shape, (5,), owner="test").double()


def columns_of(net: Folded) -> Any:
    return net.network.front.columns


# ----------------------------------------------------------------------------------------- codes


def test_embedding_by_hand() -> None:
    """Numbers, and then the codes' vectors, each looked up in the part of its column."""
    net = folded(Embedding(LEVELS, width=2, network=MLP(())))
    x = rows()
    vectors = columns_of(net).vectors.detach()
    assert vectors.shape == (4 + 3, 2)  # the levels and the unknown, of both columns
    expected = torch.cat(
        [x[:, [0, 2]], vectors[x[:, 1].long()], vectors[4 + x[:, 3].long()]], dim=1
    )
    torch.testing.assert_close(net(x), net.network.network(expected))


def test_codes_are_told_apart_and_only_those_seen_learn() -> None:
    net = folded(Embedding(LEVELS, width=2, network=MLP((6,))))
    x = rows(1)
    x[:, 1], x[:, 3] = 2.0, 0.0
    other = x.clone()
    other[:, 1] = 1.0
    assert not torch.equal(net(x), net(other))
    net(x).sum().backward()
    learned = columns_of(net).vectors.grad.abs().sum(1) > 0
    assert learned.tolist() == [False, False, True, False, True, False, False]


@pytest.mark.parametrize("network", [Embedding(LEVELS), SetEncoder(levels=LEVELS)], ids=repr)
@pytest.mark.parametrize("code", [-1.0, 3.0, 3.6, 1e30, -1e30, math.inf, -math.inf, math.nan])
def test_codes_out_of_range_are_unknown(network: Any, code: float) -> None:
    net = folded(network)
    x = rows()
    x[:, 1] = code
    output = net(x)
    assert output.isfinite().all()
    x[:, 1] = 17.0
    assert torch.equal(net(x), output)
    output.sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    assert columns_of(net).vectors.grad[3].abs().sum() > 0  # the unknown of the first codes


def test_the_unknown_start_at_zero_and_codes_do_not() -> None:
    vectors = columns_of(folded(Embedding((1, 5000), width=16), (2,))).vectors
    zero = (vectors == 0).all(1).nonzero().flatten().tolist()
    assert zero == [1, 5002]
    # 80 000 draws: their scale is within 1 % of 1/4 but for a chance of 1e-4
    assert vectors[2:5002].std().item() == pytest.approx(0.25, rel=0.01)


def test_codes_are_rounded() -> None:
    net = folded(Embedding(LEVELS))
    x = rows()
    near = x.clone()
    near[:, [1, 3]] += 0.3
    assert torch.equal(net(x), net(near))


def test_a_missing_code_is_unknown_and_a_missing_number_what_stands_there() -> None:
    net = folded(Embedding(LEVELS))
    x = rows()
    observed = torch.ones_like(x, dtype=torch.bool)
    assert torch.equal(net(x, observed=observed), net(x))
    observed[:, 1] = False
    missing = x.clone()
    missing[:, 1] = -1.0
    assert torch.equal(net(x, observed=observed), net(missing))
    observed[:, 0] = False
    assert torch.equal(net(x, observed=observed), net(missing))


def test_codes_of_any_shape_and_alone() -> None:
    for network in (Embedding((2, 0, 3, 0, 0, 4)), SetEncoder(levels=(2, 0, 3, 0, 0, 4))):
        net = folded(network, (2, 3))
        x = torch.randint(2, (7, 3, 2, 3)).double()
        flat = folded(network, (6,))
        flat.load_state_dict(net.state_dict())
        torch.testing.assert_close(net(x), flat(x.reshape(7, 3, 6)))
    for network in (Embedding((2,)), SetEncoder(levels=(2,)), Embedding((2, 2)), Embedding(())):
        size = len(network.levels) or 4
        net = folded(network, (size,))
        net(torch.ones(3, size, dtype=torch.float64)).sum().backward()
        for key, parameter in net.named_parameters():
            assert parameter.grad.abs().sum() > 0, key


def test_without_codes_it_is_the_network_alone() -> None:
    torch.manual_seed(0)
    plain = folded(MLP((7,)))
    torch.manual_seed(0)
    fronted = folded(Embedding(network=MLP((7,))))
    x = rows()
    assert torch.equal(plain(x), fronted(x))


# ------------------------------------------------------------------------------------------- sets


def front_by_hand(net: Folded, x: Tensor, known: Tensor, *, mean: bool) -> Tensor:
    """The pooled vectors, entry by entry in plain Python, of the known ones alone."""
    front = net.network.front
    vectors = front.columns.vectors
    pooled = []
    for row, which in zip(x, known, strict=True):
        made = []
        for at, number in ((0, 0), (2, 1)):
            if which[at]:
                made.append(front.slope[number] * row[at] + front.shift[number])
        for at, start in ((1, 0), (3, 4)):
            if which[at]:
                made.append(vectors[start + int(row[at])])
        acted = [vector / (1.0 + torch.exp(-vector)) for vector in made]  # silu
        total = sum(acted, torch.zeros(front.slope.shape[1], dtype=torch.float64))
        pooled.append(total / max(len(acted), 1) if mean else total / 2.0)
    return torch.stack(pooled)


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_the_output_is_that_of_the_known_entries(pooling: Any) -> None:
    net = folded(SetEncoder(3, pooling=pooling, levels=LEVELS, network=GatedMLP((6,))))
    x = rows(16)
    known = torch.tensor([[bool(n >> at & 1) for at in range(4)] for n in range(16)])
    pooled = front_by_hand(net, x, known, mean=pooling == "mean")
    torch.testing.assert_close(net(x, observed=known), net.network.network(pooled))
    everything = front_by_hand(net, x, torch.ones_like(known), mean=pooling == "mean")
    torch.testing.assert_close(net(x), net.network.network(everything))


@pytest.mark.parametrize("filled", [0.0, 1.0, -1e4, 1e30, math.nan, math.inf])
@pytest.mark.parametrize("network", [SetEncoder(5), SetEncoder(5, levels=LEVELS)], ids=repr)
def test_what_stands_in_the_place_of_the_missing_does_not_matter(
    network: Any, filled: float
) -> None:
    """Bit for bit, value and gradient, and it gets no gradient itself."""
    net = folded(network)
    x = rows(40)
    observed = torch.rand(40, 4, generator=torch.Generator().manual_seed(1)) < 0.5

    def measured(value: Tensor) -> list[Tensor]:
        net.zero_grad()
        value = value.clone().requires_grad_()
        output = net(value, observed=observed)
        output.square().sum().backward()
        assert (value.grad[~observed] == 0).all()
        return [output.detach(), value.grad, *(p.grad.clone() for p in net.parameters())]

    for here, there in zip(measured(x), measured(torch.where(observed, x, filled)), strict=True):
        assert torch.equal(here, there)


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_the_order_of_entries_plays_no_part(pooling: Any) -> None:
    """Entries in another order, with the vectors that tell them apart, give the same output."""
    net, twin = (folded(SetEncoder(5, pooling=pooling, network=MLP((6,)))) for _ in range(2))
    twin.load_state_dict(net.state_dict())
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        for name in ("slope", "shift"):
            parameter = getattr(twin.network.front, name)
            parameter.copy_(parameter[order])
    x, observed = rows(), torch.rand(6, 4) < 0.5
    torch.testing.assert_close(
        twin(x[:, order], observed=observed[:, order]), net(x, observed=observed)
    )
    assert not torch.allclose(
        net(x[:, order], observed=observed[:, order]), net(x, observed=observed)
    )


def test_how_many_are_known_is_seen_by_the_sum_and_not_by_the_mean() -> None:
    for pooling, sees in (("sum", True), ("mean", False)):
        net = folded(SetEncoder(5, pooling=pooling))
        front = net.network.front
        with torch.no_grad():
            front.slope.zero_()
            front.shift.fill_(1.0)
        x = rows()
        one, two = (torch.arange(4).expand(6, 4) < count for count in (1, 2))
        assert torch.equal(net(x, observed=one), net(x, observed=two)) is not sees
        assert net(x, observed=torch.zeros_like(one)).isfinite().all()


def test_observed_is_folded_and_broadcast_with_x() -> None:
    net = folded(SetEncoder(5), (2, 3))
    x = torch.randn(4, 3, 2, 3, dtype=torch.float64)
    observed = torch.rand(3, 2, 3) < 0.5
    output = net(x, observed=observed)
    for particle in range(4):
        torch.testing.assert_close(net(x[particle], observed=observed), output[particle])
    torch.testing.assert_close(net(x[0, 0], observed=observed[0]), output[0, 0])


# ---------------------------------------------------------------------------------------- in a VAE


def masked(vae: Any, n: int = 12) -> dict[str, Tensor]:
    x = data_for(vae, n)
    return {"x": x, "observed": torch.rand(x.shape) < 0.6}


@pytest.mark.parametrize(
    "network",
    [SetEncoder(6, network=MLP((6,))), Embedding((0, 0, 3), network=MLP((6,)))],
    ids=["SetEncoder", "Embedding"],
)
def test_it_trains_evaluates_and_is_saved(network: Any, tmp_path: Any) -> None:
    vae = small_vae(encoder=network, likelihood=Normal((3,)), shape=(3,))
    batch = masked(vae)
    loss = ELBO()(vae.model, vae.guide)
    optimizer = torch.optim.Adam(vae.parameters(), lr=0.02)

    def bound() -> Tensor:
        torch.manual_seed(1)
        return loss(**batch)

    before = bound().item()
    for _ in range(20):
        optimizer.zero_grad()
        bound().backward()
        optimizer.step()
    assert bound().item() < before
    pyrovae.save(vae, tmp_path / "model")
    there = pyrovae.evaluate(pyrovae.load(tmp_path / "model"), batch, samples=200)
    assert there.log_prob == pyrovae.evaluate(vae, batch, samples=200).log_prob


def test_q_of_a_vae_is_that_of_the_known_entries() -> None:
    vae = small_vae(encoder=SetEncoder(6), likelihood=Normal((3,)), shape=(3,))
    batch = masked(vae)
    q = vae.encode(**batch)
    other = vae.encode(batch["x"] + (~batch["observed"]) * 7.0, observed=batch["observed"])
    assert torch.equal(q.mean, other.mean)
    assert not torch.equal(q.mean, vae.encode(batch["x"]).mean)


@pytest.mark.parametrize("name", ["SetEncoder", "Embedding"])
def test_the_recorded_step_of_masked_codes_is_the_eager_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "compiled_graph", lambda graph, inputs: graph)
    inner = MLP((6,), normalization="batch")
    network = {
        "SetEncoder": SetEncoder(6, levels=(0, 0, 3), network=inner),
        "Embedding": Embedding((0, 0, 3), network=inner),
    }[name]
    vae = small_vae(encoder=network, likelihood=Normal((3,)), shape=(3,)).train()
    batch = masked(vae)
    loss = ELBO()(vae.model, vae.guide)
    made = CompiledLoss(loss)
    found = []
    for call in (loss, made):
        torch.manual_seed(5)
        vae.zero_grad()
        value = call(**batch)
        value.backward()
        found.append([value.detach(), *(p.grad.clone() for p in vae.parameters())])
    assert made.graphs == 1, made.reasons
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there, here)


# ----------------------------------------------------------------------------------- bad arguments


@pytest.mark.parametrize("make", [Embedding, lambda levels: SetEncoder(levels=levels)])
@pytest.mark.parametrize("bad", [(-1,), (2.0,), (True,), "ab", None, ((3,),), (2**31,)])
def test_levels_that_are_none(make: Any, bad: Any) -> None:
    with pytest.raises(ValueError, match="expects levels to be whole numbers"):
        make(bad)


@pytest.mark.parametrize("network", [Embedding(LEVELS), SetEncoder(levels=LEVELS)], ids=repr)
@pytest.mark.parametrize("shape", [(3,), (5,), (4, 2)])
def test_levels_for_other_columns_name_both(network: Any, shape: Any) -> None:
    with pytest.raises(ValueError, match=r"levels for 4 columns, and its input of shape .* has "):
        folded(network, shape)


def test_what_cannot_stand_behind_a_front() -> None:
    with pytest.raises(ValueError, match="let it be the outer one"):
        folded(Embedding(network=SetEncoder()))
    with pytest.raises(TypeError, match=r"built int; expected a torch.nn.Module"):
        folded(SetEncoder(network=lambda i, o: 3))
    with pytest.raises(ValueError, match="expects width to be positive"):
        Embedding(width=0)
    with pytest.raises(ValueError, match="expects pooling to be 'sum' or 'mean'; got 'max'"):
        SetEncoder(pooling="max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="SetEncoder expects an activation"):
        SetEncoder(activation="sine")  # type: ignore[arg-type]


def test_a_module_may_be_built_by_anyones_function_behind_a_front() -> None:
    net = folded(Embedding(LEVELS, width=3, network=lambda i, o: nn.Linear(*i, *o)))
    assert net(rows()).shape == (6, 5)
