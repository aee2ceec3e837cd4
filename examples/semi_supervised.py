"""How many labels does it take? M2 on MNIST with 100, 600, 1000 and 3000 labels, beside baselines.

The settings are in `semi_supervised.yaml`; the experiment is `pyrovae compare`, which trains each
budget over several draws of the labels and puts two baselines beside each: the same classifier
network on the labels alone, and a classifier on the latent means of a plain VAE. It may be stopped
and started again; finished runs are kept. Anything that `pyrovae compare` takes may follow.

    python examples/semi_supervised.py [--labels 100,600,1000,3000] [--seeds 5] [--jobs 2] [--quick]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pyrovae.__main__ import main as pyrovae

CONFIG = Path(__file__).with_suffix(".yaml")

# digits of 8x8 pixels and networks that train in seconds, to see that everything runs
QUICK = (
    "--data digits --data.labelled_share 0.2 --model.encoder.hidden [8] --model.decoder.hidden [8] "
    "--model.classifier MLP --model.classifier.hidden [8] --model.prior.dim 2 --epochs 1 "
    "--batch_size 256 --samples 2 --compile false"
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--labels", default="100,600,1000,3000", help="budgets, with commas")
    parser.add_argument("--seeds", default="5", help="draws of the labels for each budget")
    parser.add_argument("--out", default="runs/label-budgets")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options, others = parser.parse_known_args(arguments)
    varied = ["--vary", f"data.labels={options.labels}"]
    words = ["compare", "--config", str(CONFIG), *varied, "--seeds", options.seeds]
    quick = QUICK.split() if options.quick else []
    return pyrovae([*words, "--out", options.out, *quick, *others])


if __name__ == "__main__":
    sys.exit(main())
