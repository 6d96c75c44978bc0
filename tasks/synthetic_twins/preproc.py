"""Tables of twins to files of rows: `python -m cruijff_kit.tasks.synthetic_twins.preproc TABLE_OR_FOLDER`.

Each `.csv` with `<trait>.1`, `<trait>.2` and `zyg` becomes a `.json` of train, validation and test beside it, or in
`--output_dir`: eight, one and one tenth of the pairs in an order that the seed fixes. A design that names the generator
`twins` needs none of this; `ck data twins TABLE` shows what it makes.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cruijff_kit.data.generators.registry import make_dataset
from cruijff_kit.errors import CruijffError, SpecError
from cruijff_kit.runtime.files import write_aside

__all__ = ["main", "preprocess"]


def preprocess(place: Path, *, form: str = "pair", seed: int = 42, output: Path | None = None) -> list[Path]:
    """Write the rows of a table, or of each in a folder, and return the files.

    Args:
        place: a `.csv`, or a folder of them.
        form: `pair`, or `difference` for how far apart the two are in each trait.
        seed: fixes the splits.
        output: folder to write into; that of each table where None.

    Raises:
        SpecError: there is no table, or one cannot be told; then nothing is written.
    """
    tables = [place] if place.is_file() else sorted(place.glob("*.csv"))
    if not tables:
        raise SpecError(f"`{place}` holds no `.csv`", hint="name a table of twins, or a folder of them")
    made = {
        (output or table.parent) / f"{table.stem}.json": make_dataset(
            "twins", {"source": table.name, "form": form, "seed": seed}, files={"source": table.read_bytes()}
        ).content
        for table in tables
    }
    for path, content in made.items():
        write_aside(path, content)
    return list(made)


def main(words: Sequence[str] | None = None) -> int:
    """Run as a command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="preproc", description="Make files of rows of tables of twins.")
    parser.add_argument("place", type=Path, help="a .csv, or a folder of them")
    parser.add_argument("--input_formatting", choices=("pair", "difference"), default="pair", help="what is told")
    parser.add_argument("--seed", type=int, default=42, help="fixes the splits")
    parser.add_argument("--output_dir", type=Path, default=None, help="folder to write into")
    told = parser.parse_args(words)
    try:
        paths = preprocess(told.place, form=told.input_formatting, seed=told.seed, output=told.output_dir)
    except CruijffError as err:
        sys.stderr.write(f"error: {err}\n")
        return err.exit_code
    sys.stdout.write("".join(f"{path}\n" for path in paths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
