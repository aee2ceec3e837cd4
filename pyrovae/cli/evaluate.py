"""The verb `evaluate`."""

from collections.abc import Sequence

from pyrovae.cli.arguments import Parser, allowed_packages, positive


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "evaluate",
        "Estimate log p(x) of a run's model on held-out data, in nats per datum.",
        example="pyrovae evaluate runs/digits-1 --samples 5000",
    )
    made.takes_run()
    made.takes_data()
    made.add_argument(
        "--samples", type=positive, default=1000, metavar="N", help="draws for each datum"
    )
    made.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps"
    )
    made.add_argument(
        "--surgery",
        action="store_true",
        help="take the KL apart as well, at the mean of q(z | x) over the data",
    )
    made.takes_seed()
    made.takes_allow()
    return made


def run(words: Sequence[str]) -> int:
    """Evaluate a run's model as the words say."""
    given = parser().read(words)
    if given is None:
        return 0
    from pyrovae.cli.arguments import ALL
    from pyrovae.cli.errors import UsageError
    from pyrovae.cli.notes import notes
    from pyrovae.cli.opening import open_model, open_source, open_splits
    from pyrovae.cli.run_folder import find_run
    from pyrovae.cli.show import labels_told, no_density, show
    from pyrovae.evaluation import evaluate, surgery
    from pyrovae.training.devices import fabric_of

    allow = allowed_packages(given.allow)
    found = find_run(given.run)
    source = open_source(found, given.data, allow=allow)
    model = open_model(found, allow=allow).to(fabric_of(given.device).device)
    splits = open_splits(source, ALL)
    if given.split not in splits:
        raise UsageError([f"{source!r} keeps no {given.split} split; choose another --split"])
    split = splits[given.split]
    why_not, result = no_density(model), None
    with notes():
        if not why_not or not (given.surgery or hasattr(model, "classify")):
            result = evaluate(model, split, samples=given.samples, seed=given.seed)
        told = labels_told(model, splits, split=given.split, seed=given.seed)
    if why_not:
        print(why_not)
    # a run's own file is about its own test data, and other data leave it alone
    own = found.config is not None and given.data is None and given.split == "test"
    show(result, split=given.split, folder=found.folder if own else None, told=told)
    if given.surgery:
        print(f"\n{surgery(model, split, seed=given.seed)}")
    return 0
