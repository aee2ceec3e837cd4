"""Trees: an object as the constructor call that makes it, and the object made of the call again.

A tree is in jsonargparse's own format, `{"class_path": ..., "init_args": {...}}`, nested. A
function that stands for a part is `{"function": ...}`. Everything else is plain.
"""

import types
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, get_args, get_origin

from pyrovae.config.names import find_class, find_function, public_path, shown
from pyrovae.config.signature import Argument, arguments, described, missing
from pyrovae.declared import Declared, arguments_of
from pyrovae.memory import is_out_of_memory
from pyrovae.spelling import nearest

DEPTH = 32  # no honest configuration is nested so deeply
LONGEST = 10_000  # characters of a text; a path has a hundred
_SAID = 1000  # characters of what a constructor says is wrong


def to_tree(instance: Any, *, path: str = "") -> Any:
    """Return the plain tree of a declared object, or of a plain value.

    Arguments:
        instance: the object.
        path: what it is called in errors.

    Raises:
        ValueError: it, or one of its arguments, cannot be named in a text; the message says which,
            and what to do.

    Example:
        >>> from pyrovae.priors import VampPrior
        >>> to_tree(VampPrior(50))
        {'class_path': 'pyrovae.priors.VampPrior', 'init_args': {'dim': 50, 'components': 500}}
    """
    if instance is None or isinstance(instance, bool):
        return instance
    if isinstance(instance, str):
        _require_short(instance, path)
        return str(instance)
    if isinstance(instance, int | float):  # a subclass, such as numpy's, becomes the plain number
        return int(instance) if isinstance(instance, int) else float(instance)
    if isinstance(instance, PurePath):
        return to_tree(str(instance), path=path)
    if isinstance(instance, list | tuple):
        return [to_tree(item, path=f"{path}[{at}]") for at, item in enumerate(instance)]
    if isinstance(instance, dict):
        return _tree_of_dict(instance, path)
    if isinstance(instance, Declared):
        return _tree_of_declared(instance, path)
    if isinstance(instance, types.FunctionType):
        return {"function": _named(instance, path)}
    what = f"the class {instance.__name__}" if isinstance(instance, type) else repr(instance)
    hint = f"; write {instance.__name__}(...)" if isinstance(instance, type) else ""
    raise ValueError(
        f"{_where(path)}{what[:80]} cannot be written to a configuration, which holds plain "
        f"values and declared parts{hint or '; subclass the base of its room, such as Network'}"
    )


def _tree_of_dict(given: dict[Any, Any], path: str) -> dict[str, Any]:
    for key in given:
        if not isinstance(key, str) or key in ("class_path", "function"):
            raise ValueError(f"{_where(path)}a configuration cannot hold a dict with key {key!r}")
    return {key: to_tree(item, path=_join(path, key)) for key, item in given.items()}


def _tree_of_declared(instance: Declared, path: str) -> dict[str, Any]:
    class_path = _named(type(instance), path)
    try:
        given = arguments_of(instance)
    except AttributeError as error:
        raise ValueError(f"{_where(path)}{error}") from error
    init_args = {name: to_tree(value, path=_join(path, name)) for name, value in given.items()}
    return {"class_path": class_path, "init_args": init_args}


def _named(thing: type | types.FunctionType, path: str) -> str:
    try:
        return public_path(thing)
    except ValueError as error:
        raise ValueError(f"{_where(path)}{error}") from error


def from_tree(
    tree: Any,
    *,
    allow: Iterable[str] = (),
    expected: type | None = None,
    path: str = "",
) -> Any:
    """Return the object that a plain tree describes.

    Arguments:
        tree: what `to_tree` returned.
        allow: packages beside pyrovae whose classes may be named. Naming one trusts it: it is
            imported.
        expected: the base that the object must have.
        path: what it is called in errors.

    Raises:
        TypeError: a class is not a declared one, or not of the expected base.
        ValueError: a class or an argument is unknown, or the parts refuse the values.

    Example:
        >>> from_tree({"class_path": "pyrovae.priors.VampPrior", "init_args": {"dim": 50}})
        VampPrior(50)
        >>> from_tree({"class_path": "os.system", "init_args": {"command": "echo"}})
        Traceback (most recent call last):
        ValueError: 'os.system' lies outside pyrovae and is not imported; if you trust it, allow \
'os' (allow=('os',), or --allow os)
    """
    names = (allow,) if isinstance(allow, str) else tuple(allow)
    made = _made(tree, names, path, depth=0, expected=expected)
    if expected is not None and not isinstance(made, expected):
        raise TypeError(f"{_where(path)}expected a {expected.__name__}; got {made!r}")
    return made


def _made(
    tree: Any, allow: tuple[str, ...], path: str, *, depth: int, expected: type | None = None
) -> Any:
    if depth > DEPTH:
        raise ValueError(f"{_where(path)}the configuration is nested too deeply")
    if isinstance(tree, str):
        _require_short(tree, path)
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if isinstance(tree, list | tuple):
        return tuple(
            _made(item, allow, f"{path}[{at}]", depth=depth + 1) for at, item in enumerate(tree)
        )
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ValueError(f"{_where(path)}expected a plain value; got {str(tree)[:80]!r}")
    if "class_path" in tree:
        return _made_object(tree, allow, path, depth, expected)
    if "function" in tree:
        try:
            return find_function(_single(tree, "function", path), allow=allow)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{_where(path)}{error}") from error
    return {
        key: _made(item, allow, _join(path, key), depth=depth + 1) for key, item in tree.items()
    }


def _made_object(
    tree: dict[str, Any], allow: tuple[str, ...], path: str, depth: int, expected: type | None
) -> Any:
    class_path = _single(tree, "class_path", path)
    given = {} if tree.get("init_args") is None else tree["init_args"]
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise ValueError(
            f"{_where(path)}init_args must hold arguments by name; got {shown(repr(given))}"
        )
    maker = _found_class(class_path, allow, path, expected)
    signature = arguments(maker)
    for name in given:
        if name not in signature:
            known = ", ".join(signature) or "none"
            raise ValueError(
                f"{_join(path, name[:_SAID])}: {maker.__name__} has no argument {shown(name)}, "
                f"but: {known}{nearest(name[:_SAID], signature)}"
            )
    absent = missing(given, signature)
    if absent:
        raise ValueError(f"{_join(path, absent[0])}: {maker.__name__} needs {', '.join(absent)}")
    made = {
        name: _made_argument(value, signature[name], allow, _join(path, name), depth + 1)
        for name, value in given.items()
    }
    try:
        return maker(**made)
    except Exception as error:  # whatever values from a stranger may do in a constructor
        call = f"{maker.__name__}({', '.join(f'{name}={value!r}' for name, value in made.items())})"
        raise _refusal(error, call, path) from error


def _made_argument(
    value: Any, argument: Argument, allow: tuple[str, ...], path: str, depth: int
) -> Any:
    """Return one argument of a constructor; what does not fit it is refused before it is made."""
    if isinstance(value, dict) and "class_path" in value:
        part = _found_class(_single(value, "class_path", path), allow, path)
        if not argument.takes(part):
            raise TypeError(
                f"{path}: expected {described(argument.annotation)}; got {part.__name__}"
            )
    item = _made(value, allow, path, depth=depth)
    return list(item) if isinstance(item, tuple) and _wants_list(argument.annotation) else item


def _found_class(
    class_path: str, allow: tuple[str, ...], path: str, expected: type | None = None
) -> type:
    try:
        return find_class(class_path, allow=allow, expected=expected)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{_where(path)}{error}") from error


def _refusal(error: Exception, call: str, path: str) -> Exception:
    """Return an error of a constructor with its place, of a kind that callers expect."""
    kinds = (TypeError, OSError, MemoryError, ValueError)  # a subclass may not be made of one text
    kind = next((kind for kind in kinds if isinstance(error, kind)), ValueError)
    if isinstance(error, OSError) and type(error).__module__ == "builtins":
        kind = type(error)
    text = str(error)
    if is_out_of_memory(error) and not isinstance(error, MemoryError):
        kind, text = MemoryError, f"out of memory in {_short(call)}; lower its sizes"
    elif not isinstance(error, kinds):
        text = f"{_short(call)} cannot be made: {type(error).__name__}: {error}"
    return kind(f"{_where(path)}{_short(text)}")


def _short(text: str) -> str:
    return text if len(text) <= _SAID else f"{text[:_SAID]} ..."


def _single(tree: dict[str, Any], key: str, path: str) -> str:
    others = [other for other in tree if other not in (key, "init_args")]
    if others or not isinstance(tree[key], str) or (key == "function" and len(tree) > 1):
        raise ValueError(
            f"{_where(path)}expected {key} and its arguments under init_args; "
            f"got {shown(', '.join(map(str, others)) or str(tree[key]))}"
        )
    return str(tree[key])


def _require_short(text: str, path: str) -> None:
    if len(text) > LONGEST:
        raise ValueError(
            f"{_where(path)}a text of {len(text)} characters is too long for a configuration, "
            f"whose texts have up to {LONGEST}: keep it in a file"
        )


def _wants_list(annotation: Any) -> bool:
    kinds = (annotation, *get_args(annotation))
    return any(kind is list or get_origin(kind) is list for kind in kinds)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _where(path: str) -> str:
    return f"{path}: " if path else ""
