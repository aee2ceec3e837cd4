"""What goes with what: every cell of prior, likelihood and posterior, without training."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import LIKELIHOODS, PAIRS, POSTERIORS, PRIORS, Case, latent_shape
from torch import nn

from pyrovae import parts
from pyrovae.cli.errors import UsageError
from pyrovae.cli.parts import run
from pyrovae.config import of_room
from pyrovae.likelihoods import Bernoulli
from pyrovae.models.fitting import PARTNERS
from pyrovae.parts import Compatibility, compatibilities, compatible, table
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal, VampPrior

DOCS = Path(__file__).parent.parent / "docs"
FOLLOWING = {"VampPrior", "ExemplarPrior"}  # made of posteriors, and so of their kind
CELLS = list(product(PRIORS, POSTERIORS))
Cells = dict[tuple[str, str], Compatibility]
ROWS: dict[str, str] = {}  # a row for each class of likelihood
for _name, _case in LIKELIHOODS.items():
    ROWS.setdefault(type(_case.make((3,))).__name__, _name)


def legal(prior: str, posterior: str) -> bool:
    """What the kinds of z say; a point goes with all that is continuous."""
    p, q = PRIORS[prior], POSTERIORS[posterior]
    if prior in FOLLOWING:
        return True
    if q.point:
        return p.kind in ("vectors", "spikes and slabs")
    return p.kind == q.kind


def looked_at(cells: list[tuple[str, str]]) -> Cells:
    made = {}
    for prior, posterior in cells:
        size = max(set(PRIORS[prior].sizes) & set(POSTERIORS[posterior].sizes))
        made[prior, posterior] = compatible(PRIORS[prior].make(size), POSTERIORS[posterior].make())
    return made


def first_of_each_class(rows: dict[str, Case]) -> list[str]:
    first: dict[type, str] = {}
    for name, case in rows.items():
        first.setdefault(type(case.make()), name)
    return list(first.values())


@pytest.fixture(scope="module")
def found() -> Cells:
    return looked_at(CELLS)


@pytest.fixture(scope="module")
def said() -> list[Compatibility]:
    """What goes with what of all exported parts, found once: a table of it is made from this."""
    return compatibilities()


@pytest.fixture
def said_once(said: list[Compatibility], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "compatibilities", lambda: said)


def test_each_cell_is_legal_or_says_why() -> None:
    """Each two classes by a row of each, and all that trains; every two rows are slow."""
    classes = product(first_of_each_class(PRIORS), first_of_each_class(POSTERIORS))
    check(looked_at(list(dict.fromkeys([*classes, *PAIRS]))))


@pytest.mark.slow
def test_each_two_rows_are_legal_or_say_why(found: Cells) -> None:
    check(found)


def check(found: Cells) -> None:
    for (prior, posterior), cell in found.items():
        if cell.legal:
            assert legal(prior, posterior), cell
            assert not cell.reason
            continue
        assert cell.kl is None
        assert cell.prior in cell.reason, cell
        assert cell.posterior in cell.reason, cell
        if not legal(prior, posterior):
            partners = {part for pair in PARTNERS.values() for part in pair}
            assert any(part in cell.reason.partition(" do not fit")[2] for part in partners), cell
    for pair in PAIRS:
        assert found[pair].legal, found[pair]
    count = sum(cell.legal for cell in found.values())
    print(f"\n{len(found)} pairs of rows: {count} legal, {len(found) - count} refused")


def test_any_likelihood_goes_with_any_pair() -> None:
    """Each likelihood with a pair that draws and one that is enumerated, each pair with one."""
    visited = next(pair for pair in PAIRS if POSTERIORS[pair[1]].make().enumerated)
    cells = {*product(LIKELIHOODS, (PAIRS[0], visited)), *product(["Bernoulli"], PAIRS)}
    for name, (prior, posterior) in sorted(cells):
        part = LIKELIHOODS[name].make((3,))
        size = max(set(PRIORS[prior].sizes) & set(POSTERIORS[posterior].sizes))
        cell = compatible(PRIORS[prior].make(size), POSTERIORS[posterior].make(), part)
        if part.fits_data and (prior, posterior) == visited:
            assert "a closed form of the likelihood" in cell.reason
        else:
            assert cell.legal, cell


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS.values(), ids=ROWS)
def test_every_cell_with_a_likelihood(name: str, found: Cells) -> None:
    """The full product, each cell built as a model; what a pair is alone, it is with any."""
    part = LIKELIHOODS[name].make((3,))
    count = 0
    for prior, posterior in CELLS:
        q = POSTERIORS[posterior].make()
        size = max(set(PRIORS[prior].sizes) & set(POSTERIORS[posterior].sizes))
        cell = compatible(PRIORS[prior].make(size), q, part)
        pair, blind = found[prior, posterior], part.fits_data and q.enumerated
        assert cell.legal == (pair.legal and not blind), cell
        count += cell.legal
        if cell.legal:
            assert legal(prior, posterior), cell
            assert cell.kl == pair.kl, cell
        elif pair.legal:
            assert "a closed form of the likelihood" in cell.reason, cell
        else:
            assert cell.prior in cell.reason, cell
            assert cell.posterior in cell.reason, cell
    print(f"\n{len(CELLS)} pairs with {name}: {count} legal, {len(CELLS) - count} refused")


def test_a_row_stands_for_each_class_of_likelihood() -> None:
    assert set(ROWS) == set(of_room("likelihoods"))


@pytest.mark.usefixtures("said_once")
def test_every_exported_pair_is_in_the_table(said: list[Compatibility]) -> None:
    assert len(said) == len(of_room("priors")) * len(of_room("posteriors"))
    page = table()
    for name in (*of_room("priors"), *of_room("posteriors")):
        assert f"`{name}" in page, name


@pytest.mark.usefixtures("said_once")
def test_the_page_of_the_docs_is_current() -> None:
    page = (DOCS / "what-goes-with-what.md").read_text(encoding="utf-8")
    assert table() in page, "run: python -m pyrovae parts --table, and paste it"


def test_the_parts_given_stay_as_they_are() -> None:
    prior, posterior = StandardNormal(2), MeanFieldNormal()
    before = torch.random.get_rng_state()
    for _ in range(2):
        assert compatible(prior, posterior, Bernoulli((4,))).likelihood == "Bernoulli((4,))"
    assert torch.equal(before, torch.random.get_rng_state())
    assert not hasattr(posterior, "event_shape")
    assert compatible(VampPrior, posterior).prior == "VampPrior(3)"
    mixed = LIKELIHOODS["Mixed"].make((3,))
    for _ in range(2):  # parts in a tuple are made anew as well
        assert compatible(prior, posterior, mixed).legal


@pytest.mark.parametrize("wrong", [nn.Linear(2, 2), nn.Linear, "StandardNormal", None])
def test_what_is_no_part(wrong: Any) -> None:
    with pytest.raises(TypeError, match="compatible expects prior to be a Prior or its class"):
        compatible(wrong, MeanFieldNormal())


@pytest.mark.usefixtures("said_once")
def test_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--table"]) == 0
    assert capsys.readouterr().out == table() + "\n"
    with pytest.raises(UsageError, match="leave out --room"):
        run(["--table", "--room", "priors"])


def test_kinds_have_shapes() -> None:
    assert {case.kind for case in (*PRIORS.values(), *POSTERIORS.values())} <= set(PARTNERS)
    assert latent_shape("one-hot codes", 3) == (1, 3)
