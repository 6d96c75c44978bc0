"""Tables of twins as their users have them: `<trait>.1`, `<trait>.2`, and the kind of pair."""

import csv
import io
from collections.abc import Mapping

from cruijff_kit.data.dice import Dice

__all__ = ["twin_csv"]


def twin_csv(pairs: int, *, traits: int, kinds: Mapping[bool, str] = {True: "MZ", False: "DZ"}) -> bytes:
    """Return a table in which identical twins are closer than others."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [f"trait{at}" for at in range(1, traits + 1)]
    writer.writerow(["zyg", *(f"{name}.{which}" for name in names for which in "12")])
    for number in range(pairs):
        dice = Dice(f"table/{number}", seed=1)
        identical, cells = dice.yes(0.5), []
        for _ in names:
            first = dice.normal()
            cells += [f"{first:.4f}", f"{first + (0.2 if identical else 0.9) * dice.normal():.4f}"]
        writer.writerow([kinds[identical], *cells])
    return out.getvalue().encode()
