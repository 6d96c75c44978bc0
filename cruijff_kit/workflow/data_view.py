"""Show data: rows as a run's model reads them, what is learnt of them marked, and what the gate says."""

from collections.abc import Iterator, Sequence

from cruijff_kit.data.encoding import IGNORE, Row
from cruijff_kit.data.gate import prove_mask
from cruijff_kit.data.mask import marked_text
from cruijff_kit.data.tokens import encode_row
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import Tokenizer, World
from cruijff_kit.rendering.untrusted import clean_line
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.proof import DataSample, DataView
from cruijff_kit.workflow.adopt import with_adopted
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.consent import closed, content_of
from cruijff_kit.workflow.mask_gate import TRAINED, Reading, proof_of, reading_of
from cruijff_kit.workflow.plan import plan_with_data
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.seal import read_lock
from cruijff_kit.workflow.tiers import plan_tier

__all__ = ["show_data"]

_MOST = 50


def show_data(*, run: str | None = None, count: int = 5, world: World) -> DataView:
    """Return the first training rows of a run in its model's tokens, and whether its masks are proven.

    Rows of red data, and of yellow data that nobody consented to, are counted and proven
    but never shown. Nothing is written.

    Args:
        run: run id, or an unambiguous start of it; the first that trains where absent.
        count: how many rows, from 1 to 50.
        world: the experiment and its surroundings.

    Raises:
        PlanError: there is no design, or it cannot be planned.
        RunError: the run is unknown.
        SpecError: `count` is out of range, or the data cannot be read.
        SiteError: the model's tokenizer cannot be read.
    """
    if not 1 <= count <= _MOST:
        raise SpecError(f"`count` is `{count}`; it goes from 1 to {_MOST}", hint="look at fewer rows at a time")
    spec = read_design(world)
    planned = plan_with_data(spec, world=world)
    plan = with_adopted(planned.plan, read_lock(world), world=world)
    chosen = find_run(plan.runs, run) if run else _first(plan)
    reading, facts = reading_of(chosen, spec), plan.dataset(chosen.dataset)
    tokenizer = world.hub.tokenizer(reading.model_path)
    splits = next(each.splits for each in planned.datasets if each.facts.key == facts.key)
    trained = {split: rows for split, rows in splits.items() if split in TRAINED}
    proof = prove_mask(trained, encoding=reading.encoding, tokenizer=tokenizer)
    tier = plan_tier(planned.plan, world)
    shut = closed(tier, content_of(planned.plan, world), way="show", world=world)
    shown = [] if shut else list(_samples(trained.get("train", ())[:count], reading, tokenizer=tokenizer))
    return DataView(
        run_id=chosen.id,
        model=chosen.model.name,
        dataset=facts.path,
        sha256=facts.sha256,
        splits=facts.splits,
        dataset_type=reading.encoding.dataset_type,
        template=reading.encoding.template,
        tier=tier,
        withheld=shut.words if shut else "",
        samples=tuple(shown),
        proof=None if proof.problems else proof_of(chosen, reading, facts=facts, spec=spec, proof=proof),
        problems=tuple(map(str, proof.problems)),
    )


def _first(plan: Plan) -> PlannedRun:
    trained = [run for run in plan.runs if run.type == "fine-tuned"]
    if not trained:
        raise PlanError(
            "no run of the design trains, so nothing is learnt", hint="look at answers with `ck spot-check`"
        )
    return trained[0]


def _samples(rows: Sequence[Row], reading: Reading, *, tokenizer: Tokenizer) -> Iterator[DataSample]:
    for index, row in enumerate(rows):
        try:
            encoded = encode_row(row, encoding=reading.encoding, tokenizer=tokenizer)
        except SpecError:
            # The gate tells of it, with the others like it.
            continue
        text = marked_text(encoded, tokenizer=tokenizer)
        yield DataSample(
            row=f"train[{index}]",
            text="\n".join(clean_line(line) for line in text.split("\n")),
            tokens=len(encoded.ids),
            supervised=sum(label != IGNORE for label in encoded.labels),
        )
