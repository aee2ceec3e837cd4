"""Saving: a model as a folder of text and tensors, in which nothing can be executed.

`config.yaml` is the model's constructor call, `weights.safetensors` its state, with a note on which
parameters are frozen. Loading compares the shapes that the two ask for, calls the constructor and
fills in the state; nothing is unpickled, and no class outside pyrovae is imported unless the caller
names its package.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyrovae.config import dump, from_tree, read, to_tree
from pyrovae.files import aside, flush, own_file
from pyrovae.models import Model
from pyrovae.outline import outline
from pyrovae.tensor_files import read_shapes, read_tensors, write_tensors

FORMAT = 1
CONFIG = "config.yaml"
WEIGHTS = "weights.safetensors"
FROZEN = "frozen"  # the note that lists the parameters which are not to be trained
_DTYPES = (torch.float32, torch.float64)  # in which a model can be trained and evaluated
_NAMED = 4  # tensors named in an error
_NAME = 200  # characters of a name in it
_SIZES = 10  # numbers of a shape in it


def save(model: Model, folder: str | Path) -> None:
    """Write a model to a folder, from which `load` makes it again.

    The files are written aside and then moved into place, so that a process killed in between
    leaves the earlier model whole.

    Arguments:
        model: a model of `pyrovae.models`, or of your own under the same base.
        folder: where to; it is made where it does not exist.

    Raises:
        TypeError: it is no model, or its state holds something that is no tensor.
        ValueError: a part cannot be named in a text, such as a lambda; the message says which
            argument it is, and what to do. Or a parameter is nan or infinite, or all are of lower
            precision than float32.
        OSError: the folder cannot be written.
    """
    from pyrovae import __version__

    if not isinstance(model, Model):
        raise TypeError(f"save expects a model of pyrovae such as VAE; got {type(model).__name__}")
    config = {"format": FORMAT, "pyrovae": __version__, "model": to_tree(model, path="model")}
    text = dump(config)
    _require_numbers(model, "the model")
    state = _state(model)
    kinds = _kinds(state)
    if len(kinds) == 1 and not kinds <= set(_DTYPES):
        raise ValueError(
            f"the model is in {kinds.pop()}, in which it can be neither trained nor evaluated: "
            f"save it in float32, by model.float()"
        )
    frozen = [name for name, value in model.named_parameters() if not value.requires_grad]
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; save expects a folder")
    target = folder.resolve()  # a link to a folder stays one
    with aside(target) as made:
        (made / CONFIG).write_text(text, encoding="utf-8")
        write_tensors(state, made / WEIGHTS, notes={FROZEN: json.dumps(frozen)})
        for name in (WEIGHTS, CONFIG):
            flush(made / name)
        _place(made, target)


def load(folder: str | Path, *, allow: Iterable[str] = ()) -> Any:
    """Return the model that `save` wrote to a folder, on the CPU and in training mode.

    What was frozen is frozen again. The caller's random state is left as it was.

    Arguments:
        folder: the folder.
        allow: packages beside pyrovae whose classes the model may use. Naming one trusts it: it
            is imported, and what it builds is not looked at before it is built.

    Raises:
        OSError: the folder or a file in it is missing or cannot be read.
        TypeError: the configuration names something that is no part, or not a fitting one.
        ValueError: a file is damaged, of a later format, names a class outside pyrovae and
            `allow`, leads elsewhere, or holds nan, or other tensors than the model; each is named
            with both shapes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no model folder {folder}")
    for name in (CONFIG, WEIGHTS):
        if not os.path.lexists(folder / name):
            raise FileNotFoundError(f"{folder} holds no saved model: {name} is missing")
    config, weights = own_file(folder, CONFIG), own_file(folder, WEIGHTS)
    tree = _checked(read(config), config)
    shapes, notes = read_shapes(weights)
    frozen = _frozen(notes, weights)
    planned = outline(tree)
    if planned is not None:
        _require_shapes(planned, shapes, weights)
    state = read_tensors(weights)
    with torch.random.fork_rng(devices=[]):  # a constructor draws its starting values
        model = from_tree(tree, allow=allow, expected=Model, path="model")
    _fill(model, state, weights)
    _require_numbers(model, weights)
    if frozen is not None:
        _freeze(model, frozen, weights)
    return model


def _state(model: Model) -> dict[str, Tensor]:
    """Return a copy of each tensor, since a file has no room for tensors that share memory."""
    state = {}
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"the state '{name}' is {type(value).__name__}; only tensors are saved: keep it "
                f"as a buffer, or as a constructor argument"
            )
        state[name] = value.detach().to("cpu", copy=True).contiguous()
    return state


def _place(made: Path, folder: Path) -> None:
    """Move a model that is complete to its place, so that a model is there at any moment.

    Weights of the same model take the place of the earlier ones in one step. Another model takes
    the place of the whole folder, or of its two files one by one where others stand beside them.
    """
    files = (WEIGHTS, CONFIG)
    if not folder.exists() or not any(folder.iterdir()):
        made.replace(folder)
        return
    earlier, new = folder / CONFIG, made / CONFIG
    same = not earlier.exists() or earlier.read_bytes() == new.read_bytes()
    if same or any(path.name not in files for path in folder.iterdir()):
        for name in files:
            os.replace(made / name, folder / name)
        return
    with aside(folder) as away:
        folder.replace(away)
        try:
            made.replace(folder)
        finally:
            if not folder.exists():
                away.replace(folder)


def _checked(config: Any, file: Path) -> Any:
    """Return the model's tree out of a configuration, after a look at its format."""
    if not isinstance(config, dict) or "model" not in config:
        raise ValueError(f"{file} does not describe a model: it has no entry 'model'")
    version = config.get("format")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"{file} states no format that could be read: format is {version!r}")
    if version > FORMAT:
        raise ValueError(
            f"{file} has format {version}, written by pyrovae {config.get('pyrovae')}; this one "
            f"reads up to {FORMAT}: install a later pyrovae"
        )
    return config["model"]


def _fill(model: Model, state: dict[str, Tensor], file: Path) -> None:
    """Copy the tensors into the model, after a look at their names, shapes and kinds."""
    _require_shapes(model.state_dict(), {name: value.shape for name, value in state.items()}, file)
    kinds = _kinds(state)
    if len(kinds) == 1 and kinds <= set(_DTYPES):
        model.to(dtype=kinds.pop())  # a model in double precision stays one
    own = model.state_dict()
    _refuse(
        [
            f"'{name[:_NAME]}' is {value.dtype}, expected {own[name].dtype}"
            for name, value in state.items()
            if value.dtype != own[name].dtype
        ],
        file,
    )
    model.load_state_dict(state)


def _require_shapes(
    own: Mapping[str, Tensor], found: Mapping[str, Iterable[int]], file: Path
) -> None:
    """Raise ValueError where a file has other tensors than a model, or of other shapes."""
    problems = [
        f"'{name}' {_shown(own[name].shape)} is missing" for name in own if name not in found
    ]
    problems += [
        f"'{name[:_NAME]}' {_shown(found[name])} is not the model's"
        for name in found
        if name not in own
    ]
    problems += [
        f"'{name}' is {_shown(shape)}, expected {_shown(own[name].shape)}"
        for name, shape in found.items()
        if name in own and tuple(shape) != tuple(own[name].shape)
    ]
    _refuse(problems, file)


def _refuse(problems: list[str], file: Path) -> None:
    """Raise ValueError where there are problems, with the first of them."""
    if problems:
        more = len(problems) - _NAMED
        named = [*problems[:_NAMED], *([f"and {more} more"] if more > 0 else [])]
        raise ValueError(f"{file} does not hold the state of the model: {'; '.join(named)}")


def _shown(shape: Iterable[int]) -> str:
    sizes = list(shape)
    return str(sizes) if len(sizes) <= _SIZES else f"{str(sizes[:_SIZES])[:-1]}, ...]"


def _kinds(state: Mapping[str, Tensor]) -> set[torch.dtype]:
    return {value.dtype for value in state.values() if value.is_floating_point()}


def _frozen(notes: Mapping[str, str], file: Path) -> set[str] | None:
    """Return the names of the frozen parameters, None where an earlier pyrovae noted none."""
    if FROZEN not in notes:
        return None
    try:
        names = json.loads(notes[FROZEN])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged: its list of frozen parameters: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{file} is damaged: its frozen parameters are not a list of names")
    return set(names)


def _freeze(model: Model, frozen: set[str], file: Path) -> None:
    """Let exactly the named parameters require no gradient."""
    parameters = dict(model.named_parameters())
    _refuse(
        [
            f"'{name[:_NAME]}' is frozen and no parameter"
            for name in sorted(frozen - set(parameters))
        ],
        file,
    )
    for name, parameter in parameters.items():
        parameter.requires_grad_(name not in frozen)


def _require_numbers(model: Model, where: object) -> None:
    """Raise ValueError where a parameter or a buffer is nan, or a parameter infinite."""
    parameters = dict(model.named_parameters())
    for name, value in [*parameters.items(), *model.named_buffers()]:
        wrong = ~value.isfinite() if name in parameters else value.isnan()
        if bool(wrong.any()):
            raise ValueError(
                f"{where} holds no usable weights: '{name}' {list(value.shape)} is "
                f"{value[wrong][0].item():g} in {int(wrong.sum())} of {value.numel()} numbers, as "
                f"after a training that failed"
            )
