"""Features: the trained model below a model of features, named by its run folder."""

from collections.abc import Iterable
from typing import Any

from pyrovae.cli.errors import UsageError
from pyrovae.cli.run_folder import find_run
from pyrovae.cli.settings import unlinked
from pyrovae.config import arguments, find_class, to_tree
from pyrovae.data import Source
from pyrovae.models import VAE, Model
from pyrovae.saving import load

FEATURES, LIKELIHOOD = "features", "likelihood"


def with_features(tree: dict[str, Any], *, allow: Iterable[str]) -> dict[str, Any]:
    """Return a run's tree with the tree of the trained model that its own is of the features of.

    The likelihood of x is that model's too, and stands beside it until the data have been linked.

    Raises:
        UsageError: no run is named where the model needs one, or one where it takes none.
        OSError, TypeError, ValueError: there is no trained model in the folder.
    """
    model, folder = tree["model"], tree[FEATURES]
    name = model["class_path"].rpartition(".")[2]
    if FEATURES not in arguments(find_class(model["class_path"], allow=allow)):
        if folder is not None:
            raise UsageError([f"features: a {name} is of x itself and takes none; got {folder!r}"])
        return tree
    if folder is None:
        raise UsageError(
            [
                f"features: a {name} is of the features that a trained VAE finds; train one first, "
                f"and name its run folder by --features RUN"
            ]
        )
    below = _trained(folder, allow)
    given = {FEATURES: to_tree(below), LIKELIHOOD: to_tree(below.likelihood)}
    return {**tree, "model": {**model, "init_args": {**model["init_args"], **given}}}


def settings_to_keep(tree: dict[str, Any], source: Source) -> dict[str, Any]:
    """Return a run's tree without what its data and its features fill in again."""
    if tree[FEATURES] is None:
        return unlinked(tree, source)
    model = tree["model"]
    likelihood = model["init_args"][FEATURES]["init_args"][LIKELIHOOD]
    given = {**model["init_args"], LIKELIHOOD: likelihood}
    kept = unlinked({**tree, "model": {**model, "init_args": given}}, source)
    rest = {n: v for n, v in kept["model"]["init_args"].items() if n not in (FEATURES, LIKELIHOOD)}
    return {**kept, "model": {**kept["model"], "init_args": rest}}


def take_features(model: Model, tree: dict[str, Any], *, allow: Iterable[str]) -> None:
    """Give a new model of features the weights of the trained model below."""
    below: Any = getattr(model, FEATURES, None)
    if tree[FEATURES] is not None and below is not None:
        trained = _trained(tree[FEATURES], allow)
        below.to(dtype=next(iter(trained.parameters())).dtype)
        below.load_state_dict(trained.state_dict())


def _trained(folder: str, allow: Iterable[str]) -> VAE:
    model = load(find_run(folder).model, allow=allow)
    if not isinstance(model, VAE):
        raise UsageError(
            [f"features: expected the run of a VAE; {folder} has {type(model).__name__}"]
        )
    return model
