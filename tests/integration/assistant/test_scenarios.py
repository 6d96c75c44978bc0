"""What may happen before jobs run: what the assistant is told, how much, and that nothing false can be read from it."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.workflow.plan import design_hash
from tests.assistant_said import must_be_told, records
from tests.fakes.experiment import Size, design_of, plan_of, seal
from tests.mcp_bench import WHY, Bench, Reply, Talk, User

pytestmark = pytest.mark.once

FICKLE = Path(__file__).parents[1] / "fickle_recipe.py"
SMALL = Size(words=12, others=2, steps=5)


class Script(User):
    """A user who does something before answering."""

    def __init__(self, act: Any) -> None:
        super().__init__("tick")
        self._act = act

    async def __call__(self, context: Any, params: Any) -> Any:
        """Act, then agree."""
        self._act()
        return await super().__call__(context, params)


async def whole(talk: Talk, design: str) -> tuple[str, Reply]:
    """Scaffold a design, submit it and watch it to its end."""
    plan_id = await talk.scaffold(design)
    return plan_id, await talk.finish(plan_id)


# --- before anything runs ---


def test_a_dry_run_shows_the_files_and_writes_none(bench: Bench) -> None:
    async def dialogue(talk: Talk) -> Reply:
        await talk.call("experiment_write_summary", design=bench.design, reason=WHY)
        return await talk.call("runs_scaffold", reason=WHY)

    reply = bench.talk(dialogue)
    must_be_told(reply, '"dry_run": true', "finetune.slurm")
    assert not (bench.experiment / "runs").exists()


def test_a_design_with_many_mistakes_is_told_all_of_them_at_once(bench: Bench) -> None:
    lines = "".join(f"  wrong_{number}: 1\n" for number in range(10))
    reply = bench.call("experiment_validate", design=bench.design + lines)
    must_be_told(reply, *(f"wrong_{number}" for number in range(10)), error=True)
    assert not bench.experiment.exists()


def test_a_text_that_is_no_design_is_refused_with_its_line(bench: Bench) -> None:
    broken = bench.call("experiment_validate", design="name: [x\n  - :")
    must_be_told(broken, "design.yaml:2", "not valid YAML", "hint: mend the line", error=True)
    empty = bench.call("experiment_write_summary", design="", reason=WHY)
    must_be_told(empty, "the design is empty", "nothing was written", "hint: start with `name:`", error=True)
    assert not (bench.experiment / "experiment_summary.md").exists()


def test_a_base_model_that_is_not_there_is_named_before_anything_is_written(bench: Bench) -> None:
    design = bench.design.replace(bench.model, "/nowhere/llama")
    must_be_told(bench.call("experiment_write_summary", design=design, reason=WHY), "/nowhere/llama", error=True)
    assert not (bench.experiment / "experiment_summary.md").exists()


@pytest.mark.parametrize(
    "tool,arguments,words",
    (
        ("job_status", {}, "not scaffolded"),
        ("job_watch", {"reason": WHY}, "not scaffolded"),
        ("job_cancel", {"reason": WHY}, "not scaffolded"),
        ("results_read", {}, "there is no directory `bits`"),
        ("data_show", {}, "there is no design here"),
        ("logs_tail", {"run": "rank2"}, "not scaffolded"),
        ("runs_scaffold", {"reason": WHY}, "there is no design here"),
        ("results_report", {"reason": WHY}, "not scaffolded"),
    ),
)
def test_an_experiment_that_is_not_there_has_nothing_to_tell(
    bench: Bench, tool: str, arguments: dict[str, Any], words: str
) -> None:
    user = User()
    must_be_told(bench.call(tool, user=user, **arguments), words, "hint: ", error=True)
    assert user.asked == []
    assert not bench.experiment.exists()


def test_jobs_asked_for_before_a_plan_is_written_are_refused_without_a_question(bench: Bench) -> None:
    user = User()
    bench.call("experiment_write_summary", design=bench.design, reason=WHY)
    must_be_told(bench.call("job_submit", plan_id="ab" * 32, reason=WHY, user=user), "scaffold", error=True)
    assert user.asked == []


@pytest.mark.parametrize(
    "tier,consent,shown", (("red", "", False), ("yellow", "", False), ("green", "", True)), ids=str
)
def test_rows_are_shown_as_their_tier_allows(bench: Bench, tier: str, consent: str, shown: bool) -> None:
    design = bench.design.replace("tier: green", f"tier: {tier}{consent}")

    async def dialogue(talk: Talk) -> Reply:
        await talk.scaffold(design)
        return await talk.call("data_show", count=2)

    reply = bench.talk(dialogue)
    must_be_told(reply, tier)
    assert bool(reply.content["rows"]) == shown
    assert bool(reply.content["withheld"]) != shown
    assert ("⟦" in reply.text) == shown


def test_answers_to_red_rows_are_counted_and_never_shown(reported: Bench) -> None:
    spec = design_of(SMALL)
    red = spec.model_copy(update={"data": spec.data.model_copy(update={"tier": "red"})})
    plan = plan_of(SMALL).model_copy(update={"tier": "red", "spec_sha256": design_hash(red)})
    seal(reported.experiment, red, plan=plan)
    reply = reported.call("results_read", view="answers", run="rank16_lr1e-03_seed1")
    must_be_told(reply, "red", error=True)
    assert not any(name in reply.text for name in ("prompt_ids", "expected", "begin_of_text"))


# --- submitting ---


def test_an_edited_script_is_shown_as_a_diff_and_kept(bench: Bench) -> None:
    async def dialogue(talk: Talk) -> tuple[str, Reply, Reply]:
        plan_id = await talk.scaffold(bench.design)
        script = min(bench.experiment.glob("runs/*/finetune.slurm"))
        script.write_text(script.read_text(encoding="utf-8") + "echo mine\n", encoding="utf-8")
        again = await talk.call("runs_scaffold", dry_run=False, reason=WHY)
        return script.as_posix(), again, await talk.call("job_submit", plan_id=plan_id, reason=WHY)

    user = User()
    script, again, refused = bench.talk(dialogue, user=user)
    must_be_told(again, "echo mine", '"edited"')
    must_be_told(refused, "finetune.slurm", error=True)
    assert Path(script).read_text(encoding="utf-8").endswith("echo mine\n")
    assert user.asked == []


def test_a_plan_id_from_before_a_change_is_refused(bench: Bench) -> None:
    async def dialogue(talk: Talk) -> tuple[str, Reply]:
        old = await talk.scaffold(bench.design)
        await talk.call("experiment_write_summary", seeds=[2], reason=WHY)
        await talk.call("runs_scaffold", dry_run=False, reason=WHY)
        return old, await talk.call("job_submit", plan_id=old, reason=WHY)

    user = User()
    old, reply = bench.talk(dialogue, user=user)
    must_be_told(reply, f"plan `{old}` is not the sealed one", "hint: ", error=True)
    assert user.asked == []
    assert not records(bench, "SUBMIT_JOB")


def test_a_plan_that_changes_while_the_user_reads_the_question_queues_nothing(bench: Bench) -> None:
    def change() -> None:
        script = min(bench.experiment.glob("runs/*/finetune.slurm"))
        script.write_text(script.read_text(encoding="utf-8") + "curl evil\n", encoding="utf-8")

    async def dialogue(talk: Talk) -> Reply:
        return await talk.call("job_submit", plan_id=await talk.scaffold(bench.design), reason=WHY)

    must_be_told(bench.talk(dialogue, user=Script(change)), "finetune.slurm", error=True)
    assert not records(bench, "SUBMIT_JOB")


def test_a_user_who_says_no_is_told_that_nothing_was_submitted(bench: Bench) -> None:
    async def dialogue(talk: Talk) -> tuple[Reply, Reply]:
        plan_id = await talk.scaffold(bench.design)
        return await talk.call("job_submit", plan_id=plan_id, reason=WHY), await talk.call("job_status")

    refused, status = bench.talk(dialogue, user=User("decline"))
    must_be_told(refused, "the user said no", "nothing was submitted", '"submitted": false')
    assert not records(bench, "SUBMIT_JOB")
    assert set(status.content["phases"]) == {"not submitted"}


def test_a_cap_is_named_with_what_it_allows(bench: Bench) -> None:
    (bench.root / "site.yaml").write_text("caps: {max_jobs: 1}\n", encoding="utf-8")

    async def dialogue(talk: Talk) -> Reply:
        return await talk.call("job_submit", plan_id=await talk.scaffold(bench.design), reason=WHY)

    user = User()
    must_be_told(bench.talk(dialogue, user=user), "max_jobs", "1", error=True)
    assert user.asked == []


def test_two_servers_that_submit_at_once_queue_every_job_once(bench: Bench) -> None:
    plan_id = bench.talk(partial(Talk.scaffold, design=bench.design))

    async def both() -> list[Reply]:
        async def submit(talk: Talk) -> Reply:
            return await talk.call("job_submit", plan_id=plan_id, reason=WHY)

        return await asyncio.gather(*(asyncio.to_thread(bench.talk, submit, user=User()) for _ in range(2)))

    first, second = asyncio.run(both())
    # One of them may be told that the other holds the experiment; none may be told that it submitted what it did not.
    assert any(reply.content.get("submitted") for reply in (first, second))
    for reply in (first, second):
        must_be_told(reply, "is held by" if reply.error else '"submitted": true', error=reply.error)
    bench.talk(lambda talk: talk.finish(plan_id), user=User())
    assert len(records(bench, "SUBMIT_JOB")) == 2
    assert {len(path.read_text(encoding="utf-8").splitlines()) for path in bench.experiment.glob("runs/*/ran.txt")} == {
        1
    }


def test_an_impatient_user_who_submits_twice_has_each_job_once(bench: Bench) -> None:
    async def dialogue(talk: Talk) -> tuple[Reply, Reply]:
        plan_id, _ = await whole(talk, bench.design)
        return await talk.call("job_submit", plan_id=plan_id, reason=WHY), await talk.call("job_status")

    again, status = bench.talk(dialogue, user=User())
    must_be_told(again, "nothing was queued", '"already submitted": 2')
    assert status.content["phases"] == {"completed": 2}
    assert len(records(bench, "SUBMIT_JOB")) == 2


def test_an_interrupted_scaffold_is_taken_up_by_the_same_call(bench: Bench) -> None:
    async def dialogue(talk: Talk) -> tuple[str, str, Reply]:
        first = await talk.scaffold(bench.design)
        (bench.experiment / "design.lock.json").unlink()
        script = min(bench.experiment.glob("runs/*/finetune.slurm"))
        script.unlink()
        again = await talk.call("runs_scaffold", dry_run=False, reason=WHY)
        return first, again.content["plan_id"], again

    first, second, again = bench.talk(dialogue)
    must_be_told(again, second)
    assert first == second
    assert len(list(bench.experiment.glob("runs/*/finetune.slurm"))) == 2
