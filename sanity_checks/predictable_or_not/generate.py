"""Write the four data sets of predictable and unpredictable sequences: `pp.json`, `pu.json`, `up.json`, `uu.json`.

python -m cruijff_kit.sanity_checks.predictable_or_not.generate --in_seq_len 5 --output_dir data/green/predictable
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cruijff_kit.sanity_checks.writing import ending_of, write_dataset

__all__ = ["main"]

_SCENARIOS = ("pp", "pu", "up", "uu")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the data sets that the arguments describe and return the exit code."""
    parser = argparse.ArgumentParser(prog="generate", description="Write sequences that can be foretold, or not.")
    parser.add_argument("--in_seq_len", type=int, default=5, help="numbers in a question (default: 5)")
    parser.add_argument("--train", type=int, default=900, help="rows to train on (default: 900)")
    parser.add_argument("--validation", type=int, default=100, help="rows to validate on (default: 100)")
    parser.add_argument("--test", type=int, default=100, help="rows to test on (default: 100)")
    parser.add_argument("--limit", type=int, default=2000, help="numbers lie below it (default: 2000)")
    parser.add_argument("--seed", type=int, default=42, help="fixes what is drawn (default: 42)")
    parser.add_argument("--output_dir", type=Path, default=Path("data/green/predictable_or_not"), help="their folder")
    parser.add_argument("--force", action="store_true", help="replace files that hold something else")
    told = vars(parser.parse_args(argv))
    folder, force = told.pop("output_dir"), told.pop("force")

    def written() -> list[str]:
        return [
            write_dataset("number_sequences", {**told, "scenario": each}, path=folder / f"{each}.json", force=force)
            for each in _SCENARIOS
        ]

    return ending_of(written)


if __name__ == "__main__":
    sys.exit(main())
