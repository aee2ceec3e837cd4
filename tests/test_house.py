"""The rules of the house: who may import whom, how long a file gets, what code may not do.

The rules read the source and not the running package, so that an import inside a function or under
`TYPE_CHECKING` counts like any other.
"""

import ast
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import pyrovae

PACKAGE = Path(pyrovae.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

LINES = 300
BYTES = 15 * 1024

# ------------------------------------------------------------------------------ one-way imports

_COMMON = {"declared", "context", "heads", "numeric", "schedules"}
_PART = _COMMON | {"distributions", "objectives"}
_MODEL = _PART | {"networks", "data", "priors", "likelihoods", "posteriors", "scopes"}
_MODEL |= {"blame", "memory"}
_CONFIG = _MODEL | {"models", "spelling"}
_PARTS = _CONFIG | {"config"}
_OUTLINE = _CONFIG | {"config", "files", "memory", "tensor_files"}
_SAVING = _OUTLINE | {"outline"}
_RUN = _SAVING | {"saving", "launched", "compiling", "distances"}
_REPORT = _RUN | {"training", "evaluation"}
_COMPARISON = _REPORT | {"report"}
_CLI = _COMPARISON | {"comparison", "parts"}

# For each room, or module beside the rooms, the others that it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "declared": set(),
    "context": {"declared"},
    "heads": {"declared", "numeric"},
    "schedules": {"declared", "numeric"},
    "files": {"spelling"},
    "blame": {"memory"},
    "numeric": set(),
    "spelling": set(),
    "memory": set(),
    "launched": set(),
    "tensor_files": set(),
    "scopes": set(),  # for those who run models, not for the parts
    "compiling": {"scopes"},
    "distributions": set(),
    "networks": {"declared", "numeric"},
    "distances": {"declared", "numeric"},
    "objectives": {"declared", "numeric", "schedules", "distances", "networks"},
    "data": {"declared", "numeric", "spelling"},
    "priors": _PART,
    "likelihoods": _PART,
    "posteriors": _PART,
    "models": _MODEL,
    "config": _CONFIG | {"files"},
    "parts": _PARTS,
    "outline": _OUTLINE,
    "saving": _SAVING,
    "training": _RUN,
    "evaluation": _RUN,
    "report": _REPORT,
    "comparison": _COMPARISON,
    "cli": _CLI,
    "__main__": _CLI | {"cli"},
}

# The top level re-exports everything: imported from below it would lead around every rule above.
TOP = "pyrovae"
TOP_IS_FREE_TO = {"__init__", "__main__", "cli"}


def room_of(file: Path) -> str:
    """Return the room that a file belongs to, or its own name if it stands beside the rooms."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(tree: ast.AST, file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and absolute dotted name of everything that a file of the package imports."""
    package = ("pyrovae", *file.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node).split(".")[-1] in {
            "import_module",
            "__import__",
        }:
            names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            yield from ((node.lineno, name) for name in names if isinstance(name, str))


def forbidden_imports(source: str, file: Path) -> list[str]:
    """Return a line of text for each import that the house does not allow in this file."""
    room = room_of(file)
    if room == "__init__":
        return []
    if room not in MAY_IMPORT:
        return [f"{room} is not in MAY_IMPORT: say there what it may import, and who may import it"]
    problems = []
    for line, name in imported_modules(ast.parse(source), file):
        top, _, rest = name.partition(".")
        if top != "pyrovae":
            continue
        target = rest.split(".")[0]
        if target not in MAY_IMPORT:  # a name of the top level, such as VAE
            target = TOP
        allowed = target == room or target in MAY_IMPORT[room]
        if target == TOP:
            allowed = room in TOP_IS_FREE_TO or rest == "__version__"
        if not allowed:
            problems.append(f"line {line}: {room} may not import {target} ({name})")
    return problems


def test_the_table_of_imports_has_no_cycle() -> None:
    finished: set[str] = set()
    while len(finished) < len(MAY_IMPORT):
        ready = {room for room, below in MAY_IMPORT.items() if below <= finished} - finished
        assert ready, f"a cycle among {set(MAY_IMPORT) - finished}"
        finished |= ready


def found_in_files(look: Callable[[Path], list[str]]) -> list[str]:
    """Return what is found in the files of the package, each with its file."""
    return [f"{file.relative_to(PACKAGE)}: {found}" for file in FILES for found in look(file)]


def test_imports_go_one_way() -> None:
    assert FILES
    assert not found_in_files(
        lambda file: forbidden_imports(file.read_text(encoding="utf-8"), file)
    )


@pytest.mark.parametrize(
    ("file", "source", "target"),
    [
        ("priors/bad.py", "from pyrovae.likelihoods import Bernoulli", "likelihoods"),
        ("priors/bad.py", "import pyrovae.networks.mlp as mlp", "networks"),
        ("priors/bad.py", "from pyrovae import models", "models"),
        ("priors/bad.py", "from pyrovae import VAE", "pyrovae"),
        ("priors/bad.py", "import pyrovae", "pyrovae"),
        ("priors/bad.py", "from ..posteriors.normal import MeanFieldNormal", "posteriors"),
        ("priors/bad.py", "from .. import data", "data"),
        ("heads.py", "from .schedules import Ramp", "schedules"),
        ("objectives/bad.py", "def f():\n    from pyrovae.priors import Prior", "priors"),
        (
            "networks/bad.py",
            "if TYPE_CHECKING:\n    from pyrovae.heads import Head",
            "heads",
        ),
        ("training/bad.py", "import_module('pyrovae.evaluation.latents')", "evaluation"),
        ("evaluation/bad.py", "importlib.import_module('pyrovae.training')", "training"),
        ("declared.py", "from pyrovae import context", "context"),
        ("config.py", "from pyrovae.cli.train import main", "cli"),
    ],
)
def test_a_forbidden_import_is_found(file: str, source: str, target: str) -> None:
    problems = forbidden_imports(source, PACKAGE / file)
    assert len(problems) == 1
    assert f"may not import {target} " in problems[0]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("priors/good.py", "from pyrovae.declared import Declared\nfrom .base import Prior"),
        ("models/good.py", "from pyrovae.priors import Prior\nfrom pyrovae import networks"),
        ("training/good.py", "from pyrovae import __version__\nimport torch, pyro.infer"),
        ("cli/good.py", "import pyrovae\nfrom pyrovae import fit\nfrom ..report import figures"),
        ("__init__.py", "from pyrovae.cli import train"),
    ],
)
def test_an_allowed_import_is_left_alone(file: str, source: str) -> None:
    assert not forbidden_imports(source, PACKAGE / file)


def test_a_module_outside_the_table_is_found() -> None:
    assert "not in MAY_IMPORT" in forbidden_imports("", PACKAGE / "helpers.py")[0]


# ------------------------------------------------------------------------------- what code may be


def too_much(file: Path) -> list[str]:
    content = file.read_bytes()
    found = [f"more than {LINES} lines: split it"] * (content.count(b"\n") > LINES)
    return found + [f"more than {BYTES} bytes: split it"] * (len(content) > BYTES)


def test_a_file_holds_one_idea(tmp_path: Path) -> None:
    assert not found_in_files(too_much)
    long, large = tmp_path / "long.py", tmp_path / "large.py"
    long.write_text("#\n" * (LINES + 1))
    large.write_text("#" * (BYTES + 1))
    assert [len(too_much(file)) for file in (long, large)] == [1, 1]


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def _is_mutable(default: ast.expr) -> bool:
    displays = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    if isinstance(default, ast.Call):
        return _called(default) in {"list", "dict", "set", "bytearray", "defaultdict", "deque"}
    return isinstance(default, displays)


def forbidden_code(source: str) -> list[str]:
    """Return a line of text for each thing that code of the package may not do."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        found = None
        if isinstance(node, ast.Assert):
            found = "assert: raise a ValueError or TypeError that says what was expected"
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [alias.name for alias in node.names]
            origin = getattr(node, "module", None)
            roots = {(origin or name).split(".")[0] for name in names}
            if "*" in names:
                found = "star import"
            elif roots & {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}:
                found = "pickle: state is kept in safetensors and text"
            elif origin == "torch" and "load" in names:
                found = "torch.load unpickles: state is kept in safetensors and text"
            elif {"clear_param_store", "PyroModule"} & set(names):
                found = "clear_param_store and PyroModule reach into other people's programs"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            if any(map(_is_mutable, defaults)):
                found = "mutable default: every call would share it"
        elif isinstance(node, ast.Attribute) and node.attr in {"clear_param_store", "PyroModule"}:
            found = f"{node.attr} reaches into other people's programs"
        elif isinstance(node, ast.Call):
            unpickles = any(
                keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
                for keyword in node.keywords
            )
            if _called(node) == "torch.load" or unpickles:
                found = "unpickling runs code: state is kept in safetensors and text"
        if found:
            problems.append(f"line {node.lineno}: {found}")
    return problems


def test_no_forbidden_code() -> None:
    assert not found_in_files(lambda file: forbidden_code(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "source",
    [
        "assert x > 0",
        "from torch import *",
        "import pickle",
        "from joblib import load",
        "from torch import load",
        "import torch\ntorch.load(path, weights_only=True)",
        "numpy.load(path, allow_pickle=True)",
        "pyro.clear_param_store()",
        "from pyro.nn import PyroModule",
        "class Net(pyro.nn.PyroModule): pass",
        "def f(x=[]): pass",
        "def f(*, x={}): pass",
        "f = lambda x=set(): x",
        "async def f(x=dict()): pass",
    ],
)
def test_forbidden_code_is_found(source: str) -> None:
    assert len(forbidden_code(source)) == 1


def test_words_in_a_docstring_are_no_code() -> None:
    assert not forbidden_code('"""Never call torch.load or pickle; assert nothing."""\nf(x=())')


# ------------------------------------------------------------------------------------- docstrings

MODULES = [info.name for info in pkgutil.walk_packages([str(PACKAGE)], "pyrovae.")]


def undocumented(module: object) -> Iterator[str]:
    """Yield each public class, function, method and property of a module without a docstring.

    A method may leave the words to the parent whose method it overrides.
    """
    name = module.__name__  # type: ignore[attr-defined]
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        if inspect.isclass(value):
            if not value.__doc__:
                yield key
            for member, kept in vars(value).items():
                if member.startswith("_"):
                    continue
                described = inspect.isroutine(kept) or isinstance(kept, property)
                if described and not inspect.getdoc(getattr(value, member)):
                    yield f"{key}.{member}"
        elif inspect.isfunction(value) and not value.__doc__:
            yield key


def test_what_is_public_is_documented() -> None:
    modules = [import_module(name) for name in MODULES]
    assert len(modules) > 1
    assert not [module.__name__ for module in modules if not module.__doc__], "no docstring"
    assert not [f"{module.__name__}.{key}" for module in modules for key in undocumented(module)]


# ------------------------------------------------------------------------- what an import may do


def run_python(code: str, *arguments: str) -> str:
    """Run code in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


IMPORT_ALL = """
import importlib, json, sys

def import_all(names):
    for name in names:
        importlib.import_module(name)
"""

# Other people's packages do change global state when they are imported. Everything that pyrovae
# loads is therefore loaded before the first look, and what has changed at the second is our doing.
# What that is, a child says that imports pyrovae; torch is loaded before, once for both.
COMPARE = """
import contextlib, os, random, warnings
import numpy, pyro, torch
from torch.distributions import biject_to, kl, transform_to

read, write = os.pipe()
if os.fork() == 0:
    import_all(json.loads(sys.argv[1]))
    roots = ("pyrovae", "__main__")
    with os.fdopen(write, "w") as file:
        json.dump([name for name in sys.modules if name.split(".")[0] not in roots], file)
    os._exit(0)
os.close(write)
with os.fdopen(read) as file:
    others = json.load(file)
for name in others:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)

def settings():
    return {
        "default dtype": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "torch validation": torch.distributions.Distribution._validate_args,
        "pyro settings": pyro.settings.get(),
        "pyro store": list(pyro.get_param_store()),
        "torch random state": torch.get_rng_state().tolist(),
        "numpy random state": str(numpy.random.get_state(legacy=False)),
        "random state": random.getstate(),
        "warning filters": [str(entry) for entry in warnings.filters],
    }

def registered():
    pairs = {key: made for key, made in kl._KL_REGISTRY.items()}
    for registry in (biject_to, transform_to):
        pairs |= {(registry, key): made for key, made in registry._registry.items()}
    return pairs

def is_ours(thing):
    return getattr(thing, "__module__", "").split(".")[0] == "pyrovae"

before, known = settings(), registered()
import_all(json.loads(sys.argv[1]))
after = settings()
changed = [name for name in before if before[name] != after[name]]
captured = [
    str(key)
    for key, made in registered().items()
    if known.get(key) is not made and not any(map(is_ours, key))
]
print(json.dumps({"changed": changed, "captured": captured, "others": others}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """What importing all of pyrovae changes, captures, and loads of other packages."""
    return json.loads(run_python(IMPORT_ALL + COMPARE, json.dumps(MODULES)))


def test_importing_changes_nothing_global(imported: dict[str, list[str]]) -> None:
    """Settings and random states stay; KLs and transforms are registered for own classes only."""
    assert imported["changed"] == []
    assert imported["captured"] == []


@pytest.mark.parametrize("package", ["torchvision", "tensorboard"])
def test_what_few_need_is_imported_only_where_it_is_used(
    package: str, imported: dict[str, list[str]]
) -> None:
    """It loads slowly, may be missing, and a torchvision for another torch does not load at all."""
    assert "torch" in imported["others"]
    assert package not in imported["others"]


def test_importing_the_top_level_alone_loads_no_torch() -> None:
    """So `pyrovae --help` and tab completion answer at once."""
    heavy = "{'torch', 'pyro', 'numpy', 'sklearn', 'lightning_fabric', 'jsonargparse'}"
    printed = run_python(f"import sys, pyrovae; print(sorted({heavy} & set(sys.modules)))")
    assert printed.strip() == "[]"
