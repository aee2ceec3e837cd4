"""Topics: ProdLDA on documents of known topics, beside a unigram model and scikit-learn's LDA.

A document is a bag of words, x, with shares z of its topics. The decoder is one linear map, whose
sum of logits is a product of the topics' experts (Srivastava and Sutton, 2017, arXiv:1703.01488);
latent Dirichlet allocation mixes probabilities instead. The prior is the logistic normal that
approximates a Dirichlet. Batch normalisation without a scale of its own and a high learning rate,
with much momentum, keep all topics in use, as in the article.

The documents are made here, from topics that are known: each mixes a few of them, so the truth is a
latent Dirichlet allocation, and scikit-learn fits the right family.

    python examples/topics.py
"""

import argparse
import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.special import gammaln
from sklearn.decomposition import LatentDirichletAllocation
from torch import nn

import pyrovae
from pyrovae.likelihoods import Multinomial
from pyrovae.posteriors import LogisticNormal
from pyrovae.priors import LogisticNormal as LogisticNormalPrior

Shape = tuple[int, ...]
Array = NDArray[np.float64]

TOPICS = """
oven flour butter recipe sugar dough simmer garlic onion sauce bake taste salt kitchen spoon pepper
orbit comet galaxy telescope planet star lunar eclipse rocket cosmic nebula probe gravity solar dust
goal striker referee league penalty match coach stadium kick defender trophy pass keeper season fans
nurse surgery fever vaccine clinic symptom patient dose heart therapy tumour doctor blood pulse scan
violin chorus melody tempo guitar opera rhythm chord singer concert drum lyric piano tune quartet
court judge verdict lawyer trial appeal statute jury plaintiff testimony clause contract crime oath
soil seed prune bloom compost petal shrub harvest weed orchard mulch lawn root fern tulip hedge
sail mast harbour anchor tide deck captain wave rope hull crew voyage reef storm keel port pier
""".strip().splitlines()
COMMON = """
the of and to in that is was for it with as on be at by this had not are but from or have an they
which one you were all her she there would their we him been has when who will no more if out so up
said what its about than into them can only other time new some could these two may first then do
""".strip().splitlines()
WORDS = " ".join([*TOPICS, *COMMON]).split()
TOP = 8  # words by which a topic is judged
CONCENTRATION = 0.15  # of the Dirichlet of the documents' shares


def planted() -> Array:
    """Return the probabilities of the words under each topic, `[topics, words]`."""
    made = np.full((len(TOPICS), len(WORDS)), 0.05 / len(WORDS))
    common = 1.0 / np.arange(3, 3 + len(" ".join(COMMON).split()))
    made[:, -len(common) :] += 0.55 * common / common.sum()
    first = 0
    for topic, line in enumerate(TOPICS):
        own = 1.0 / np.arange(5, 5 + len(line.split()))
        made[topic, first : first + len(own)] += 0.4 * own / own.sum()
        first += len(own)
    return made / made.sum(-1, keepdims=True)


def documents(count: int, seed: int) -> tuple[Array, Array]:
    """Return counts of words `[count, words]`, and the probabilities they were drawn from."""
    draw = np.random.default_rng(seed)
    shares = draw.dirichlet(np.full(len(TOPICS), CONCENTRATION), size=count)
    words = shares @ planted()
    lengths = draw.poisson(60, size=count)
    return np.array([draw.multinomial(n, p) for n, p in zip(lengths, words, strict=True)]), words


def encoder(hidden: int, in_shape: Shape, out_shape: Shape) -> nn.Module:
    """Build the map from the logarithms of counts to the location and scale of q(z | x)."""
    return nn.Sequential(
        nn.Linear(*in_shape, hidden),
        nn.Softplus(),
        nn.Linear(hidden, hidden),
        nn.Softplus(),
        nn.Dropout(0.2),
        nn.Linear(hidden, *out_shape),
        nn.BatchNorm1d(*out_shape),
    )


def experts(in_shape: Shape, out_shape: Shape) -> nn.Module:
    """Build the map from shares of topics to logits, to which the model adds those of all words."""
    return nn.Sequential(
        nn.Linear(*in_shape, *out_shape, bias=False), nn.BatchNorm1d(*out_shape, affine=False)
    )


def perplexity(log_prob: float, counts: Array) -> float:
    """Return the perplexity per word from the mean log p(x) of bags.

    log p(x) holds the constant `log n! - sum_k log x_k!`, the number of orders that one bag stands
    for. Without it, it is the log-probability of the words in their order, as other models give it.
    """
    orders = gammaln(counts.sum(-1) + 1) - gammaln(counts + 1).sum(-1)
    return math.exp((orders.sum() - log_prob * len(counts)) / counts.sum())


def mixture_bound(topics: Array, shares: Array, counts: Array) -> float:
    """Return the sum over documents of LDA's bound on the log-probability of the words in order.

    It is that of the topics as they are. scikit-learn's own `perplexity` also charges the documents
    that are tested for the uncertainty of all topics.
    """
    prior = torch.full((len(topics),), CONCENTRATION, dtype=torch.float64)
    total = counts.sum(-1, keepdims=True) + CONCENTRATION * len(topics)
    concentration = torch.tensor(shares * total)  # which scikit-learn returns normalised
    q, p = (torch.distributions.Dirichlet(given) for given in (concentration, prior))
    log_share = concentration.digamma() - concentration.sum(-1, keepdim=True).digamma()
    words = np.log(np.exp(log_share.numpy()) @ topics)
    divergence = torch.distributions.kl_divergence(q, p)
    return float((counts * words).sum() - divergence.sum())


def best_words(topics: Array, frequency: Array) -> list[list[str]]:
    """Return the words of each topic that are frequent in it, and more so than elsewhere.

    They are ordered by `log p(w | topic) - 1/2 log p(w)`, the relevance of Sievert and Shirley
    (2014).
    """
    relevance = np.log(topics) - 0.5 * np.log(frequency)
    return [[WORDS[at] for at in row.argsort()[::-1][:TOP]] for row in relevance]


def match(found: list[list[str]], truth: list[list[str]]) -> tuple[float, list[int]]:
    """Return the share of words that paired topics have in common, and whom each one of truth gets.

    The pairs are those, one to one, that have the most in common.
    """
    common = np.array([[len({*a} & {*b}) / TOP for b in found] for a in truth])
    rows, columns = linear_sum_assignment(-common)
    return float(common[rows, columns].mean()), columns.tolist()


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print the topics and the perplexities per word of held-out documents, return these."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=2000, help="to train on")
    parser.add_argument("--test", type=int, default=300, help="documents to test on")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--passes", type=int, default=5, help="over the data, of scikit-learn's")
    parser.add_argument("--samples", type=int, default=500, help="draws for log p(x)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)

    counts, _ = documents(given.documents, seed=given.seed)
    held, truth = documents(given.test, seed=given.seed + 10**6)
    torch.manual_seed(given.seed)  # for the networks' starting values
    vae = pyrovae.VAE(
        prior=LogisticNormalPrior(len(TOPICS), concentration=0.3),
        likelihood=Multinomial((len(WORDS),)),
        posterior=LogisticNormal(),
        encoder=partial(encoder, 100),
        decoder=experts,
    )
    pyrovae.fit(
        vae,
        csr_matrix(counts),  # sparse: a batch is made dense when it is read
        optimizer=partial(torch.optim.Adam, lr=5e-3, betas=(0.95, 0.999)),
        epochs=given.epochs,
        batch_size=given.batch_size,
        seed=given.seed,
    )
    result = pyrovae.evaluate(vae, csr_matrix(held), samples=given.samples)
    print(result)

    lda = LatentDirichletAllocation(
        len(TOPICS),
        doc_topic_prior=CONCENTRATION,
        learning_method="online",
        max_iter=given.passes,
        max_doc_update_iter=30,
        random_state=given.seed,
    ).fit(counts)
    mixed = lda.components_ / lda.components_.sum(-1, keepdims=True)
    frequency = (counts.sum(0) + 0.5) / (counts + 0.5 / len(counts)).sum()
    with torch.no_grad():
        vae.eval()
        corners = vae.decode(torch.eye(len(TOPICS))).probs.double().numpy()
    own = best_words(planted(), frequency)
    found = best_words(corners, frequency)
    share, order = match(found, own)
    numbers = {
        "log_prob": perplexity(result.log_prob, held),
        "elbo": perplexity(result.elbo, held),
        "unigram": math.exp(-(held * np.log(frequency)).sum() / held.sum()),
        "lda": math.exp(-mixture_bound(mixed, lda.transform(held), held) / held.sum()),
        "truth": math.exp(-(held * np.log(truth)).sum() / held.sum()),
        "match": share,
        "match_lda": match(best_words(mixed, frequency), own)[0],
    }
    print("\nThe topics, in the order of those that made the documents:")
    for topic in order:
        print(" ", " ".join(found[topic]))
    print(f"Of their {TOP} words, {share:.0%} are those of the true ones; ", end="")
    print(f"of scikit-learn's {numbers['match_lda']:.0%}.\n")
    print("Perplexity per word of held-out documents, in their order:")
    for key, words in (
        ("unigram", "the frequencies of all words"),
        ("elbo", "ProdLDA, by its bound"),
        ("log_prob", "ProdLDA, by log p(x)"),
        ("lda", "scikit-learn's LDA, by its bound"),
        ("truth", "the true topics and their true shares in each document"),
    ):
        print(f"  {numbers[key]:7.2f}  {words}")
    return numbers


if __name__ == "__main__":
    main()
