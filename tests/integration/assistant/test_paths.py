"""Nothing outside the project root is read or written, by whatever name or link it is asked for (S01 to S05, S32)."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_world
from cruijff_kit.errors import CruijffError, SiteError
from cruijff_kit.mcp_server.server import build, main
from cruijff_kit.mcp_server.surface import SURFACE
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Plan
from tests.fakes.handed_over import output_of
from tests.mcp_bench import NAME, WHY, Bench, Reply, User

pytestmark = pytest.mark.once

MARK = "mark-of-the-outside"
"""Stands in files that no answer may hold anything of."""
LOOKS: dict[str, dict[str, Any]] = {
    "experiment_archive": {"dry_run": False, "reason": WHY},
    "experiment_validate": {"design": "name: x"},
    "experiment_write_summary": {"design": "name: x", "reason": WHY},
    "data_show": {},
    "decision_record": {"question": "q?", "choice": "c", "reason": WHY},
    "runs_scaffold": {"dry_run": False, "reason": WHY},
    "job_submit": {"plan_id": "ab" * 32, "reason": WHY},
    "job_status": {},
    "job_watch": {"timeout": 0, "reason": WHY},
    "job_cancel": {"reason": WHY},
    "logs_tail": {"run": "r"},
    "results_report": {"reason": WHY},
    "results_read": {},
    "audit_read": {},
}
"""One call of each tool that was there when this was written; a new one is called with a reason alone."""
OF_ONE = sorted(set(SURFACE) - {"experiments_search"})
"""Tools that are told which experiment; the search looks through the project."""
HOSTILE = {
    "absolute": "/etc/passwd",
    "home": "~",
    "home of root": "~root/.ssh",
    "NUL": "bits\0",
    "URL": "file:///etc/passwd",
    "encoded": "%2e%2e%2fetc",
    "encoded twice": "%252e%252e",
    "UNC": "\\\\host\\share",
    "long": "x" * 300,
    "climbing": "../evil",
    "climbing later": "a/../../evil",
    "dots": "..",
    "dot": ".",
    "empty": "",
    "newline": "bits\n",
    "fullwidth": "ｂｉｔｓ",
    "option": "--wrap=id",
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder beside the project whose name begins like the project's, full of marks."""
    folder = tmp_path / "project-evil"
    (folder / "logs").mkdir(parents=True)
    for name in ("experiment_summary.md", "summary.md", "run.yaml", "slurm-1.out", "plan.json", "logs/audit.jsonl"):
        (folder / name).write_text(f"{MARK}\n", encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def call(bench: Bench, tool: str, **arguments: Any) -> Reply:
    """Make one call on an experiment that is named."""
    return bench.call(tool, user=User("tick"), **arguments)


@pytest.mark.parametrize("tool", OF_ONE)
@pytest.mark.parametrize("name", ("../project-evil", "project-evil/../../project-evil", "..project-evil/."))
def test_s01_a_folder_whose_name_begins_like_the_root_is_outside(
    tool: str, name: str, bench: Bench, outside: Path
) -> None:
    before = contents(outside)
    reply = call(bench, tool, **{**LOOKS.get(tool, {"reason": WHY}), "experiment": name})
    assert reply.error
    assert MARK not in reply.text
    assert contents(outside) == before


def test_s02_the_search_tells_nothing_of_an_experiment_that_is_a_link(bench: Bench, outside: Path) -> None:
    bench.experiment.symlink_to(outside, target_is_directory=True)
    before = contents(outside)
    reply = call(bench, "experiments_search")
    assert reply.content["total"] == 0
    assert MARK not in reply.text
    assert contents(outside) == before


@pytest.mark.parametrize("tool", OF_ONE)
def test_s02_an_experiment_that_is_a_link_is_refused_by_every_tool(tool: str, bench: Bench, outside: Path) -> None:
    bench.experiment.symlink_to(outside, target_is_directory=True)
    before = contents(outside)
    reply = call(bench, tool, **LOOKS.get(tool, {"reason": WHY}))
    assert reply.error
    assert "is a link" in reply.text
    assert MARK not in reply.text
    assert contents(outside) == before


@pytest.mark.parametrize("place", ("design", "report", "configuration", "log", "plan", "run folder"))
def test_s02_a_link_inside_an_experiment_is_not_followed(place: str, ended: tuple[Bench, Plan], outside: Path) -> None:
    bench, plan = ended
    run = RunLayout(plan.runs[0].id)
    targets = {
        "design": (ExperimentLayout.summary, "experiment_summary.md"),
        "report": (ExperimentLayout.report, "summary.md"),
        "configuration": (run.run_yaml, "run.yaml"),
        "log": (output_of(bench.experiment, run.run_id).relative_to(bench.experiment), "slurm-1.out"),
        "plan": (ExperimentLayout.plan, "plan.json"),
        "run folder": (run.folder, ""),
    }
    inside, target = bench.experiment / targets[place][0], outside / targets[place][1]
    if inside.is_dir():
        inside.rename(inside.with_name("moved"))
    inside.unlink(missing_ok=True)
    inside.symlink_to(target)
    before = contents(outside)
    told = [call(bench, tool, **given).text for tool, given in {**LOOKS, "logs_tail": {"run": run.run_id}}.items()]
    read = f"cruijff://experiments/{NAME}"
    told += [resource(bench, f"{read}/{each}") for each in ("design", "report")]
    told += [resource(bench, f"{read}/runs/{run.run_id}/{each}") for each in ("configuration", "log")]
    assert not [text for text in told if MARK in text]
    assert contents(outside) == before


def resource(bench: Bench, uri: str) -> str:
    """Return what a client reads there, or why it may not."""

    async def reading() -> str:
        async with Client(build(bench.root)) as client:
            try:
                return str(await client.read_resource(uri))
            except MCPError as err:
                return str(err)

    return asyncio.run(reading())


ACTS: dict[str, Callable[[Any], Any]] = {
    "reads a document": lambda world: workflow.read_document("design", world=world),
    "reads the record": lambda world: workflow.read_audit(after=-1, limit=5, world=world),
    "reads the plan": lambda world: workflow.read_status(world=world),
    "writes a decision": lambda world: workflow.record_decision("q?", choice="c", reason=WHY, world=world),
    "writes a design": lambda world: workflow.write_design("name: bits", reason=WHY, world=world),
}


@pytest.mark.parametrize("act", ACTS)
def test_s03_a_folder_that_is_swapped_for_a_link_once_it_was_checked_is_not_followed(
    act: str, bench: Bench, outside: Path
) -> None:
    bench.experiment.mkdir()
    world = open_world(bench.experiment, root=bench.root, kind="assistant", name="t", client=None)
    bench.experiment.rename(bench.root / "moved")
    bench.experiment.symlink_to(outside, target_is_directory=True)
    before = contents(outside)
    with pytest.raises(CruijffError) as caught:
        ACTS[act](world)
    assert MARK not in str(caught.value)
    assert contents(outside) == before


@pytest.mark.parametrize(
    "name", ("../project-evil/plan.json", "runs/../../project-evil", "/etc/passwd", "plan.json/..")
)
def test_s04_a_path_to_overwrite_that_climbs_is_refused(name: str, ended: tuple[Bench, Plan], outside: Path) -> None:
    bench, _ = ended
    before = contents(outside)
    reply = call(bench, "runs_scaffold", dry_run=False, overwrite=[name], reason=WHY)
    assert reply.error
    assert MARK not in reply.text
    assert contents(outside) == before


@pytest.mark.parametrize("job_id", ("1/../../../../project-evil/slurm-1", "/../../../../project-evil/slurm-1", "../1"))
def test_s04_a_log_whose_place_a_run_tells_itself_does_not_lead_out(
    job_id: str, ended: tuple[Bench, Plan], outside: Path
) -> None:
    bench, plan = ended
    run = RunLayout(plan.runs[0].id)
    record = bench.experiment / run.job("train", 1)
    record.write_text(json.dumps({**json.loads(record.read_text("utf-8")), "job_id": job_id}), encoding="utf-8")
    for tool, given in (("logs_tail", {"run": run.run_id}), ("job_status", {}), ("job_watch", LOOKS["job_watch"])):
        assert MARK not in call(bench, tool, **given).text
    assert MARK not in resource(bench, f"cruijff://experiments/{NAME}/runs/{run.run_id}/log")


@pytest.mark.parametrize("field", ("name: {}", "name: bits\nruns: [{{name: {}}}]", "factors: {{{}: [1, 2]}}"))
def test_s04_a_key_or_name_of_a_design_that_climbs_makes_no_file_outside(
    field: str, bench: Bench, outside: Path
) -> None:
    place = "../../project-evil/made"
    changed = "\n".join([*(bench.design.splitlines()[1:]), field.format(json.dumps(place))])
    around = contents(bench.root.parent)
    reply = call(bench, "experiment_write_summary", design=changed, reason=WHY)
    assert reply.error
    assert {path for path in contents(bench.root.parent) if not path.startswith("project/")} == set(around)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("tool,argument", (("job_status", "experiment"), ("logs_tail", "run"), ("data_show", "run")))
def test_s05_a_name_that_is_a_path_is_refused_by_what_names_may_be(
    value: str, tool: str, argument: str, bench: Bench
) -> None:
    reply = call(bench, tool, **{**LOOKS[tool], argument: value})
    assert reply.error
    assert "pattern" in reply.text
    assert "root:x:" not in reply.text


@pytest.mark.parametrize("root", ("/", "~", "//", "/../"))
def test_s32_the_server_does_not_start_over_everything(
    root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SiteError, match="cannot be the project root"):
        build(Path(root).expanduser())
    monkeypatch.setenv("CRUIJFF_ROOT", str(Path(root).expanduser()))
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code
    assert "cannot be the project root" in capsys.readouterr().err
