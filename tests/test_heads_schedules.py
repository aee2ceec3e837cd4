"""Heads unpack what they ask for; schedules follow their formulas."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import SCHEDULES, scale_of

from pyrovae.context import Context
from pyrovae.declared import Declared, arguments_of
from pyrovae.heads import Head, positive, raw_of
from pyrovae.schedules import Constant, Cosine, Cycle, Ramp, as_schedule

# ---------------------------------------------------------------------------------------- heads


def test_positive_against_the_formula(float64: torch.dtype) -> None:
    raw = torch.linspace(-40.0, 40.0, 81)
    np.testing.assert_allclose(positive(raw).numpy(), scale_of(raw.numpy()), rtol=1e-9)
    np.testing.assert_allclose(
        positive(raw, floor=0.5).numpy(), scale_of(raw.numpy()) + 0.5 - 1e-4, rtol=1e-9
    )


def test_positive_is_finite_in_float32() -> None:
    raw = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], requires_grad=True)
    scale = positive(raw)
    assert scale.dtype == torch.float32
    assert (scale >= 9.99e-5).all()
    scale.log().sum().backward()
    assert raw.grad.isfinite().all()


def test_raw_of_is_the_inverse(float64: torch.dtype) -> None:
    scale = torch.logspace(-3, 6, 40)
    torch.testing.assert_close(positive(raw_of(scale)), scale, rtol=1e-9, atol=0.0)
    assert raw_of(torch.tensor([0.0, 1e-4])).isfinite().all()


@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (0,)])
@pytest.mark.parametrize("event", [(), (4,), (3, 5, 2)])
def test_counts_are_stacked_along_the_first_dimension(batch: Any, event: Any) -> None:
    head = Head(loc=1, logits=3, scale=1)
    out = head.out_shape(event)
    first, *rest = event or (1,)
    assert out == (5 * first, *rest)
    parts = [torch.randn(*batch, *(event or (1,))) for _ in range(5)]
    raw = torch.cat(parts, dim=-len(out))
    unpacked = head.unpack(raw, event)
    shape = (*batch, *event)
    assert torch.equal(unpacked["loc"], parts[0].reshape(shape))
    assert torch.equal(unpacked["scale"], parts[4].reshape(shape))
    stacked = torch.stack([part.reshape(shape) for part in parts[1:4]], -1)
    assert torch.equal(unpacked["logits"], stacked)


def test_a_function_of_the_event_makes_one_flat_vector() -> None:
    head = Head(loc=1, factor=lambda event: (event[0], 2), logits=2)
    assert head.out_shape((3,)) == (15,)
    raw = torch.arange(30.0).reshape(2, 15)
    unpacked = head.unpack(raw, (3,))
    assert torch.equal(unpacked["loc"], raw[:, :3])
    assert torch.equal(unpacked["factor"], raw[:, 3:9].reshape(2, 3, 2))
    assert torch.equal(unpacked["logits"], raw[:, 9:].reshape(2, 2, 3).movedim(1, -1))


@pytest.mark.parametrize("size", [0, -1, 1.0, "1", None])
def test_bad_size(size: Any) -> None:
    with pytest.raises(ValueError, match=rf"for 'loc'; got {size!r}"):
        Head(loc=size)


@pytest.mark.parametrize("wrong", [(5,), (3, 7), (), (8, 1)])
def test_wrong_raw_shape_names_both(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expects raw numbers") as raised:
        Head(loc=1, scale=1).unpack(torch.zeros(wrong), (4,))
    assert "[..., 8]" in str(raised.value)
    assert str(wrong) in str(raised.value)


def test_an_image_without_its_channel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[\.\.\., 2, 5, 5\].*\(5, 5\)"):
        Head(loc=1, scale=1).unpack(torch.zeros(5, 5), (1, 5, 5))


def test_context_is_frozen_and_by_keyword() -> None:
    with pytest.raises(AttributeError):
        Context().observed = torch.ones(1)
    with pytest.raises(TypeError):
        Context(torch.ones(1))


# ------------------------------------------------------------------------------------- declared


class Forgetful(Declared):
    def __init__(self, kept: int, lost: int) -> None:
        self.kept = kept


class Variadic(Declared):
    def __init__(self, *values: int) -> None:
        self.values = values


def test_arguments_that_were_not_kept_are_named() -> None:
    with pytest.raises(
        AttributeError, match=r"Forgetful does not keep .*'lost'.*self\.lost = lost"
    ):
        arguments_of(Forgetful(1, 2))
    with pytest.raises(AttributeError, match=r"Variadic takes \*values"):
        arguments_of(Variadic(1))
    assert repr(Forgetful(1, 2)) == "Forgetful(1, ...)"


# ------------------------------------------------------------------------------------ schedules


def _line(t: int) -> float:
    return min(1.0, max(0.0, (t - 3) / 10))


FORMULAS = {
    "Constant": lambda t: 0.25,
    "Ramp": lambda t: 0.2 + 1.2 * _line(t),
    "Cosine": lambda t: 1.4 - 1.2 * (1 + math.cos(math.pi * _line(t))) / 2,
    "Cycle": lambda t: 0.2 + 1.2 * min(1.0, (t % 8) / 6),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_follows_its_formula(name: str, float64: torch.dtype) -> None:
    schedule = SCHEDULES[name].make()
    for step in [*range(30), 10**6, 10**9]:
        value = schedule(torch.tensor(step))
        assert value.shape == ()
        assert value.dtype == torch.float64
        assert value.item() == pytest.approx(FORMULAS[name](step), abs=1e-9)
    last = {"Constant": 0.25}.get(name, 1.4)
    assert schedule.final == last


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_in_float32(name: str) -> None:
    schedule = SCHEDULES[name].make()
    for step in range(20):
        value = schedule(torch.tensor(step))
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(FORMULAS[name](step), rel=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_does_not_read_the_step(name: str) -> None:
    """On the meta device there is nothing to read: a look at the step's value would raise."""
    step = torch.zeros((), dtype=torch.int64, device="meta")
    assert SCHEDULES[name].make()(step).shape == ()


def test_as_schedule_and_equality() -> None:
    ramp = Ramp(0, 1, steps=5)
    assert as_schedule(ramp) is ramp
    assert as_schedule(2) == Constant(2.0)
    assert Ramp(0, 1, steps=5) == ramp
    assert hash(Ramp(0, 1, steps=5)) == hash(ramp)
    assert Ramp(0, 1, steps=6) != ramp
    assert Cosine(0, 1, steps=5) != ramp


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "1", None, True, [1.0]], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda v: Constant(v),
        lambda v: Ramp(v, 1.0),
        lambda v: Ramp(0.0, v),
        lambda v: Cosine(v, 1.0),
        lambda v: Cosine(0.0, v),
        lambda v: Cycle(v, 1.0),
        lambda v: Cycle(0.0, v),
        lambda v: Cycle(fraction=v),
        lambda v: as_schedule(v),
    ],
)
def test_bad_values(make: Any, bad: Any) -> None:
    with pytest.raises(ValueError, match="expects a finite"):
        make(bad)


@pytest.mark.parametrize("bad", [-1, 1.5, "3", None, True], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda v: Ramp(steps=v),
        lambda v: Ramp(delay=v),
        lambda v: Cosine(steps=v),
        lambda v: Cosine(delay=v),
        lambda v: Cycle(period=v),
    ],
)
def test_bad_step_counts(make: Any, bad: Any) -> None:
    with pytest.raises(ValueError, match="to be an integer of at least"):
        make(bad)


@pytest.mark.parametrize("call", [lambda: Ramp(steps=0), lambda: Cycle(period=0)])
def test_zero_lengths(call: Any) -> None:
    with pytest.raises(ValueError, match="at least 1; got 0"):
        call()


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5])
def test_cycle_fraction(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"fraction in \(0, 1\]"):
        Cycle(fraction=fraction)
