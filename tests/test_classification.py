"""Labels in evaluation: numbers against scikit-learn and SciPy, latents against sums by hand."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from torch import Tensor

from pyrovae.data import Data
from pyrovae.data.base import Epoch
from pyrovae.evaluation import (
    Classification,
    classification,
    evaluate,
    feature_classification,
    score,
    surgery,
)
from pyrovae.evaluation.classification import calibrated, wilson
from pyrovae.evaluation.latents import posterior
from pyrovae.likelihoods import Categorical, Normal
from pyrovae.models import VAE, Classifier, SemiSupervisedVAE
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import ConditionalNormal, StandardNormal

CLASSES, DIM = 3, 2

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


def semi_supervised(**changed: Any) -> SemiSupervisedVAE:
    """A model whose parameters are all drawn, so that nothing holds by symmetry."""
    torch.manual_seed(0)
    parts: dict[str, Any] = {
        "prior": StandardNormal(DIM),
        "likelihood": Normal((4,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
        "target": Categorical((), levels=CLASSES),
        "classifier": MLP((4,)),
    }
    return _drawn(SemiSupervisedVAE(**(parts | changed)))


def classifier(target: Any = None) -> Classifier:
    torch.manual_seed(0)
    target = Categorical((), levels=CLASSES) if target is None else target
    return _drawn(Classifier(likelihood=Normal((4,)), target=target, classifier=MLP((4,))))


def plain() -> VAE:
    torch.manual_seed(0)
    parts = {"prior": StandardNormal(DIM), "likelihood": Normal((4,)), "encoder": MLP((5,))}
    return VAE(posterior=MeanFieldNormal(), decoder=MLP((5,)), **parts)


def _drawn(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.7 * torch.randn_like(parameter))
    return model


def labelled(n: int = 60) -> dict[str, Tensor]:
    """Data of which every fifth has no label."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n, 4, generator=generator)
    y = torch.randint(CLASSES, (n,), generator=generator)
    y[::5] = -1
    return {"x": x, "y": y}


class Numbers(Data):
    """Data whose labels are real numbers, nan where unknown."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape[1:])

    @property
    def keys(self) -> tuple[str, ...]:
        return ("x", "y", "index")

    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        assert epoch.order is not None
        for rows in epoch.order.split(epoch.batch_size):
            yield {"x": self.x[rows], "y": self.y[rows], "index": rows}


# ------------------------------------------------------------------------------------ own labels


@pytest.mark.parametrize("make", [semi_supervised, classifier])
def test_numbers_of_classes_are_those_of_scikit_learn(make: Any) -> None:
    model, data = make(), labelled(200)
    found = classification(model, data)
    known = data["y"] >= 0
    truth = data["y"][known].numpy()
    with torch.no_grad():
        probs = model.classify(data["x"]).logits[known].double().softmax(-1).numpy()
    told = probs.argmax(1)
    assert found.labelled == len(truth) == 160
    assert found.accuracy == pytest.approx(accuracy_score(truth, told), abs=1e-12)
    assert found.error == pytest.approx(1.0 - accuracy_score(truth, told))
    assert found.log_prob == pytest.approx(-log_loss(truth, probs, labels=range(3)), abs=1e-5)
    assert found.confusion is not None
    expected = confusion_matrix(truth, told, labels=range(CLASSES))
    np.testing.assert_array_equal(found.confusion.numpy(), expected)
    assert found.calibration is not None
    right, confidence = calibration_curve(told == truth, probs.max(1), n_bins=15)
    np.testing.assert_allclose(found.calibration.accuracy.numpy(), right, atol=1e-9)
    np.testing.assert_allclose(found.calibration.confidence.numpy(), confidence, atol=1e-5)
    share = found.calibration.count.numpy() / len(truth)
    error = (share * np.abs(right - confidence)).sum()
    assert found.calibration_error == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (7, 9), (9750, 10_000), (40, 40)])
def test_the_interval_is_wilsons(right: int, count: int) -> None:
    expected = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    low, high = wilson(right / count, count)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_certain_and_even_probabilities_have_a_bin() -> None:
    made = calibrated(torch.tensor([0.0, 1.0, 1.0, 0.5]), torch.tensor([0, 1, 0, 1]) > 0, bins=2)
    assert made.count.tolist() == [2, 2]
    assert made.accuracy.tolist() == [0.5, 0.5]


def test_one_label_and_an_absent_class_are_counted() -> None:
    data = labelled(10)
    data["y"] = torch.full((10,), -1)
    data["y"][4] = 2
    found = classification(semi_supervised(), data)
    assert found.labelled == 1
    assert found.confusion is not None
    assert found.confusion.shape == (CLASSES, CLASSES)
    assert found.confusion.sum() == found.confusion[2].sum() == 1


def test_what_cannot_be_held_against_labels_is_refused() -> None:
    data = labelled(10)
    with pytest.raises(TypeError, match="feature_classification can classify by"):
        classification(plain(), data)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a tensor 'y' beside x"):
        classification(semi_supervised(), {"x": data["x"]})
    with pytest.raises(ValueError, match="all of these are unknown"):
        classification(semi_supervised(), {**data, "y": torch.full((10,), -1)})
    with pytest.raises(ValueError, match="classes 0 to 2"):
        classification(semi_supervised(), {**data, "y": torch.full((10,), 3)})


def test_numbers_are_told_with_their_intervals() -> None:
    """Coverage of 4000 draws of q(y | x) itself fails by chance once in 10^6."""
    model = classifier(Normal((), scale="network"))
    x = torch.randn(4000, 4, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(1)
    with torch.no_grad():
        q = model.classify(x)
        y = q.sample()
        mean, scale = q.mean.numpy(), q.stddev.numpy()
    y[::4] = torch.nan
    found = classification(model, Numbers(x, y))
    known = ~y.isnan().numpy()
    truth = y.numpy()[known]
    assert found.labelled == 3000
    assert found.accuracy is None
    assert found.confusion is None
    error = np.sqrt(np.mean((mean[known] - truth) ** 2))
    assert found.rmse == pytest.approx(error, rel=1e-5)
    expected = stats.norm(mean[known], scale[known]).logpdf(truth).mean()
    assert found.log_prob == pytest.approx(expected, abs=1e-4)
    assert found.coverage == pytest.approx(0.9, abs=4.9 * math.sqrt(0.9 * 0.1 / 3000))
    assert found.headline.startswith("RMSE")


def test_json_holds_what_there_is() -> None:
    numbers = classification(semi_supervised(), labelled()).to_dict()
    assert numbers["accuracy_interval"][0] < numbers["accuracy"] < numbers["accuracy_interval"][1]
    assert "rmse" not in numbers
    assert "log_prob" not in numbers  # that is log p(x)
    assert numbers["label_log_prob"] < 0.0
    assert sum(numbers["calibration"]["count"]) == numbers["labelled"] == 48


# -------------------------------------------------------------------------------------- features


def test_features_are_posterior_means_of_known_labels() -> None:
    model, train, test = plain(), labelled(90), labelled(40)
    before = torch.get_rng_state()
    made = LogisticRegression()
    found = feature_classification(model, train, test, classifier=made)
    assert torch.equal(torch.get_rng_state(), before)
    assert not hasattr(made, "classes_")  # a copy was fitted
    parts = []
    for data in (train, test):
        known = data["y"] >= 0
        with torch.no_grad():
            mean = model.encode(data["x"][known]).mean.double().numpy()
        parts += [mean, data["y"][known].numpy()]
    by_hand = LogisticRegression().fit(*parts[:2])
    assert found.accuracy == pytest.approx(by_hand.score(*parts[2:]))
    probs = by_hand.predict_proba(parts[2])
    assert found.log_prob == pytest.approx(-log_loss(parts[3], probs, labels=range(3)), abs=1e-6)
    assert found.trained_on == 72


def test_the_default_tells_what_features_tell() -> None:
    x = torch.cat([torch.zeros(20, 4), torch.full((20, 4), 6.0)])
    x = x + torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    y = torch.arange(40) // 20
    hidden = torch.where(torch.arange(40) % 10 == 0, y, -1)
    found = feature_classification(plain(), {"x": x, "y": hidden}, {"x": x, "y": y})
    assert found.trained_on == 4
    assert found.accuracy == 1.0
    one = feature_classification(plain(), {"x": x[:20], "y": y[:20]}, {"x": x, "y": y})
    assert one.accuracy == 0.5
    assert "the one class" in one.by


def test_numbers_are_told_by_features_too() -> None:
    x = torch.randn(80, 4, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = 50.0 + 3.0 * plain().encode(x).mean[:, 0]
    found = feature_classification(plain(), Numbers(x, y), Numbers(x, y))
    assert found.rmse is not None
    assert found.rmse < 0.4 * float(y.std())


def test_features_need_labels_and_an_estimator() -> None:
    data = labelled(10)
    with pytest.raises(TypeError, match="estimator of scikit-learn"):
        feature_classification(plain(), data, data, classifier="svm")
    with pytest.raises(ValueError, match="all of these are unknown"):
        feature_classification(plain(), {**data, "y": torch.full((10,), -1)}, data)
    with pytest.raises(TypeError, match="encode"):
        feature_classification(classifier(), data, data)


# --------------------------------------------------------------------------------------- latents


@pytest.mark.parametrize("prior", [StandardNormal(DIM), ConditionalNormal(DIM, condition=CLASSES)])
def test_a_label_is_no_latent_dimension(prior: Any) -> None:
    model, data = semi_supervised(prior=prior), labelled(30)
    found = evaluate(model, data, samples=20)
    assert found.kl_per_dimension is not None
    assert len(found.kl_per_dimension) == DIM
    with torch.no_grad():
        q = model.classify(data["x"]).probs.double()
        means = _means_by_hand(model, data["x"])
    beside = (q * (q * CLASSES).log()).sum(-1).mean()  # KL(q(y | x) || p(y))
    assert found.kl == pytest.approx(float(found.kl_per_dimension.sum() + beside), abs=1e-4)
    assert found.active_units == int((means.var(0, correction=0) > 0.01).sum())


@pytest.mark.parametrize("inference", ["relaxed", "score"])
def test_a_drawn_label_is_summed_out_as_well(inference: Any) -> None:
    model, data = semi_supervised(inference=inference), labelled(20)
    both = [evaluate(model, {"x": data["x"], **y}, samples=50) for y in ({}, {"y": data["y"]})]
    assert both[0].log_prob == both[1].log_prob
    assert both[0].kl_per_dimension is not None
    assert len(both[0].kl_per_dimension) == DIM


def _means_by_hand(model: SemiSupervisedVAE, x: Tensor) -> Tensor:
    q = model.classify(x).probs.double()
    each = [model.encode(x, y=y).mean.double() for y in range(CLASSES)]
    return sum(q[:, y : y + 1] * each[y] for y in range(CLASSES))  # type: ignore[return-value]


def test_the_posterior_is_the_mean_over_labels() -> None:
    model, data = semi_supervised(), labelled(7)
    with torch.no_grad():
        q = posterior(model, data)
        assert torch.allclose(q.mean.double(), _means_by_hand(model, data["x"]), atol=1e-5)
        z = torch.randn(7, DIM)
        probs = model.classify(data["x"]).probs
        parts = [model.encode(data["x"], y=y).log_prob(z).exp() for y in range(CLASSES)]
        density = sum(probs[:, y] * part for y, part in enumerate(parts))
        assert torch.allclose(q.log_prob(z).exp(), torch.as_tensor(density), rtol=1e-4)


@pytest.mark.parametrize(
    "prior", [StandardNormal(1), ConditionalNormal(1, condition=CLASSES, hidden=(4,))]
)
def test_surgery_is_of_the_mixture_over_labels(prior: Any) -> None:
    """Against quadrature; fails by chance once in 10^6."""
    model, data = semi_supervised(prior=prior), labelled(12)
    found = surgery(model, data, samples=3000)
    grid = torch.linspace(-40.0, 40.0, 16_001)
    with torch.no_grad():
        q = posterior(model, data)
        log_q = q.log_prob(grid.reshape(-1, 1, 1)).double()  # [points, data]
        codes = torch.eye(CLASSES)
        p = [model._prior(code, None).log_prob(grid.unsqueeze(-1)) for code in codes]
        log_p = torch.stack(p).double().logsumexp(0).unsqueeze(-1) - math.log(CLASSES)
    step = float(grid[1] - grid[0])
    expected = (log_q.exp() * (log_q - log_p)).sum(0).mul(step).mean()
    assert found.kl is not None
    assert found.kl_error is not None
    assert found.kl == pytest.approx(float(expected), abs=4.9 * found.kl_error + 1e-3)
    assert found.kl_of_dimensions is None  # a mixture is no product over dimensions


def test_a_classifier_has_no_log_prob() -> None:
    data = labelled(10)
    for asked in (evaluate, score, surgery):
        with pytest.raises(TypeError, match="a Classifier is a model of y given x"):
            asked(classifier(), data)


def test_the_text_says_what_there_is() -> None:
    found = Classification(labelled=10, by="q(y | x) of X", accuracy=0.975, rmse=None)
    assert "log q" not in str(found)
    whole = classification(semi_supervised(), labelled())
    for words in ("accuracy", "% interval", "log q(y | x)", "calibration error"):
        assert words in str(whole)
