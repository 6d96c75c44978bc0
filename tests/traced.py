"""Every number of a summary leads somewhere: to a figure that is traced to a file by its hash, or to the design."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from cruijff_kit.schema.spec import Analysis

__all__ = ["untraced"]

_NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?!\.?\w)")


def untraced(experiment: Path) -> list[str]:
    """Return each number of `summary.md` that no file holds, and each source whose hash is another's.

    A whole number may count what the trace or the plan lists; one with decimals is a traced figure
    rounded as it stands, or stands so in the design or the plan.
    """
    text = (experiment / "summary.md").read_text(encoding="utf-8")
    trace = json.loads((experiment / "report" / "trace.json").read_text(encoding="utf-8"))
    wrong = [
        f"{source['path']} is not what it was"
        for source in trace["references"]
        if source["sha256"] and _sha256(experiment / source["path"]) != source["sha256"]
    ]
    figures = {abs(value) for figure in trace["figures"] for value in _values(figure)} | _used(experiment)
    written = "".join(
        (experiment / name).read_text(encoding="utf-8") for name in ("experiment_summary.md", "plan.json")
    )
    known = {_plain(number) for number in _NUMBER.findall(written)} | {f"{1 - Analysis().alpha:g}"}
    shown = re.sub(r"`[^`\n]*`|\[\w+\]\(#sources\)|^## Sources.*", "", text, flags=re.MULTILINE | re.DOTALL)
    for number in _NUMBER.findall(shown):
        plain = _plain(number)
        if plain in known or "." not in plain:
            continue
        if not any(_rounds_to(value, plain) for value in figures):
            wrong.append(number)
    return wrong


def _values(figure: dict[str, object]) -> Iterator[float]:
    return (float(each) for name in ("value", "low", "high") if isinstance(each := figure[name], int | float))


def _plain(number: str) -> str:
    return number.replace(",", "").lstrip("+-")


def _rounds_to(value: float, plain: str) -> bool:
    places = len(plain.partition(".")[2])
    return plain in (f"{value:.{places}f}", f"{value:.3g}")


def _used(experiment: Path) -> set[float]:
    """Return what `compute.json` says that jobs used: seconds and GiB of each, hours of all."""
    path = experiment / "compute.json"
    if not path.exists():
        return set()
    used = json.loads(path.read_text(encoding="utf-8"))
    usages = [job["usage"] for job in used["jobs"] if job["usage"]]
    seconds = {each[name] for each in usages for name in ("elapsed_seconds", "cpu_seconds")}
    memory = {each["max_memory_bytes"] / 1024**3 for each in usages if each["max_memory_bytes"] is not None}
    hours = {used[name] for name in ("hours", "gpu_hours", "cpu_hours")}
    return {float(each) for each in seconds | memory | hours if each is not None}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
