r"""Write a data set of bit sequences, by the arguments that the first system had.

    python -m cruijff_kit.sanity_checks.bit_sequences.generate --bit_length 15 --N 33000 --p 0 \
        --bit_parity True --val_size 4000 --output parity.json

`N` sequences are drawn with replacement; whatever occurs in `validation` is left out of `train`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cruijff_kit.sanity_checks.writing import ending_of, truth, write_dataset

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the data set that the arguments describe and return the exit code."""
    parser = argparse.ArgumentParser(prog="generate", description="Write a data set of bit sequences.")
    parser.add_argument("--bit_length", type=int, required=True, help="bits of a sequence, 1 to 16")
    parser.add_argument("--N", type=int, required=True, help="sequences drawn in all, with replacement")
    parser.add_argument("--val_size", type=int, required=True, help="those of them that validate")
    parser.add_argument("--test_size", type=int, default=0, help="those of them that test (default: none)")
    parser.add_argument("--bit_parity", type=truth, default=True, metavar="True|False", help="parity, or a coin")
    parser.add_argument(
        "--p", type=float, default=0.0, help="probability that a parity is flipped, or the coin shows 1"
    )
    parser.add_argument("--seed", type=int, default=42, help="fixes what is drawn (default: 42)")
    parser.add_argument("--output", default="parity.json", help="name of the file (default: parity.json)")
    parser.add_argument("--output_dir", type=Path, default=Path("data/green/bit_sequences"), help="its folder")
    parser.add_argument("--force", action="store_true", help="replace a file that holds something else")
    told = vars(parser.parse_args(argv))
    path, force = told.pop("output_dir") / told.pop("output"), told.pop("force")
    return ending_of(lambda: [write_dataset("bit_sequences", {**told, "repeats": True}, path=path, force=force)])


if __name__ == "__main__":
    sys.exit(main())
