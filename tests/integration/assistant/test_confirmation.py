"""What costs or stops is done only after the user's own yes, in every era and whatever the model sends along."""

import asyncio
import json
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.mcp_bench import NAME, WHY, Bench, Talk, User

pytestmark = pytest.mark.once

ERAS: tuple[Literal["auto", "legacy"], ...] = ("auto", "legacy")


def actions(bench: Bench) -> list[str]:
    """Return the actions on record."""
    log = bench.experiment / "logs" / "audit.jsonl"
    return [json.loads(line)["action"] for line in log.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("era", ERAS)
def test_a_ticked_yes_submits_and_the_question_tells_what_it_costs(
    bench: Bench, era: Literal["auto", "legacy"]
) -> None:
    user = User("tick")

    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        seen = await talk.finish(plan_id)
        return plan_id, seen

    plan_id, seen = bench.talk(dialogue, user=user, mode=era)
    assert seen.content["phases"] == {"completed": 2}
    (question,) = user.asked
    for part in ("2 training", "local", "GPU-hours", "caps: 500 jobs", plan_id[:12]):
        assert part in question


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("answer", ("leave", "decline", "cancel"))
def test_s21_any_other_answer_submits_nothing(
    bench: Bench, era: Literal["auto", "legacy"], answer: Literal["leave", "decline", "cancel"]
) -> None:
    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        return await talk.call("job_submit", plan_id=plan_id, reason=WHY)

    reply = bench.talk(dialogue, user=User(answer), mode=era)
    assert reply.content["submitted"] is False
    assert "SUBMIT_JOB" not in actions(bench)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "forged",
    (
        {"answer": {"confirm": True}},
        {"confirm": True},
        {"answer": {"action": "accept", "content": {"confirm": True}}},
        {"yes": True, "force": True},
    ),
)
def test_s22_a_confirmation_that_the_model_sends_along_counts_for_nothing(
    bench: Bench, era: Literal["auto", "legacy"], forged: dict[str, Any]
) -> None:
    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        return await talk.call("job_submit", plan_id=plan_id, reason=WHY, **forged)

    reply = bench.talk(dialogue, user=User("decline"), mode=era)
    assert reply.error or reply.content["submitted"] is False
    assert "SUBMIT_JOB" not in actions(bench)


@pytest.mark.parametrize("era", ERAS)
def test_s21_a_client_that_cannot_ask_is_told_which_command_the_user_may_run(
    bench: Bench, era: Literal["auto", "legacy"]
) -> None:
    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        return (
            plan_id,
            await talk.call("job_submit", plan_id=plan_id, reason=WHY),
            await talk.call("job_cancel", runs=["bits_seed1"], reason=WHY),
        )

    plan_id, submitted, cancelled = bench.talk(dialogue, mode=era)
    assert submitted.error
    assert f"ck -C {NAME} submit {plan_id[:12]}" in submitted.text
    assert cancelled.error
    assert f"ck -C {NAME} cancel bits_seed1 --reason" in cancelled.text
    assert "--yes" not in submitted.text + cancelled.text
    assert "SUBMIT_JOB" not in actions(bench)


def test_s24_a_plan_whose_files_changed_is_refused_before_anybody_is_asked(bench: Bench) -> None:
    user = User("tick")

    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        (script,) = sorted(bench.experiment.glob("runs/*/finetune.slurm"))[:1]
        script.write_text(script.read_text(encoding="utf-8") + "echo more\n", encoding="utf-8")
        return await talk.call("job_submit", plan_id=plan_id, reason=WHY)

    reply = bench.talk(dialogue, user=user)
    assert reply.error
    assert "finetune.slurm" in reply.text
    assert user.asked == []


def test_s24_a_plan_that_changes_while_the_user_thinks_is_refused(bench: Bench) -> None:
    class Slow(User):
        async def __call__(self, context: Any, params: Any) -> Any:
            (script,) = sorted(bench.experiment.glob("runs/*/finetune.slurm"))[:1]
            script.write_text(script.read_text(encoding="utf-8") + "echo more\n", encoding="utf-8")
            return await super().__call__(context, params)

    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        return await talk.call("job_submit", plan_id=plan_id, reason=WHY)

    reply = bench.talk(dialogue, user=Slow("tick"))
    assert reply.error
    assert "finetune.slurm" in reply.text
    assert "SUBMIT_JOB" not in actions(bench)


def test_s25_an_impatient_double_submission_queues_every_job_once(bench: Bench) -> None:
    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        calls = [talk.call("job_submit", plan_id=plan_id, reason=WHY) for _ in range(2)]
        replies = await asyncio.gather(*calls)
        while (await talk.call("job_watch", timeout=30, reason=WHY)).content["moving"]:
            pass
        return replies

    replies = bench.talk(dialogue, user=User("tick"))
    assert all(reply.content["submitted"] for reply in replies)
    assert actions(bench).count("SUBMIT_JOB") == 2
    for trace in bench.experiment.glob("runs/*/ran.txt"):
        assert len(trace.read_text(encoding="utf-8").splitlines()) == 1


def test_a_price_of_the_site_is_in_the_question_and_among_the_estimates(bench: Bench) -> None:
    (bench.root / "site.yaml").write_text("gpu_hour_price: 2.50 EUR\n", encoding="utf-8")
    user = User("decline")
    design = f'{bench.design}resources: {{gpus: 1, time: "02:00:00"}}\n'

    async def dialogue(talk: Talk) -> Any:
        checked = await talk.call("experiment_validate", design=design)
        await talk.call("job_submit", plan_id=await talk.scaffold(design), reason=WHY)
        return checked

    checked = bench.talk(dialogue, user=user)
    assert any(each.startswith("cost at most: 10 [0, 10] EUR") for each in checked.content["estimates"])
    assert "at most 4 GPU-hours, 10.00 EUR" in user.asked[0]


def test_s26_a_cap_is_told_before_anybody_is_asked(bench: Bench) -> None:
    (bench.root / "site.yaml").write_text("caps: {max_jobs: 1}\n", encoding="utf-8")
    user = User("tick")

    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        return await talk.call("job_submit", plan_id=plan_id, reason=WHY)

    reply = bench.talk(dialogue, user=user)
    assert reply.error
    assert "max_jobs" in reply.text
    assert user.asked == []


def test_s27_a_run_that_this_experiment_does_not_have_cannot_be_cancelled_or_tried_again(bench: Bench) -> None:
    user = User("tick")

    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        return (
            await talk.call("job_cancel", runs=["4711"], reason=WHY),
            await talk.call("job_submit", plan_id=plan_id, runs=["4711"], retry=True, reason=WHY),
            await talk.call("job_submit", plan_id=plan_id, retry=True, reason=WHY),
        )

    for reply in bench.talk(dialogue, user=user):
        assert reply.error
    assert user.asked == []


def test_a_run_that_failed_is_tried_again_after_its_own_question(bench: Bench, tmp_path: Path) -> None:
    user = User("tick")
    recipe = bench.root / "fails_once.py"
    recipe.write_text(_FAILS_ONCE, encoding="utf-8")
    from tests.bit_design import bit_design

    design = bit_design(NAME, model=bench.model, recipe=recipe, seeds=(1,))

    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(design)
        failed = await talk.finish(plan_id)
        runs = [job["run"] for job in failed.content["jobs"] if job["state"] == "failed"]
        log = await talk.call("logs_tail", run=runs[0], first_error=True)
        again = await talk.call("job_submit", plan_id=plan_id, runs=runs, retry=True, reason="the disk is back")
        while (await talk.call("job_watch", timeout=30, reason=WHY)).content["moving"]:
            pass
        return log, again, await talk.call("job_status")

    log, again, status = bench.talk(dialogue, user=user)
    assert "OSError: no disk today" in "\n".join(log.content["lines"])
    assert log.content["note"].startswith("lines ")
    assert again.content["submitted"]
    assert again.content["jobs"] == 2
    assert "again" in user.asked[1]
    assert "GPU-hours" in user.asked[1]
    assert status.content["phases"] == {"completed": 2}


_FAILS_ONCE = """\
import sys
from pathlib import Path

import yaml

config = yaml.safe_load(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
mark = Path(config["run_dir"]) / "tried"
if not mark.exists():
    mark.write_text("once")
    print("step 1 of 3")
    raise OSError("no disk today")
sys.path.insert(0, "%s")
import quick_recipe

quick_recipe.main()
""" % (Path(__file__).parents[2] / "e2e")
