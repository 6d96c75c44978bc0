"""References: every number of both documents leads to a file by its hash, and what lies there gives the number."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from statistics import fmean
from zipfile import ZipFile

import pytest

from cruijff_kit.ports import World
from cruijff_kit.rendering.report_tables import report_tables
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.receipt import ReportReceipt
from cruijff_kit.schema.verification import Printed, References
from cruijff_kit.workflow.recomputed import last_report, recompute
from cruijff_kit.workflow.report import report_files

Reported = tuple[World, ReportReceipt]
NUMBER = re.compile(r"(?<![\w.])[-+\u2212]?\d[\d,]*(?:\.\d+)?(?![\w]|\.\d)")
# What needs no reference: dates, names in backticks, hashes and versions, and the words of people.
FREE = re.compile(r"`[^`]*`|\b\d{4}-\d\d-\d\d\b|\b[0-9a-f]{64}\b|\b\d+\.\d+\.\d+\b")
LINK = re.compile(r"\[([a-z]\d+(?: [a-z]\d+)*)\]\(#sources\)")
VOID = {"meta", "br", "circle", "polyline"}


class Numbers(HTMLParser):
    """Gathers each number of a page with the labels of the innermost element that has any."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.links: set[str] = set()
        self._open: list[tuple[str, str, bool]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.links |= {values["href"]} if "href" in values else set()
        labels = values.get("data-source") or (self._open[-1][1] if self._open else "")
        classes = values.get("class", "").split()
        free = tag in {"style", "h1", "title", "code"} or values.get("id") == "sources" or "question" in classes
        free = free or "hypothesis" in classes or bool(self._open and self._open[-1][2])
        if tag not in VOID:
            self._open.append((tag, labels, free))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and not self._open[-1][2]:
            self.found += [(number, self._open[-1][1]) for number in NUMBER.findall(FREE.sub(" ", data))]


@pytest.fixture(scope="module")
def references(reported: Reported) -> References:
    content = reported[0].store.read(ExperimentLayout.references) or b""
    return References.model_validate_json(content)


def test_every_number_of_the_page_stands_in_an_element_that_names_its_sources(reported: Reported) -> None:
    text = reported[0].store.read_text("report/index.html") or ""
    page = Numbers(text)
    assert len(page.found) > 1_000
    assert [number for number, labels in page.found if not labels] == []
    named = {label for _, labels in page.found for label in labels.split()}
    assert named <= set(re.findall(r'id="source-(\w+)"', text))


def test_only_places_that_the_page_has_are_said_to_be_on_it(reported: Reported) -> None:
    world = reported[0]
    dossier = recompute(last_report(world), world=world).dossier
    found = dossier.findings.findings
    other = found[0].model_copy(update={"metric": f"{found[0].metric}/auc"})
    dossier = dossier.model_copy(update={"findings": dossier.findings.model_copy(update={"findings": (*found, other)})})
    files = report_files(dossier, report_tables(dossier), secrets=(), pictures=False)
    page = files[ExperimentLayout.page].decode()
    printed = References.model_validate_json(files[ExperimentLayout.references]).printed
    told = {each.anchor: ExperimentLayout.page in each.documents for each in printed}
    assert "figures-1" in told
    assert told == {anchor: anchor != "head" and f'id="{anchor}"' in page for anchor in told}


def test_every_number_of_the_summary_stands_beside_its_sources(reported: Reported) -> None:
    text = reported[0].store.read_text("summary.md") or ""
    labels = set(re.findall(r"^\| (\w+) \|", text.partition("## Sources")[2], flags=re.MULTILINE))
    bare: list[str] = []
    for section in text.partition("## Sources")[0].split("\n## "):
        title, _, body = section.partition("\n")
        linked = bool(LINK.search(body)) and title != "Bottom line"
        for line in body.splitlines():
            words = line.startswith(("**Question.**", "**Hypothesis.**"))
            numbers = NUMBER.findall(FREE.sub(" ", line))
            if numbers and not (words or linked or LINK.search(line)):
                bare.append(line)
    assert bare == []
    assert {label for found in LINK.findall(text) for label in found.split()} <= labels


def test_every_reference_leads_to_a_file_with_that_hash_or_to_what_it_says_the_hash_is_of(
    reported: Reported, references: References
) -> None:
    world, _ = reported
    for path, digest in {(each.file, each.sha256) for place in references.printed for each in place.origins}:
        if path not in {ExperimentLayout.summary, ExperimentLayout.audit}:
            assert world.store.digest(path) == digest
    assert all(place.origins for place in references.printed)
    assert all(world.store.digest(path) == digest for path, digest in references.files.items())


def test_following_a_pointer_by_hand_gives_the_number_that_is_printed(
    reported: Reported, references: References
) -> None:
    world, _ = reported
    followed = 0
    for place in _rows(references, "accuracy"):
        origin = place.origins[0]
        scorer = origin.pointer.removeprefix("samples/*.json#/scores/")
        with ZipFile(world.store.root / origin.file) as log:
            names = [name for name in log.namelist() if name.startswith("samples/")]
            scores = [json.loads(log.read(name))["scores"][scorer]["value"] for name in names]
        assert place.text["accuracy"] == f"{fmean(each == 'C' for each in scores):.3f}"
        assert place.text["n"] == str(len(scores))
        followed += 1
    for place in _rows(references, "training"):
        lines = (world.store.read_text(place.origins[0].file) or "").splitlines()
        losses = [json.loads(line)["loss"] for line in lines]
        assert place.text["first loss"] == f"{losses[0]:.3f}"
        assert place.text["final loss"] == f"{fmean(losses[-4:]):.3f}"
        followed += 1
    assert followed == 36 + 8


def test_the_bottom_line_names_the_files_of_the_very_figures_it_quotes(
    reported: Reported, references: References
) -> None:
    world, _ = reported
    trace = json.loads(world.store.read_text("report/trace.json") or "")
    for place in references.printed:
        if place.key.startswith("bottom/") and "." in place.text["text"].rstrip("."):
            labels = {each.label for each in place.origins}
            figures = [each for each in trace["figures"] if set(each["references"]) <= labels]
            values = {f"{abs(each[part]):.3f}" for each in figures for part in ("value", "low", "high") if each[part]}
            quoted = set(re.findall(r"(?<![\w.])\d\.\d{3}(?!\d)", FREE.sub(" ", place.text["text"])))
            assert quoted - values <= {"0.001"}, place.text


def test_rows_are_called_by_what_they_are_about_and_no_two_alike(references: References) -> None:
    keys = [place.key for place in references.printed]
    assert len(keys) == len(set(keys))
    anchors = {place.key: place.anchor for place in references.printed}
    (key,) = (each for each in keys if each.startswith("accuracy/base-") and each.endswith("capitalization/base/match"))
    assert anchors[key].startswith("accuracy-")


def _rows(references: References, table: str) -> Iterator[Printed]:
    return (place for place in references.printed if place.anchor.startswith(f"{table}-"))
