"""A compiled evaluation gives the numbers of an eager one, and only where it is worth it."""

import warnings
from typing import Any

import pytest
import torch
from cases import FAMILIES, NETWORKS, data_for, randomized, small_vae
from torch import Tensor, nn

import pyrovae
from pyrovae.evaluation import evaluate, log_prob, scoring
from pyrovae.models import Pair, decoded

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")

IMAGES = ("Conv", "ResNet")  # the names of what goes from an image or to one

ROWS: list[dict[str, Any]] = [
    *({"likelihood": name} for name in FAMILIES),
    *({"decoder": name} for name in NETWORKS if not name.startswith(IMAGES)),
    {"decoder": "Conv", "shape": (1, 8, 8)},
    {"decoder": "ResNet batch", "shape": (1, 5, 7)},
]


@pytest.fixture
def recorded_only(monkeypatch: pytest.MonkeyPatch) -> list[list[torch.Size]]:
    """Run what is recorded as it is, without the compiler; return the shapes it was recorded at."""
    shapes: list[list[torch.Size]] = []

    def compiled_graph(graph: Any, inputs: list[Tensor], *, patterns: bool) -> Any:
        shapes.append([tensor.shape for tensor in inputs])
        return graph

    monkeypatch.setattr(scoring, "compiled_graph", compiled_graph)
    return shapes


def made(row: dict[str, Any]) -> pyrovae.VAE:
    networks = {"decoder": NETWORKS[row["decoder"]].make()} if "decoder" in row else {}
    return randomized(small_vae(**{**row, **networks}), spread=0.2)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_part_scores_the_same(
    row: dict[str, Any], recorded_only: list[Any], *, masked: bool
) -> None:
    vae = made(row)
    batch = {"x": data_for(vae)}
    if masked:
        batch["observed"] = torch.rand(batch["x"].shape) < 0.7
    there = evaluate(vae, batch, samples=40, compile=True).to_dict()
    assert recorded_only
    here = evaluate(vae, batch, samples=40, compile=False).to_dict()
    assert there.keys() == here.keys()
    for name, value in here.items():
        if value is None:
            assert there[name] is None
        else:
            assert there[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name


def test_what_the_compiler_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "_ROWS", 32)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    vae = made({})
    x = data_for(vae)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        there = log_prob(vae, x, samples=70, compile=True)
    torch.testing.assert_close(there, log_prob(vae, x, samples=70, compile=False))


def test_parts_of_odd_sizes_are_left_as_they_are(
    monkeypatch: pytest.MonkeyPatch, recorded_only: list[Any]
) -> None:
    monkeypatch.setattr(decoded, "_ROWS", 12)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    vae = made({})
    x = data_for(vae)[:4]
    there = log_prob(vae, x, samples=100, compile=True)  # in parts of three draws, and one of one
    assert [shapes[0] for shapes in recorded_only] == [(3, 4, *vae.prior.event_shape)]
    torch.testing.assert_close(there, log_prob(vae, x, samples=100, compile=False))


def test_by_itself_it_is_compiled_where_that_is_worth_it(
    monkeypatch: pytest.MonkeyPatch, recorded_only: list[Any]
) -> None:
    vae = made({})
    x = data_for(vae)
    evaluate(vae, x, samples=30)
    assert not recorded_only
    weights = sum(parameter.numel() for parameter in vae.decoder_network.parameters())
    monkeypatch.setattr(scoring, "WORTHWHILE", 2.0 * weights * len(x) * 30)
    evaluate(vae, x, samples=29)
    assert not recorded_only
    evaluate(vae, x, samples=30)
    assert recorded_only
    pair = Pair(vae)
    assert scoring.scoring(pair, "auto", draws=None) is None
    assert scoring.scoring(pair, compile := False, draws=10**12) is None, compile
    assert scoring.scoring(Pair((vae.model, vae.guide)), "auto", draws=10**12) is None


def test_weights_that_were_changed_count() -> None:
    """Nothing compiled for one evaluation is left to the next."""
    vae = made({})
    x = data_for(vae)
    before = log_prob(vae, x, samples=20, compile=True)
    randomized(vae, seed=8)
    after = log_prob(vae, x, samples=20, compile=True)
    torch.testing.assert_close(after, log_prob(vae, x, samples=20, compile=False))
    assert not torch.allclose(before, after)


class Reading(nn.Module):
    """A network that reads its values, so that it cannot be recorded."""

    def __init__(self, inputs: int, outputs: tuple[int, ...]) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs[0])

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z) * (2.0 if z.sum().item() > 1e9 else 1.0)


def test_what_cannot_be_recorded_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = small_vae(shape=(6,), decoder=lambda i, o: Reading(*i, o))
    x = data_for(vae)
    here = log_prob(vae, x, samples=20, compile=False)
    with pytest.warns(UserWarning, match="the evaluation is not compiled: .* reads a tensor"):
        assert torch.equal(log_prob(vae, x, samples=20, compile=True), here)
    monkeypatch.setattr(scoring, "WORTHWHILE", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(log_prob(vae, x, samples=20), here)


def test_a_word_that_is_no_choice() -> None:
    with pytest.raises(ValueError, match="compile expects True, False or 'auto'; got 'yes'"):
        evaluate(made({}), data_for(made({})), compile="yes")  # type: ignore[arg-type]
