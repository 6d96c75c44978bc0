"""What a report says of a sanity check, and that it says nothing of one where there is none."""

from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.sanity import Band, JudgedFigure, SanityVerdict
from cruijff_kit.workflow.report import write_report
from tests.fakes.experiment import SMALL, design_of, plan_of, seal

RUN = next(run for run in plan_of(SMALL).runs if run.factors)
ACCURACY = JudgedFigure(
    arm="noisy", run=RUN.id, seed=RUN.seed, figure="accuracy", value=0.25, n=40, verdict="outside",
    band=Band(low=0.5, high=0.9, low_from="10 pilots", high_from="Bayes-optimal accuracy 0.8, of 40 answers"),
    source="runs/x/eval/y.eval",
)  # fmt: skip
KEPT = ACCURACY.model_copy(update={"figure": "rule kept", "value": 0.81, "verdict": "inside", "source": ""})
VERDICT = SanityVerdict(
    check="bit_sequences", size="small", size_words="for the tiny base", experiment="x", folder="/x", model="/m",
    model_sha256="a" * 64, passed=False, figures=(ACCURACY, KEPT), level=1e-4, pilots="10 pilots", version="0",
)  # fmt: skip


def told(world: World, *, kind: str, verdict: SanityVerdict = VERDICT) -> str:
    """Return the report of an experiment of a kind, in which a verdict lies."""
    spec, head = design_of(SMALL).model_copy(update={"type": kind}), world.audit.head()
    assert head is not None
    seal(world.store.root, spec, plan=plan_of(SMALL), anchor=head)
    world.store.write(ExperimentLayout.sanity, verdict.model_dump_json())
    write_report(world=world)
    return str(world.store.read_text(ExperimentLayout.report))


def test_a_failed_check_is_told_first_and_figure_by_figure(world: World) -> None:
    text = told(world, kind="sanity_check")
    first = text.partition("## Bottom line")[2].strip().splitlines()[0]
    assert first.startswith("- The sanity check bit_sequences FAILED: 1 of 2 figures are missing or outside")
    assert f"accuracy of `{RUN.id}` 0.2500, not in 0.5000 to 0.9000" in first
    assert f"| `{RUN.id}` | accuracy | 0.2500 | 0.5000 to 0.9000 | **outside** |" in text
    assert "| **inside** |" in text
    # No row of the results is the one that was judged.
    assert "`ck sanity run` judges again" in text
    assert '<section id="sanity"' in str(world.store.read_text(ExperimentLayout.page))
    assert "anity check" not in told(world, kind="experiment").replace("anity check of", "")
