"""Clustering: how well clusters that were found agree with classes that are known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyrovae.data import DataLike
from pyrovae.evaluation.asked import held_out
from pyrovae.evaluation.classifying import known_labels, seen
from pyrovae.evaluation.importance import device_of, evaluating
from pyrovae.models import Pair
from pyrovae.scopes import random_state

_ROWS = 1000  # of data looked at, at once


@dataclass(frozen=True, kw_only=True)
class Clustering:
    """What `clustering` returns.

    Arguments:
        accuracy: the share of data in the right class, each cluster being given a class of its own
            so that the share is the largest; clusters beyond the number of classes count as wrong.
        accuracy_error: its standard error over data, as a mean over a population.
        nmi: the mutual information of clusters and classes by the mean of their entropies, from 0
            for independent ones to 1.
        ari: the adjusted Rand index: the share of pairs of data on which both agree, less what
            chance would give; 0 for chance, 1 for the same partition.
        classes: for each cluster the class that it was given, -1 for none.
        used: how many clusters have data.
        data: the number of data with a known class.
    """

    accuracy: float
    accuracy_error: float
    nmi: float
    ari: float
    classes: tuple[int, ...]
    used: int
    data: int

    by = "the clusters of the model, each named after the class that it fits best"

    @property
    def headline(self) -> str:
        """The main number in words."""
        return f"clustering accuracy {100.0 * self.accuracy:.1f} %, NMI {self.nmi:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain Python, for JSON."""
        return {
            "clustering_accuracy": self.accuracy,
            "nmi": self.nmi,
            "ari": self.ari,
            "clusters_used": self.used,
        }

    def __str__(self) -> str:
        return (
            f"clustering accuracy {self.accuracy:.4f} +- {self.accuracy_error:.4f}, "
            f"NMI {self.nmi:.4f}, ARI {self.ari:.4f}, of {self.data} data in {self.used} clusters"
        )


def cluster_agreement(model: Any, data: DataLike, *, seed: int = 0) -> Clustering:
    """Return how well the likeliest clusters of data agree with their known classes.

    Arguments:
        model: a model of clusters, whose `classify(x)` is over them.
        data: data with labels; of a source the test split is taken.
        seed: seeds what `classify` draws.

    Raises:
        TypeError: the model has no `classify`.
        ValueError: no label is known.
    """
    if not callable(getattr(model, "classify", None)):
        raise TypeError(
            f"cluster_agreement expects a model with classify(x), such as ClusterVAE; got "
            f"{type(model).__name__}"
        )
    pair, split = Pair(model), held_out(data)
    known_labels(split, "cluster_agreement")
    device = device_of(pair)
    classes, clusters = [], []
    with random_state(seed, device=device), evaluating(pair):
        for batch in split.batches(batch_size=_ROWS, device=device):
            classes.append(batch["y"].cpu())
            clusters.append(model.classify(**seen(batch)).logits.argmax(-1).cpu())
    return clustering(torch.cat(classes), torch.cat(clusters))


def clustering(y_true: Tensor | Sequence[int], assigned: Tensor | Sequence[int]) -> Clustering:
    r"""Return how well clusters agree with classes, whatever the clusters are called.

        accuracy = max over one-to-one maps m of  1/N sum_n [y_n = m(c_n)]

    The map is found by the Hungarian method. It is chosen by the classes themselves, so with few
    data for each cluster the accuracy is too high: chance gives more than 1/K.

    References:
        Kuhn, 1955, The Hungarian method for the assignment problem; Hubert and Arabie, 1985,
        Comparing partitions.

    Arguments:
        y_true: the classes, codes from 0, of shape `[N]`; -1 where unknown, which are left out.
        assigned: the cluster of each datum, likewise.

    Raises:
        ValueError: the two are not of one length, hold what is no code, or no class is known.

    Example:
        >>> found = clustering([0, 0, 1, 1, 1], [2, 2, 0, 0, 2])
        >>> found.accuracy, found.classes
        (0.8, (1, -1, 0))
    """
    from scipy.optimize import linear_sum_assignment  # slow to import
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    classes = _codes("y_true", y_true, least=-1)
    clusters = _codes("assigned", assigned, least=0)
    if len(classes) != len(clusters):
        raise ValueError(
            f"clustering expects one cluster for each datum; got {len(classes)} classes and "
            f"{len(clusters)} clusters"
        )
    known = classes >= 0
    if not bool(known.any()):
        raise ValueError("clustering expects data of known classes; got none")
    classes, clusters = classes[known], clusters[known]
    sizes = int(clusters.max()) + 1, int(classes.max()) + 1
    cells = clusters * sizes[1] + classes
    table = torch.bincount(cells, minlength=math.prod(sizes)).reshape(sizes).numpy()
    rows, columns = linear_sum_assignment(table, maximize=True)
    given = [-1] * sizes[0]
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        given[row] = column if table[row, column] else -1
    count = len(classes)
    accuracy = float(table[rows, columns].sum()) / count
    y, c = classes.numpy(), clusters.numpy()
    return Clustering(
        accuracy=accuracy,
        accuracy_error=math.sqrt(accuracy * (1.0 - accuracy) / count),
        nmi=float(normalized_mutual_info_score(y, c)),
        ari=float(adjusted_rand_score(y, c)),
        classes=tuple(given),
        used=int((table.sum(1) > 0).sum()),
        data=count,
    )


def _codes(name: str, given: Any, *, least: int) -> Tensor:
    """Return whole numbers as int64 on the processor, or raise ValueError."""
    codes = torch.as_tensor(given).detach().cpu()
    whole = not codes.is_complex() and codes.dtype != torch.bool
    if whole and codes.is_floating_point():
        whole = bool((codes.isfinite() & (codes == codes.round())).all())
    if codes.dim() != 1 or not whole or bool((codes < least).any()):
        raise ValueError(
            f"clustering expects {name} to be whole numbers of at least {least}, of shape [N]; "
            f"got {codes.dtype} of shape {list(codes.shape)}"
        )
    return codes.to(torch.int64)
