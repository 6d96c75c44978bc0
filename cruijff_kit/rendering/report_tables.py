"""The tables of a report, as text cells; Markdown, HTML and the terminal show the same."""

from collections.abc import Iterable

from cruijff_kit.rendering.audit_tables import audit_tables
from cruijff_kit.rendering.best_table import best_note, best_table, best_words, bests_by_setting
from cruijff_kit.rendering.bottom_line import compared, completeness
from cruijff_kit.rendering.claims_panel import check_table, claim_table, deviation_table, stamp_tables
from cruijff_kit.rendering.compute_table import COMPUTE_COLUMNS, compute_note, compute_rows
from cruijff_kit.rendering.numbers import NONE, between, duration, factor_words, p_text, percent, plain, signed
from cruijff_kit.rendering.references import with_places
from cruijff_kit.rendering.sanity_table import sanity_tables
from cruijff_kit.rendering.score_tables import calibration_table, guarantee_table, score_table
from cruijff_kit.rendering.sheet import Column, Table, source_labels
from cruijff_kit.rendering.sweep_text import sweep_table
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.report import Dossier, Finding, TiedSet
from cruijff_kit.schema.run import Phase, StepStatus
from cruijff_kit.scoring.figure_names import shown_name, split_metric

__all__ = ["Column", "Table", "accuracy_table", "report_tables"]


def report_tables(dossier: Dossier) -> tuple[Table, ...]:
    """Return every table in the order of the report."""
    tables = (
        deviation_table(dossier),
        claim_table(dossier),
        *sanity_tables(dossier),
        *((sweep_table(dossier.sweep),) if dossier.sweep is not None else ()),
        _status(dossier),
        _training(dossier),
        accuracy_table(dossier),
        best_table(dossier),
        _figures(dossier),
        _cells(dossier),
        _effects(dossier),
        _comparisons(dossier),
        _ranking(dossier),
        _groups(dossier),
        calibration_table(dossier),
        score_table(dossier),
        guarantee_table(dossier),
        *audit_tables(dossier),
        check_table(dossier),
        _datasets(dossier),
        _compute(dossier),
        _incomplete(dossier),
        _versions(dossier),
        _sources(dossier),
    )
    placed = with_places((table for table in tables if table.rows or table.note), dossier)
    return stamp_tables(placed, dossier)


def accuracy_table(dossier: Dossier) -> Table:
    """Return the accuracy of every run on every task and epoch, all scorers, and the outcome where it is another."""
    found = tuple(each for each in dossier.findings.findings if _is_main(dossier, each))
    if not found:
        note = "This design has no evaluation; training losses are compared instead."
        return Table("accuracy", "Evaluation results", (), (), note)
    level = percent(found[0].figure.level)
    columns = (
        Column("run", "code"),
        Column("task"),
        Column("epoch", "number"),
        Column("scorer"),
        Column("accuracy" if all("/" not in each.metric for each in found) else "figure", "number"),
        Column(f"{level} interval", "number"),
        *((Column("best possible", "number"),) if any(each.best for each in found) else ()),
        Column("n", "number"),
        Column("errored", "number"),
        Column("unparsed", "number"),
        Column("at best", "number"),
        Column("source", "source"),
    )
    rows = tuple(_accuracy(dossier, each, bests=any(each.best for each in found)) for each in found)
    note = (
        f"{_intervals(dossier)} ({level}) over samples. Errored and unparsed samples count as wrong and stay in n; "
        "`at best` counts them all as right, so the truth about them lies between. "
        "The interval speaks of these items and this trained model; the spread between seeds is in the effects."
        f"{_other(found)}{best_note(found)}"
    )
    return Table("accuracy", "Evaluation results", columns, rows, note)


def _is_main(dossier: Dossier, each: Finding) -> bool:
    return "/" not in each.metric or each.metric == dossier.findings.metric


def _other(found: Iterable[Finding]) -> str:
    """Return how the intervals of figures that are no accuracy were made."""
    methods = dict.fromkeys(
        f"{shown_name(each.metric)}: {each.figure.method}"
        for each in found
        if "/" in each.metric and each.figure.low is not None
    )
    return f" Its method is another for {'; '.join(methods)}." if methods else ""


def _figures(dossier: Dossier) -> Table:
    """Return the other figures of each scorer, one row an evaluation."""
    cells: dict[tuple[str, str, str, str], list[Finding]] = {}
    for each in dossier.findings.findings:
        if not _is_main(dossier, each):
            key = (each.run, each.task, _epoch(each.epoch), split_metric(each.metric)[0])
            cells.setdefault(key, []).append(each)
    level = percent(_level(dossier))
    columns = (
        Column("run", "code"), Column("task"), Column("epoch", "number"), Column("scorer"),
        Column(f"figures and {level} intervals"), Column("source", "source"),
    )  # fmt: skip
    rows = tuple(
        (*key, "; ".join(map(_told, found)), source_labels(dossier, found[0].source)) for key, found in cells.items()
    )
    note = (
        "What each scorer says beside the share of right answers. Shares have Wilson intervals, AUC, Brier score, log "
        "loss, AURC, debiased ECE, slope and intercept those of the tables below, other calibration errors a reflected "
        "bootstrap, the rest t over a jackknife; all but calibration errors the last where samples are clustered. "
        "Without an interval there is no spread to make one from. `results.parquet` holds the reason where nothing is "
        "estimable."
    )
    return Table("figures", "Other figures", columns, rows, note if rows else "")


def _told(each: Finding) -> str:
    name, figure = split_metric(each.metric)[1], each.figure
    span = f" ({between(figure)})" if figure.low is not None else ""
    return f"{name} {plain(figure.value)}{span}" if figure.value is not None else f"{name} not estimable"


def _epoch(epoch: int | None) -> str:
    return "base" if epoch is None else str(epoch)


def _accuracy(dossier: Dossier, each: Finding, *, bests: bool) -> tuple[str, ...]:
    known = each.figure.value is not None
    sources = (each.source, ExperimentLayout.plan) if each.best else (each.source,)
    return (
        each.run,
        each.task,
        _epoch(each.epoch),
        each.metric,
        plain(each.figure.value),
        between(each.figure),
        *((best_words(each.best),) if bests else ()),
        str(each.figure.n) if known else NONE,
        str(each.errored) if known else NONE,
        str(each.unparsed) if known else NONE,
        plain(each.at_best),
        source_labels(dossier, *sources),
    )


def _intervals(dossier: Dossier) -> str:
    cluster = dossier.spec.analysis.cluster
    return "Wilson intervals" if cluster is None else f"Wilson intervals at the effective sample size, by {cluster},"


def _status(dossier: Dossier) -> Table:
    by_run: dict[str, dict[str, StepStatus]] = {}
    for entry in dossier.statuses:
        by_run.setdefault(entry.run_id, {})[entry.step] = entry
    types = {run.id: (run.type, str(run.seed)) for run in dossier.plan.runs}
    rows = tuple((run, *types[run], _phase(steps, "train"), _phase(steps, "eval")) for run, steps in by_run.items())
    columns = (
        Column("run", "code"),
        Column("type"),
        Column("seed", "number"),
        Column("training"),
        Column("evaluation"),
    )
    return Table("status", "Run status", columns, rows, completeness(dossier.findings))


def _compute(dossier: Dossier) -> Table:
    report = dossier.compute
    if report is None:
        return Table("compute", "Compute used", (), ())
    columns = tuple(Column(name, "code" if name == "run" else "text") for name in COMPUTE_COLUMNS)
    return Table("compute", "Compute used", columns, tuple(compute_rows(report)), compute_note(report))


def _phase(steps: dict[str, StepStatus], step: str) -> str:
    entry = steps.get(step)
    if entry is None:
        return NONE
    why = entry.reason if entry.phase is not Phase.COMPLETED else ""
    return f"{entry.phase}: {why}" if why else str(entry.phase)


def _cells(dossier: Dossier) -> Table:
    cells = dossier.findings.cells
    bests = bests_by_setting(dossier.findings)
    columns = (
        *(Column(name) for name in (cells[0].factors if cells else {})),
        Column(f"mean {dossier.findings.metric}", "number"),
        Column(f"{percent(_level(dossier))} interval", "number"),
        *((Column("best possible", "number"),) if any(bests) else ()),
        Column("seeds", "number"),
        Column("source", "source"),
    )
    sources = (ExperimentLayout.results, ExperimentLayout.plan) if any(bests) else (ExperimentLayout.results,)
    rows = tuple(
        (*map(str, each.factors.values()), plain(each.figure.value), between(each.figure),
         *((best_words(best),) if any(bests) else ()), str(each.figure.n), source_labels(dossier, *sources))
        for each, best in zip(cells, bests, strict=True)
    )  # fmt: skip
    reason = next((f" No interval: {each.reason}." for each in cells if each.reason), "")
    note = f"Mean {dossier.findings.outcome} over seeds; t intervals, error pooled over all settings.{reason}"
    return Table("means", "Means by setting", columns, rows, note if rows else "")


def _effects(dossier: Dossier) -> Table:
    level = percent(_level(dossier))
    columns = (
        Column("factor"), Column("contrast"), Column("effect", "number"), Column(f"{level} interval", "number"),
        Column("p", "number"), Column("adjusted p", "number"), Column("runs", "number"), Column("source", "source"),
    )  # fmt: skip
    effects = dossier.findings.effects
    rows = tuple(
        (each.factor, each.contrast, signed(each.figure.value), between(each.figure, sign=True), p_text(each.p_value),
         p_text(each.p_adjusted), str(each.figure.n), source_labels(dossier, ExperimentLayout.results))
        for each in effects
    )  # fmt: skip
    reasons = "".join(f" {each.factor}: {each.reason}." for each in effects if each.reason)
    methods = " ".join(sorted({f"Method: {each.figure.method}." for each in effects if not each.reason}))
    note = (
        f"Effects on {dossier.findings.outcome}; one run is one observation. A main effect averages over the other "
        f"factors; an interaction is the difference between two differences. p-values are Holm-adjusted over this "
        f"table. {methods}{reasons}"
    )
    return Table("effects", "Effects of the factors", columns, rows, note.strip() if rows else "")


def _comparisons(dossier: Dossier) -> Table:
    pairs = dossier.findings.comparisons
    columns = (
        Column("run", "code"), Column("base", "code"), Column("task"), Column("difference", "number"),
        Column(f"{percent(_level(dossier))} interval", "number"), Column("bootstrap", "number"),
        Column("gained", "number"), Column("lost", "number"), Column("n", "number"), Column("p", "number"),
        Column("mid-p", "number"), Column("adjusted p", "number"), Column("source", "source"),
    )  # fmt: skip
    rows = tuple(
        (each.run, each.base, each.task, signed(each.difference.value), between(each.difference, sign=True),
         between(each.bootstrap, sign=True), str(each.gained), str(each.lost), str(each.difference.n),
         p_text(each.p_value), p_text(each.mid_p), p_text(each.p_adjusted),
         source_labels(dossier, ExperimentLayout.predictions_of(each.run), ExperimentLayout.predictions_of(each.base)))
        for each in pairs
    )  # fmt: skip
    trains = dossier.spec.tools.preparation != "none"
    title = "Base against fine-tuned" if trains else "Each run against the first"
    if not pairs:
        return Table("base", title, columns, rows, "")
    note = (
        f"Paired on the same samples: gained are right {'after and wrong before' if trains else 'in the run alone'}, "
        "lost the reverse. Interval of the "
        f"difference: {pairs[0].difference.method}; beside it a paired bootstrap's. "
        f"Adjusted over the table is the p-value of the {pairs[0].test}"
        f"{'; mid-p is less cautious and shown beside' if pairs[0].mid_p is not None else ''}. "
        f"{compared(pairs, dossier.spec.analysis.alpha, reference='the base model' if trains else 'the first run')}"
    )
    return Table("base", title, columns, rows, note)


def _ranking(dossier: Dossier) -> Table:
    sets = dossier.findings.ranking
    columns = (
        Column("place"), Column("runs", "code"), Column("accuracy", "number"), Column("n", "number"),
        Column("source", "source"),
    )  # fmt: skip
    rows = tuple(
        (_place(each), ", ".join(each.runs), _span(each), str(each.n),
         source_labels(dossier, *map(ExperimentLayout.predictions_of, each.runs)))
        for each in sets
    )  # fmt: skip
    count = sum(len(each.runs) for each in sets)
    test = "t-test over clusters" if dossier.spec.analysis.cluster is not None else "exact McNemar test"
    note = (
        f"Runs of one row are tied: none is significantly worse than the best of them ({test} on the samples that all "
        f"runs share, Holm-adjusted over all {count * (count - 1) // 2} pairs, alpha {dossier.spec.analysis.alpha:g}). "
        "It ranks these trained models; whether a setting is better is told by the effects."
        if rows
        else ""
    )
    return Table("ranking", f"Ranking on {dossier.findings.task}", columns, rows, note)


def _place(each: TiedSet) -> str:
    last = each.place + len(each.runs) - 1
    return str(each.place) if last == each.place else f"{each.place} to {last}"


def _span(each: TiedSet) -> str:
    best, worst = plain(each.best), plain(each.worst)
    return best if len(each.runs) == 1 else f"{best} to {worst}"


def _groups(dossier: Dossier) -> Table:
    columns = (
        Column("run", "code"), Column("task"), Column("group"), Column("level", "number"), Column("accuracy", "number"),
        Column(f"{percent(_level(dossier))} interval", "number"), Column("n", "number"), Column("source", "source"),
    )  # fmt: skip
    rows = tuple(
        (each.run, each.task, each.group, each.level, plain(each.figure.value), between(each.figure),
         str(each.figure.n), source_labels(dossier, ExperimentLayout.predictions_of(each.run)))
        for each in dossier.findings.groups
    )  # fmt: skip
    note = (
        "Wilson intervals over the samples of each group, last epoch, one by one: nothing here is adjusted for "
        "looking at many groups. `ck groups` tests each group against the rest and adjusts."
        if rows
        else ""
    )
    return Table("groups", "Accuracy by group", columns, rows, note)


def _training(dossier: Dossier) -> Table:
    columns = (
        Column("run", "code"), Column("first loss", "number"), Column("final loss", "number"),
        Column("validation loss", "number"), Column("steps", "number"), Column("time", "number"),
        Column("tokens/s", "number"), Column("source", "source"),
    )  # fmt: skip
    rows = tuple(
        (each.run, plain(each.first), plain(each.final), plain(each.validation), str(each.steps),
         duration(each.seconds), NONE if each.tokens_per_second is None else f"{each.tokens_per_second:,.0f}",
         source_labels(dossier, each.source))
        for each in dossier.findings.losses
    )  # fmt: skip
    note = (
        "Losses in nats per supervised token; final is the mean of the last tenth of the logged steps, tokens/s a "
        "median. A training that has not finished has no final loss."
    )
    return Table("training", "Training results", columns, rows, note if rows else "")


def _datasets(dossier: Dossier) -> Table:
    columns = (
        Column("data set", "code"), Column("made by"), Column("rows per split"), Column("size", "number"),
        Column("sha256", "code"),
    )  # fmt: skip
    rows = tuple(
        (facts.path, _maker(facts.generator, facts.arguments), ", ".join(f"{k} {v:,}" for k, v in facts.splits.items()),
         f"{facts.bytes:,} B", facts.sha256)
        for facts in dossier.plan.datasets
    )  # fmt: skip
    return Table("data", "Data sets", columns, rows, f"Tier: {dossier.plan.tier}.")


def _maker(generator: str | None, arguments: dict[str, object]) -> str:
    if generator is None:
        return "given"
    return f"{generator} ({factor_words({name: str(value) for name, value in arguments.items()})})"


def _incomplete(dossier: Dossier) -> Table:
    missing = dossier.findings.incomplete
    columns = (Column("run", "code"), Column("what"), Column("why"))
    rows = tuple((each.run, each.what, each.reason) for each in missing)
    return Table("incomplete", "Incomplete runs", columns, rows, "" if rows else "None.")


def _versions(dossier: Dossier) -> Table:
    columns = (Column("what"), Column("version", "code"), Column("trainings", "number"))
    rows = tuple((each.name, each.value, str(each.runs)) for each in dossier.made_with)
    names = [each.name for each in dossier.made_with]
    mixed = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    told = f"Trainings differ in {', '.join(mixed)}." if mixed else "All trainings had the same."
    return Table("versions", "Made with", columns, rows, told if rows else "")


def _sources(dossier: Dossier) -> Table:
    columns = (Column("label"), Column("file", "code"), Column("sha256", "code"), Column("where in it"))
    rows = tuple((each.label, each.path, each.sha256 or "missing", each.pointer) for each in dossier.references)
    note = "Each figure was computed from the file its source names, at this hash; report/trace.json lists them all."
    return Table("sources", "Sources", columns, rows, note)


def _level(dossier: Dossier) -> float:
    return 1 - dossier.spec.analysis.alpha
