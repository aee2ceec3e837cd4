"""Outline: the names and shapes of a model's tensors, found out before there is memory for them.

A configuration of a few words can ask for more weights than any machine holds. Built on torch's
`meta` device, a model has shapes and no numbers, and costs nothing.
"""

import os
from typing import Any

import torch
from torch import Tensor

from pyrovae.config import from_tree
from pyrovae.config.names import HOME
from pyrovae.models import Model
from pyrovae.scopes import validation


def outline(tree: Any, *, path: str = "model") -> dict[str, Tensor] | None:
    """Return the state that the model of a tree would have, in tensors without numbers.

    Arguments:
        tree: the tree of a model, as `to_tree` returns it.
        path: what it is called in errors.

    Returns:
        The tensors by name; None where the tree names classes outside pyrovae. To allow those is
        to trust them, and their constructors may not be made for being called twice.

    Raises:
        TypeError: the tree describes no model.
        ValueError: a class or an argument is unknown, the parts do not fit one another, or the
            weights are more than the memory of this machine.

    Example:
        >>> from pyrovae.config import to_tree
        >>> from pyrovae.likelihoods import Bernoulli
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> from pyrovae.models import VAE
        >>> vae = VAE(prior=StandardNormal(2), likelihood=Bernoulli((5,)),
        ...           posterior=MeanFieldNormal(), encoder=MLP(()), decoder=MLP(()))
        >>> list(outline(to_tree(vae))["decoder_network.network.1.weight"].shape)
        [5, 2]
    """
    if not _ours(tree):
        return None
    checks = validation(enabled=False)  # they look at numbers
    with torch.random.fork_rng(devices=[]), torch.device("meta"), checks:
        model: Model = from_tree(tree, expected=Model, path=path)
    state = model.state_dict()
    needed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    memory = _memory()
    if memory is not None and needed > memory:
        raise ValueError(
            f"{path}: its weights take {needed / 2**30:,.1f} GiB, and this machine has "
            f"{memory / 2**30:,.1f} GiB of memory: make its networks smaller"
        )
    return state


def _ours(tree: Any) -> bool:
    """Return whether a tree names only what lies in pyrovae."""
    if isinstance(tree, dict):
        paths = [tree[key] for key in ("class_path", "function") if key in tree]
        own = all(str(path).startswith(f"{HOME}.") for path in paths)
        return own and all(map(_ours, tree.values()))
    return not isinstance(tree, list | tuple) or all(map(_ours, tree))


def _memory() -> int | None:
    """Return the bytes of memory of this machine, None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
