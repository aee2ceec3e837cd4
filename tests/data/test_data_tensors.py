"""Data in memory: order, resumption, isolation, dtypes, and every refusal."""

import numpy as np
import pytest
import torch

from pyrovae.data import Binarize, TensorData


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(count=10, **others):
    return TensorData({"x": torch.arange(count * 3, dtype=torch.uint8).view(count, 3), **others})


def test_batches_in_order_keep_the_smaller_last_one():
    batches = list(small(y=torch.arange(10)).batches(batch_size=4))
    assert [len(batch["x"]) for batch in batches] == [4, 4, 2]
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(10))
    assert torch.cat([batch["y"] for batch in batches]).tolist() == list(range(10))
    assert set(batches[0]) == {"x", "y", "index"} == set(small(y=torch.arange(10)).keys)
    assert batches[0]["index"].dtype == batches[0]["y"].dtype == torch.int64


@pytest.mark.parametrize(("size", "steps"), [(1, 10), (3, 4), (5, 2), (10, 1), (99, 1)])
def test_steps_count_the_batches(size, steps):
    assert small().steps(size) == steps == len(list(small().batches(batch_size=size)))


def test_the_order_is_the_generators_permutation():
    order = torch.randperm(10, generator=generator(4))
    batches = list(small().batches(batch_size=4, generator=generator(4)))
    assert torch.equal(torch.cat([batch["index"] for batch in batches]), order)
    assert torch.equal(
        torch.cat([batch["x"] for batch in batches]), small().tensors["x"][order].float()
    )


def test_start_skips_batches_of_the_same_orders():
    """Two epochs, resumed in the middle of the first, go on as without the break."""
    data, one, two = small(), generator(1), generator(1)
    whole = [list(data.batches(batch_size=3, generator=one)) for _ in range(2)]
    rest = [
        list(data.batches(batch_size=3, generator=two, start=2)),
        list(data.batches(batch_size=3, generator=two)),
    ]
    for left, right in zip([whole[0][2:], whole[1]], rest, strict=True):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert torch.equal(a["index"], b["index"])
            assert torch.equal(a["x"], b["x"])
    assert list(data.batches(batch_size=3, start=4)) == []
    assert list(data.batches(batch_size=3, start=9)) == []


def test_the_order_is_drawn_at_the_call():
    first = generator(2)
    batches = small().batches(batch_size=5, generator=first)
    state = first.get_state()
    list(batches)
    assert torch.equal(first.get_state(), state)


def test_reading_leaves_the_callers_random_state():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    data = TensorData({"x": torch.zeros(9, 2, dtype=torch.uint8)}, transform=Binarize())
    assert torch.equal(torch.get_rng_state(), before[0])  # the transform was asked for its shape
    list(small().batches(batch_size=2, generator=generator()))
    list(data.batches(batch_size=2, start=5))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_batches_never_share_memory_with_the_data():
    x = torch.ones(4, 2)
    data = TensorData({"x": x, "observed": torch.ones(4, 2, dtype=torch.bool)})
    for batch in data.batches(batch_size=4):
        batch["x"].zero_()
        batch["observed"].zero_()
        batch["index"].zero_()
    assert x.eq(1).all()
    assert next(data.batches(batch_size=4))["observed"].all()
    assert next(data.batches(batch_size=4))["index"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16, torch.bool])
def test_integers_come_out_floating(dtype):
    data = TensorData({"x": torch.ones(2, 3).to(dtype)})
    assert next(data.batches(batch_size=2))["x"].dtype == torch.get_default_dtype()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floating_x_keeps_its_dtype(dtype):
    data = TensorData({"x": torch.ones(2, 3, dtype=dtype)})
    assert next(data.batches(batch_size=2))["x"].dtype == dtype


def test_bytes_are_kept_without_a_copy():
    x = np.zeros((4, 3), dtype=np.uint8)
    data = TensorData({"x": x})
    assert data.tensors["x"].dtype == torch.uint8
    assert data.tensors["x"].data_ptr() == x.ctypes.data


def test_arrays_torch_cannot_share_are_copied():
    read_only = np.ones((2, 2))
    read_only.flags.writeable = False
    for array in (read_only, np.ones((4, 2))[::-1], np.ones((2, 2), dtype=">f4")):
        assert TensorData({"x": array}).tensors["x"].eq(1).all()


def test_event_shapes():
    assert TensorData({"x": torch.zeros(5)}).event_shape == ()
    assert TensorData({"x": torch.zeros(5, 1, 2)}).event_shape == (1, 2)
    flat = TensorData(
        {"x": torch.zeros(5, 2, 3)}, transform=lambda batch: {**batch, "x": batch["x"].flatten(1)}
    )
    assert flat.event_shape == (6,)
    assert flat.to("cpu").event_shape == (6,)


def test_missing_entries_become_zero_once():
    x = torch.tensor([[1.0, float("nan")], [5.0, 6.0]])
    observed = torch.tensor([[True, False], [True, False]])
    data = TensorData({"x": x, "observed": observed})
    batch = next(data.batches(batch_size=2))
    assert batch["x"].tolist() == [[1.0, 0.0], [5.0, 0.0]]
    assert batch["observed"].dtype == torch.bool
    assert torch.equal(batch["observed"], observed)
    assert x[1, 1] == 6.0  # the caller's tensor is left alone


NAN = torch.tensor([[1.0, float("nan")]])
MASK = torch.ones(1, 2, dtype=torch.bool)


@pytest.mark.parametrize(
    ("tensors", "error", "said"),
    [
        ({"z": torch.zeros(2)}, ValueError, r"keys x, y, observed; got 'z'"),
        ({"x": torch.zeros(2), "Y": torch.zeros(2)}, ValueError, r"got 'Y'; did you mean 'y'\?"),
        ({"x": torch.zeros(2), "obs": MASK}, ValueError, r"did you mean 'observed'\?"),
        ({"y": torch.zeros(2)}, ValueError, r"need a key 'x'; got the keys \['y'\]"),
        ({"x": torch.zeros(())}, ValueError, r"a first dimension .* got a single number"),
        ({"x": torch.zeros(0, 3)}, ValueError, r"must not be empty; got x of shape \(0, 3\)"),
        ({"x": torch.zeros(2, 0)}, ValueError, r"must not be empty; got x of shape \(2, 0\)"),
        ({"x": [[1.0]]}, TypeError, r"x must be a tensor or a NumPy array; got list.*as_tensor"),
        ({"x": torch.zeros(2) * 1j}, TypeError, r"dense tensor of real numbers; got torch.complex"),
        ({"x": torch.eye(2).to_sparse()}, TypeError, r"use \.to_dense\(\)"),
        ({"x": np.array([[1], [2, 3]], dtype=object)}, TypeError, r"array of objects.*numpy.stack"),
        ({"x": np.array(["a", "b"])}, TypeError, r"got dtype <U1: text has to be encoded"),
        ({"x": np.ma.masked_array([1.0], [True])}, TypeError, r"mask would be lost.*observed"),
        (
            {"x": torch.zeros(3, 2), "y": torch.zeros(2, dtype=torch.int64)},
            ValueError,
            r"same first dimension.*\(3, 2\) and y of shape \(2,\)",
        ),
        (
            {"x": torch.zeros(2), "y": torch.zeros(2, 0)},
            ValueError,
            r"a number for each datum.*0\)",
        ),
        ({"x": torch.zeros(2), "y": ["a", "b"]}, TypeError, r"y must be a tensor.*got list"),
        ({"x": torch.zeros(2), "y": np.array(["a", "b"])}, TypeError, r"y .*got dtype <U1: text"),
        (
            {"x": torch.zeros(2), "y": torch.tensor([[1.0, 2.0], [1.0, float("nan")]])},
            ValueError,
            r"as a whole in each row; got y\[1\] with 1 of 2 numbers NaN",
        ),
        (
            {"x": torch.zeros(2), "y": torch.tensor([float("nan"), -float("inf")])},
            ValueError,
            r"y must be finite.*infinity in y\[1\], and in 1 of 2 rows",
        ),
        (
            {"x": torch.zeros(2), "y": torch.zeros(2, 3, dtype=torch.int64)},
            ValueError,
            r"of shape \[N\], .* got torch.int64 of shape \(2, 3\): one-hot rows .* y\.argmax",
        ),
        (
            {"x": torch.zeros(2), "y": torch.tensor([0, -2])},
            ValueError,
            r"-1 for unlabelled; got -2",
        ),
        ({"x": NAN}, ValueError, r"NaN or infinity in 1 of 2 entries: declare missing entries"),
        ({"x": NAN, "observed": MASK}, ValueError, r"NaN or infinity in 1 of 2"),
        ({"x": torch.tensor([1.0, float("inf")])}, ValueError, r"NaN or infinity"),
        ({"x": NAN, "observed": MASK.float()}, TypeError, r"boolean.*got torch.float32.*\.bool"),
        (
            {"x": NAN, "observed": MASK[:, :1]},
            ValueError,
            r"shape of x, \(1, 2\); got \(1, 1\): widen it with observed\.expand_as",
        ),
    ],
)
def test_refusals(tensors, error, said):
    with pytest.raises(error, match=said):
        TensorData(tensors)


def test_refused_numbers_and_transforms():
    with pytest.raises(ValueError, match=r"batch_size must be at least 1; got 0"):
        small().batches(batch_size=0)
    with pytest.raises(TypeError, match=r"batch_size must be an integer; got 2\.0 \(float\)"):
        small().steps(2.0)
    with pytest.raises(ValueError, match=r"start must be at least 0; got -1"):
        small().batches(batch_size=1, start=-1)
    with pytest.raises(TypeError, match=r"expects transform to map a batch"):
        TensorData({"x": torch.zeros(2)}, transform="binarize")
    with pytest.raises(TypeError, match=r"must return the batch as a dict.*got Tensor"):
        TensorData({"x": torch.zeros(2)}, transform=lambda batch: batch["x"])


def test_repr_says_what_is_held():
    assert repr(small()) == "TensorData({x: uint8[10, 3]}, transform=None)"
