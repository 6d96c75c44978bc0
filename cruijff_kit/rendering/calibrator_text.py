"""`calibrator.json` as text: what it promises first and to be read, the scores it keeps behind, a sample a line."""

import json

from cruijff_kit.schema.calibration import Calibrator

__all__ = ["calibrator_text"]


def calibrator_text(calibrator: Calibrator) -> str:
    """Return the file; the same calibrator gives the same bytes."""
    head = calibrator.model_dump_json(indent=1, exclude={"kept"}).removesuffix("\n}")
    if calibrator.kept is None:
        return f'{head},\n "kept": null\n}}\n'
    kept = calibrator.kept.model_dump(mode="json")
    rows = ",\n   ".join(json.dumps(row) for row in kept.pop("logprobs"))
    columns = "".join(f"  {json.dumps(name)}: {json.dumps(column)},\n" for name, column in kept.items())
    return f'{head},\n "kept": {{\n{columns}  "logprobs": [\n   {rows}\n  ]\n }}\n}}\n'
