"""Constructor call <-> tree <-> text, and what a hostile tree gets."""

import os
import sys
import types
from pathlib import Path

import pytest
import torch
from cases import ROOMS as ROWS
from torch import nn

from pyrovae import VAE
from pyrovae.config import (
    ROOMS,
    Argument,
    Written,
    arguments,
    choices,
    complete,
    dump,
    from_tree,
    parse,
    public_path,
    read,
    to_tree,
)
from pyrovae.config.text import LARGEST
from pyrovae.data import (
    MNIST,
    Arrays,
    Binarize,
    Compose,
    Digits,
    FashionMNIST,
    Hidden,
    ImageFolder,
    Quadrants,
    Shift,
    SparseCounts,
    Table,
    TorchvisionImages,
    ToUnit,
)
from pyrovae.declared import Declared, arguments_of
from pyrovae.likelihoods import Bernoulli, Likelihood, Normal
from pyrovae.models import Model
from pyrovae.networks import MLP, Builder, Network
from pyrovae.objectives import ELBO, Objective
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import Prior, StandardNormal
from pyrovae.schedules import Constant, Ramp

PARTS = [
    *(case.make() for rows in ROWS.values() for case in rows.values()),
    Normal((4,), scale=1e-3),
    ELBO(beta=Ramp(0, 1, steps=5), kl="sampled", particles=3, free_bits=1e-7),
    Constant(1e-5),
    Digits(valid=10),
    Hidden(MNIST(), share=0.25),
    Quadrants(Digits(), visible=3, fill=-2.0),
    Binarize(),
    Shift(pixels=1),
    Compose(transforms=(Shift(), Binarize())),
    ToUnit(),
    MNIST(root="/nowhere", binarize="none"),
    FashionMNIST(valid=1),
    Table("t.csv", columns={"a": ["x", "1e-3"], "b": {"binary": ["no", "yes"]}}, label="c"),
    Arrays("no: 'such'\nfile.npz", valid=0.25, key="1e-3"),
    SparseCounts("no: 'such'.mtx", vocabulary="words: all.txt", test=0.5),
    TorchvisionImages("EMNIST", size=8, options={"split": "letters", "train": True}),
    ImageFolder("no: 'such' folder/", size=(32, 48), channels=3, binarize="fixed"),
]


def test_every_exported_part_is_in_the_list() -> None:
    assert {type(part) for part in PARTS} >= set(choices(Declared).values())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_a_part_survives_tree_and_text(part: Declared) -> None:
    tree = to_tree(part)
    room = type(part).__module__.split(".")[1]
    assert tree["class_path"] == f"pyrovae.{room}.{type(part).__name__}"
    again = from_tree(parse(dump(tree)))
    assert type(again) is type(part)
    assert repr(again) == repr(part)
    assert to_tree(again) == tree
    if not isinstance(part, VAE):
        kept = arguments_of(part)
        parts = {k for k, v in kept.items() if isinstance(v, Declared) or k == "parts"}
        plain = {k: v for k, v in kept.items() if k not in parts}
        assert {k: v for k, v in arguments_of(again).items() if k in plain} == plain
        assert [type(v) for v in arguments_of(again).values()] == [type(v) for v in kept.values()]


# ------------------------------------------------------------------------------------------- text

VALUES = [0, -7, 10**30, 1e-3, 1e-5, 1e300, 0.1 + 0.2, -0.0, float("inf"), float("-inf"), 5e-324]
WORDS = ["", "1e-3", "1", "true", "null", "~", "no", "2024-01-01", "1:30", "0o7", "010", "<<", "="]
WORDS += ["é", "a: b", "- x", "#", "two\nlines", " x ", ".5", "1.", ".inf", "&a", "*a", "!x", "1_0"]


@pytest.mark.parametrize("value", [*VALUES, *WORDS, True, False, None, [], {}, [[1], {"a": []}]])
def test_a_value_survives_text(value: object) -> None:
    again = parse(dump({"key": value}))["key"]
    assert again == value
    assert type(again) is type(value)


def test_not_a_number_survives_text() -> None:
    assert parse(dump([float("nan")]))[0] != parse(dump([float("nan")]))[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1E5", 1e5), ("+.5", 0.5), ("-1.", -1.0), ("no", "no"), ("", None)],
)
def test_text_by_hand(text: str, value: object) -> None:
    assert parse(f"key: {text}") == {"key": value}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "given twice"),
        ("a: {b: 1, b: 2}", "given twice"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: !!python/object/apply:os.system [ls]", "python/object"),
        ("a: !!python/name:os.system", "python/name"),
        ("? [a, b]\n: 1", "key"),
        ("a: [", "line"),
        ("\x00", "special characters"),
        ("[" * 5000, "deeply"),
        ("9" * 5000, "digits"),
    ],
)
def test_bad_text_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="cannot be read") as caught:
        parse(text, source="there")
    assert said in str(caught.value)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(ValueError, match=f"{LARGEST + 1} bytes"):
        read(file)
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match="no text"):
        read(file)


# ------------------------------------------------------------------------- what cannot be written


class Local(Network):
    """Known by name, as any class of a module that can be imported."""

    def __init__(self, width: int = 3) -> None:
        self.width = width

    def __call__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        return MLP((self.width,))(in_shape, out_shape)


class Forgetful(Network):
    def __init__(self, width: int = 3) -> None:
        pass

    def __call__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        return MLP(())(in_shape, out_shape)


class Listed(Network):
    def __init__(self, sizes: list[int], names: tuple[str, ...] = ()) -> None:
        self.sizes = sizes
        self.names = names

    def __call__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
        return MLP(())(in_shape, out_shape)


class Outer:
    class Inner(Local):
        pass


def build(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
    return MLP((3,))(in_shape, out_shape)


def vae(encoder: Builder) -> VAE:
    return VAE(
        prior=StandardNormal(2),
        likelihood=Bernoulli((4,)),
        posterior=MeanFieldNormal(),
        encoder=encoder,
        decoder=MLP(()),
    )


def local_class() -> Network:
    class Hidden(Local):
        pass

    return Hidden()


def in_main() -> Network:
    made = type("Scripted", (Local,), {"__module__": "__main__"})
    return made()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        (lambda i, o: MLP(())(i, o), "a lambda"),
        (local_class(), "top level of a module"),
        (Outer.Inner(), "top level of a module"),
        (in_main(), "__main__"),
        (Forgetful(), "self.width = width"),
        (Local(nn.Linear(2, 2)), "encoder.width"),  # type: ignore[arg-type]
        (Local(torch.ones(2)), "encoder.width"),  # type: ignore[arg-type]
        (Local(MLP), "write MLP"),  # type: ignore[arg-type]
        (Local({1: 2}), "key 1"),  # type: ignore[arg-type]
        (Local({"class_path": 2}), "class_path"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_named_is_refused_with_its_place(encoder: object, said: str) -> None:
    model = object.__new__(VAE)
    nn.Module.__init__(model)
    for name, value in {"prior": None, "likelihood": None, "posterior": None}.items():
        setattr(model, name, value)
    model.encoder = encoder  # type: ignore[assignment]
    model.decoder = None  # type: ignore[assignment]
    with pytest.raises(ValueError, match="encoder") as caught:
        to_tree(model, path="model")
    assert str(caught.value).startswith("model.encoder")
    assert said in str(caught.value)


# -------------------------------------------------------------------------- other people's classes


def test_a_class_of_ones_own_must_be_allowed() -> None:
    tree = to_tree(vae(Local(5)))
    assert tree["init_args"]["encoder"] == {
        "class_path": f"{__name__}.Local",
        "init_args": {"width": 5},
    }
    with pytest.raises(ValueError, match=r"encoder: .*allow"):
        from_tree(tree)
    made = from_tree(tree, allow=(__name__,))
    assert made.encoder.width == 5
    assert from_tree(tree, allow=__name__.partition(".")[0]).encoder.width == 5


def test_a_function_of_ones_own_must_be_allowed() -> None:
    tree = to_tree(vae(build))
    assert tree["init_args"]["encoder"] == {"function": f"{__name__}.build"}
    with pytest.raises(ValueError, match="allow"):
        from_tree(tree)
    assert from_tree(tree, allow=(__name__,)).encoder is build


def test_lists_and_tuples_are_told_apart_by_the_signature() -> None:
    made = from_tree(to_tree(Listed([1, 2], ("a",))), allow=(__name__,))
    assert made.sizes == [1, 2]
    assert made.names == ("a",)


HOSTILE = [
    {"class_path": "os.system", "init_args": {"command": "true"}},
    {"class_path": "antigravity.geohash"},
    {"class_path": "pyrovaex.evil.Part"},
    {"class_path": "pyrovae"},
    {"class_path": "pyrovae."},
    {"class_path": ".priors.VampPrior"},
    {"class_path": "pyrovae.priors.../os.system"},
    {"class_path": "pyrovae.saving.os.system"},
    {"class_path": "pyrovae.saving.os"},
    {"class_path": "pyrovae.saving.shutil.rmtree", "init_args": {"path": "/nowhere"}},
    {"class_path": "pyrovae.saving.save"},
    {"class_path": "pyrovae.priors.Prior"},
    {"class_path": "pyrovae.priors.prior.nn.Linear"},
    {"class_path": "pyrovae.heads.Head"},
    {"class_path": "pyrovae.config.text.Path", "init_args": {}},
    {"class_path": "pyrovae.priors.StandardNormal.__init__"},
    {"class_path": "pyrovae.priors.StandardNormal", "init_args": {"dim": -1}},
    {"class_path": "pyrovae.priors.StandardNormal", "init_args": {"dim": 10**15}},
    {"class_path": "pyrovae.priors.StandardNormal", "init_args": {"dim": "3"}},
    {"class_path": "pyrovae.priors.StandardNormal", "init_args": {"dim": [1]}},
    {"class_path": "pyrovae.priors.StandardNormal", "init_args": {"self": 3}},
    {"class_path": "pyrovae.priors.StandardNormal", "init_args": [3]},
    {"class_path": "pyrovae.priors.StandardNormal", "init_args": {3: 3}},
    {"class_path": "pyrovae.priors.StandardNormal", "extra": 3},
    {"class_path": ["pyrovae.priors.StandardNormal"]},
    {"function": "os.system"},
    {"function": "pyrovae.saving.save"},
    {"function": "pyrovae.priors.StandardNormal"},
    {"function": 3},
    {3: 4},
    [{3: 4}],
    object(),
    types,
]


@pytest.mark.parametrize("tree", HOSTILE)
@pytest.mark.parametrize("allow", [(), ("shutil_not",)])
def test_a_hostile_tree_is_refused_and_imports_nothing(
    tree: object, allow: tuple[str, ...]
) -> None:
    before = set(sys.modules)
    with pytest.raises((ValueError, TypeError)):
        from_tree(tree, allow=allow)
    assert "antigravity" not in sys.modules
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] != "pyrovae"}


def test_a_trusted_package_still_gives_parts_only() -> None:
    with pytest.raises(TypeError, match="not a declared class"):
        from_tree({"class_path": "os.system", "init_args": {"command": "true"}}, allow=("os",))
    with pytest.raises(TypeError, match="not a function defined in"):
        from_tree({"function": "os.path.join"}, allow=("os",))
    assert os.path.exists(os.devnull)


def test_a_deep_tree_is_refused() -> None:
    tree: object = 1
    for _ in range(5000):
        tree = [tree]
    with pytest.raises(ValueError, match="deeply"):
        from_tree(tree)


def test_errors_name_the_path_and_the_nearest_spelling() -> None:
    tree = to_tree(vae(MLP(())))
    tree["init_args"]["prior"]["init_args"] = {"dims": 3}
    with pytest.raises(ValueError, match=r"prior\.dims: .*did you mean 'dim'"):
        from_tree(tree)
    tree["init_args"]["prior"]["class_path"] = "pyrovae.priors.StandardNorml"
    with pytest.raises(ValueError, match=r"^prior: .*did you mean 'StandardNormal'"):
        from_tree(tree)
    with pytest.raises(ValueError, match=r"event_shape.*Bernoulli needs event_shape"):
        from_tree({"class_path": "pyrovae.likelihoods.Bernoulli"})
    with pytest.raises(TypeError, match="not a Likelihood"):
        from_tree(to_tree(StandardNormal(2)), expected=Likelihood)
    with pytest.raises(TypeError, match="expected a Prior; got 3"):
        from_tree(3, expected=Prior)


def test_the_shortest_public_name() -> None:
    assert public_path(torch.optim.Adam) == "torch.optim.Adam"
    assert public_path(VAE) == "pyrovae.models.VAE"
    assert set(ROOMS) >= {"priors", "likelihoods"}


# --------------------------------------------------------------------------------- a user's tree

SCHEMA = {
    "model": Argument(Model, None),
    "objective": Argument(Objective, None),
    "epochs": Argument(int, 20),
    "clip": Argument(float | None, None),
}


def test_a_short_tree_is_completed() -> None:
    tree, problems = complete(
        {"objective": Written("ELBO", {"beta": Written("Ramp", {"steps": "7"})}), "clip": "1e-3"},
        SCHEMA,
    )
    assert not problems
    assert from_tree(tree["objective"]) is not None
    assert repr(from_tree(tree["objective"])) == "ELBO(beta=Ramp(steps=7))"
    assert (tree["clip"], tree["epochs"]) == (1e-3, 20)


def test_arguments_are_kept_where_the_next_class_has_them() -> None:
    before = Written("VampPrior", {"dim": "5", "components": "3"})
    schema = {"prior": Argument(Prior, None)}
    tree, problems = complete({"prior": Written("StandardNormal", {}, before)}, schema)
    assert not problems
    assert tree["prior"]["init_args"] == {"dim": 5}
    network = {"network": Argument(Network, None)}
    written = Written("Conv", {}, Written("MLP", {"hidden": [3], "activation": "relu"}))
    tree, problems = complete({"network": written}, network)
    assert not problems
    assert tree["network"]["init_args"]["hidden"] == 256
    assert tree["network"]["init_args"]["activation"] == "relu"


def test_every_problem_is_found_at_once() -> None:
    written = {
        "epoch": 3,
        "epochs": "many",
        "clip": [1],
        "model": Written("VAE", {"prior": "VampPrio", "encoder": Written("os.system")}),
        "objective": Written("ELBO", {"kl": "autoo", "beta": "Rmp"}),
    }
    problems = complete(written, SCHEMA)[1]
    paths = [problem.partition(": ")[0] for problem in problems]
    assert set(paths) == {
        "epoch",
        "epochs",
        "clip",
        "model.prior",
        "model.likelihood",
        "model.posterior",
        "model.encoder",
        "model.decoder",
        "objective.kl",
        "objective.beta",
    }
    assert len(paths) == len(set(paths))
    text = "\n".join(problems)
    for nearest in ("'epochs'", "'VampPrior'", "'auto'", "'Ramp'", "--allow os"):
        assert nearest in text


def test_a_callable_beside_a_part_is_a_function_and_no_class_to_choose() -> None:
    encoder = arguments(VAE)["encoder"]
    assert encoder.bases == (Network,)
    assert encoder.plain is type(None)  # which is for a posterior that needs no encoder
    assert "no Network is called 'Linear'" in complete({"n": "Linear"}, {"n": encoder})[1][0]
