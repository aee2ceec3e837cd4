"""Values that are known in some rows, and rows that count by a weight."""

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import pyrovae.models  # noqa: F401  (declares the divergences)
from pyrovae.distributions import Codes, OneHot, PartlyKnown, StraightThroughOneHot, Weighted
from pyrovae.objectives import analytic_kl

KNOWN = torch.tensor([True, False, True])
LOGITS = torch.tensor([[0.3, -1.0], [2.0, 0.5], [0.0, 0.1]], dtype=torch.float64)


def test_enumerated_rows_have_all_mass_on_their_value() -> None:
    q = PartlyKnown(Codes(LOGITS), torch.tensor([1.0, 0.0, 0.0]).double(), KNOWN)
    mass = q.log_prob(q.enumerate_support()).exp()
    expected = torch.stack(
        [torch.tensor([0.0, 1.0]), LOGITS[1].softmax(-1), torch.tensor([1.0, 0])]
    )
    torch.testing.assert_close(mass, expected.double().T, rtol=0.0, atol=0.0)


def test_one_hot_rows_likewise() -> None:
    q = PartlyKnown(OneHot(LOGITS), torch.eye(2)[torch.tensor([1, 0, 0])].double(), KNOWN)
    mass = q.log_prob(q.enumerate_support()).exp()
    torch.testing.assert_close(mass[:, 0], torch.tensor([0.0, 1.0]).double())
    torch.testing.assert_close(mass[:, 1], LOGITS[1].softmax(-1))


@pytest.mark.parametrize("shape", [(), (4,), (5, 2)])
def test_draws_of_known_rows_are_their_value(shape: tuple[int, ...]) -> None:
    value = torch.tensor([[3.0, 4.0], [0.0, 0.0], [5.0, 6.0]])
    base = dist.Normal(torch.zeros(3, 2, requires_grad=True), 1.0).to_event(1)
    q = PartlyKnown(base, value, KNOWN)
    for drawn in (q.sample(shape), q.rsample(shape)):
        assert drawn.shape == (*shape, 3, 2)
        assert torch.equal(drawn[..., KNOWN, :], value[KNOWN].expand(*shape, 2, 2))
        assert (drawn[..., 1, :] != 0.0).all()
    drawn = q.rsample(shape)
    torch.testing.assert_close(q.log_prob(drawn)[..., 1], base.log_prob(drawn)[..., 1])
    assert (q.log_prob(drawn)[..., KNOWN] == 0.0).all()
    assert torch.equal(q.mean[KNOWN], value[KNOWN])
    assert (q.variance[KNOWN] == 0.0).all()
    assert (q.variance[1] == 1.0).all()


def test_no_gradient_reaches_what_known_rows_were_to_follow() -> None:
    logits = LOGITS.clone().requires_grad_()
    value = torch.eye(2, dtype=torch.float64)[torch.tensor([1, 0, 0])]
    q = PartlyKnown(StraightThroughOneHot(logits, 0.5), value, KNOWN)
    weight = torch.tensor([1.0, 2.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(
        (q.rsample() * weight).sum() + q.log_prob(value).sum(), logits
    )
    assert (gradient[KNOWN] == 0.0).all()
    assert (gradient[1] != 0.0).all()


def test_the_divergence_of_a_known_row_is_its_surprise() -> None:
    q = PartlyKnown(Codes(LOGITS), torch.tensor([1.0, 0.0, 0.0]).double(), KNOWN)
    p = Codes(torch.tensor([0.2, -0.4], dtype=torch.float64))
    found = analytic_kl(q, p)
    share = LOGITS[1].softmax(-1)
    expected = torch.stack([-p.logits[1], (share * (share.log() - p.logits)).sum(), -p.logits[0]])
    torch.testing.assert_close(found, expected)
    assert analytic_kl(PartlyKnown(dist.StudentT(3.0).expand([3]), LOGITS[:, 0], KNOWN), p) is None


@pytest.mark.parametrize("batch", [(3,), (2, 3), (2, 1, 3)])
def test_expanded(batch: tuple[int, ...]) -> None:
    value = torch.tensor([1.0, 0.0, 0.0]).double()
    q = PartlyKnown(Codes(LOGITS), value, KNOWN).expand(batch)
    assert q.batch_shape == batch
    assert q.log_prob(value).shape == batch
    assert Weighted(Codes(LOGITS), KNOWN.double()).expand(batch).log_prob(value).shape == batch


def test_weights() -> None:
    weight: Tensor = torch.tensor([2.0, 0.0, 0.5]).double()
    value = torch.tensor([0.0, 1.0, 1.0]).double()
    logits = LOGITS.clone().requires_grad_()
    made = Weighted(Codes(logits), weight)
    score = Codes(LOGITS).log_prob(value)
    torch.testing.assert_close(made.log_prob(value), weight * score)
    (gradient,) = torch.autograd.grad(made.log_prob(value).sum(), logits)
    expected = weight[:, None] * (torch.eye(2).double()[value.long()] - LOGITS.softmax(-1))
    torch.testing.assert_close(gradient, expected)
    assert made.sample((7,)).shape == (7, 3)
