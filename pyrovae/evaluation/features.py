"""Features: the posterior means of data, and a classifier trained on those with known labels (M1).

Nothing here needs a model of labels: a plain VAE gives features, and scikit-learn the classifier.
"""

import warnings
from typing import Any

import torch
from torch import Tensor

from pyrovae.data import Data, DataLike, as_data
from pyrovae.data.labelled import is_known
from pyrovae.evaluation.asked import check_seed, held_out
from pyrovae.evaluation.classification import Classification, of_classes, of_numbers
from pyrovae.evaluation.classifying import BINS, known_labels, seen
from pyrovae.evaluation.importance import device_of, evaluating
from pyrovae.evaluation.latents import posterior
from pyrovae.evaluation.memory import rows_within, within_memory
from pyrovae.models import Model, Pair
from pyrovae.scopes import random_state

MOST = 10_000  # labels that the default classifier is trained on
_BLOCK = 4096  # rows at once
_PENALTY = 10.0  # of a support vector machine's slack, its C
_DRAWS = 100  # whose mean stands for a posterior's where that has no closed form


def feature_classification(
    model: Model,
    train: DataLike,
    test: DataLike,
    *,
    classifier: Any = None,
    seed: int = 0,
) -> Classification:
    """Train a classifier on the posterior means of labelled data, and test it (M1).

    The model never saw a label; the classifier sees those that are known in `train`. By default it
    is a support vector machine with a radial kernel, of C = 10 and a width that follows from the
    variance of all features together, on at most 10 000 labels drawn by the seed; of real numbers
    the same as a regression. Features keep their scale: that of a latent dimension says how much
    it tells about x. No parameter, buffer or random state of the model is changed.

    References:
        Kingma, Rezende, Mohamed and Welling, 2014, arXiv:1406.5298, section 2, the model M1.

    Arguments:
        model: a model with `encode(x)`.
        train: data of which some labels are known.
        test: data to test on, as of `evaluate`.
        classifier: any classifier of scikit-learn, or for real numbers any regression; a copy of it
            is trained on all known labels.
        seed: seeds what is drawn.

    Raises:
        TypeError: the model has no `encode`, or the classifier is none.
        ValueError: no label is known, or the data cannot be scored.

    Example:
        >>> import pyrovae
        >>> from pyrovae.likelihoods import Normal
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = pyrovae.VAE(prior=StandardNormal(2), likelihood=Normal((2,)),
        ...                   posterior=MeanFieldNormal(), encoder=MLP(()), decoder=MLP(()))
        >>> x = torch.tensor([[0.0, 0.0], [5.0, 5.0], [0.1, 0.0], [5.0, 5.1]])
        >>> data = {"x": x, "y": torch.tensor([0, 1, 0, 1])}
        >>> feature_classification(vae, data, data).accuracy
        1.0
    """
    check_seed(seed)
    if not callable(getattr(model, "encode", None)):
        raise TypeError(
            f"feature_classification expects a model with encode(x); got {type(model).__name__}"
        )
    if classifier is not None and not (hasattr(classifier, "fit") and hasattr(classifier, "score")):
        raise TypeError(
            f"classifier expects an unfitted estimator of scikit-learn, such as "
            f"LogisticRegression(); got {classifier!r}"
        )
    device = device_of(Pair(model))
    with random_state(seed, device=device):
        features, labels = labelled_features(model, as_data(train))
        tested, truth = labelled_features(model, held_out(test))
        if classifier is None and len(labels) > MOST:
            kept = torch.randperm(len(labels))[:MOST].sort().values
            features, labels = features[kept], labels[kept]
    regression = labels.is_floating_point()
    estimator, name = _estimator(classifier, labels, regression=regression)
    target = labels.double() if regression else labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's advice on its own settings
        estimator.fit(features.numpy(), target.numpy())
        told = torch.as_tensor(estimator.predict(tested.numpy()))
        logits = None if regression else _logits(estimator, tested, truth)
    about = {"by": f"{name} on posterior means", "trained_on": len(labels)}
    if regression:
        return of_numbers(told.reshape(truth.shape), truth, log_prob=None, inside=None, **about)
    levels = int(torch.cat([labels, truth, told.long()]).max()) + 1
    return of_classes(told.long(), truth, logits=logits, levels=levels, bins=BINS, **about)


def labelled_features(model: Any, data: Data) -> tuple[Tensor, Tensor]:
    """Return the posterior means of the data whose label is known, and their labels.

    It draws from torch's random state where a posterior has no mean in closed form.

    Arguments:
        model: a model with `encode(x)`.
        data: data with labels.

    Returns:
        Features of shape `[N, dimensions]` in float64, and labels.

    Raises:
        ValueError: no label is known, or the data cannot be scored.
    """
    known_labels(data, "feature_classification")
    pair = Pair(model)
    device = device_of(pair)

    def means(budget: int) -> list[tuple[Tensor, Tensor]]:
        with evaluating(pair):
            with torch.random.fork_rng(devices=[]):
                probe = next(data.batches(batch_size=1, device=device))
                pair.check(probe)
                rows = rows_within(
                    lambda rows: _means(
                        model, {k: v.repeat_interleave(rows, 0) for k, v in seen(probe).items()}
                    ),
                    budget=budget,
                )
            found = []
            for batch in data.batches(batch_size=min(rows, _BLOCK), device=device):
                known = is_known(batch["y"])
                if bool(known.any()):
                    some = {name: value[known] for name, value in batch.items()}
                    pair.check(some)
                    found.append((_means(model, seen(some)).cpu(), some["y"].cpu()))
            return found

    parts = within_memory(means)
    if not parts:
        raise ValueError(
            "feature_classification expects a known label at least; all of these are unknown"
        )
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _means(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Return the mean of q(z | x) of each datum, flat, in float64."""
    q = posterior(model, batch)
    try:
        mean = q.mean
    except (NotImplementedError, AttributeError):
        mean = q.sample((_DRAWS,)).mean(0)
    return mean.reshape(len(batch["x"]), -1).double()


def _estimator(given: Any, labels: Tensor, *, regression: bool) -> tuple[Any, str]:
    """Return an estimator to be fitted, and what it is called."""
    if given is not None:
        from sklearn.base import clone

        return clone(given), repr(given)
    if regression:
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.multioutput import MultiOutputRegressor
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVR

        one: Any = SVR(C=_PENALTY)
        one = MultiOutputRegressor(one) if labels.dim() > 1 else one
        scaled = TransformedTargetRegressor(regressor=one, transformer=StandardScaler())
        return scaled, f"SVR(C={_PENALTY:g})"
    if len(labels.unique()) < 2:  # which no support vector machine takes
        from sklearn.dummy import DummyClassifier

        return DummyClassifier(), "the one class that is known"
    from sklearn.svm import SVC

    return SVC(C=_PENALTY), f"SVC(C={_PENALTY:g})"


def _logits(estimator: Any, features: Tensor, truth: Tensor) -> Tensor | None:
    """Return the logarithms of a classifier's probabilities, `[N, levels]`, where it has any."""
    if not hasattr(estimator, "predict_proba"):
        return None
    found = torch.as_tensor(estimator.predict_proba(features.numpy())).double()
    classes = torch.as_tensor(estimator.classes_).long()
    probs = torch.zeros(len(found), int(torch.cat([classes, truth]).max()) + 1, dtype=found.dtype)
    probs[:, classes] = found
    return probs.log()
