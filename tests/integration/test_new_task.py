"""Tasks made by `ck task new`: each kind runs, passes its own test, and is evaluated by a design."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cruijff_kit.bootstrap import open_world
from cruijff_kit.cli.main import cli
from cruijff_kit.data.prompts import fill_template
from cruijff_kit.errors import CruijffError
from cruijff_kit.rendering.task_text import render_rows, render_task, render_test
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.task import AnswerKind, TaskRequest
from cruijff_kit.workflow import collect_results, scaffold_runs, write_design
from tests.job_script import run_script
from tests.random_model import random_base
from tests.task_design import task_design

KINDS: Mapping[str, Sequence[str]] = {
    "letters": ("--answer", "choice", "--prompt", "What is {thing}?", "--scorer", "match", "--scorer", "risk"),
    "words": ("--answer", "options", "--option", "no", "--option", "yes", "--system", "Be brief."),
    "anything": ("--answer", "free", "--prompt", 'Say "{text}" in a \\ """word""".'),
    "amounts": ("--answer", "numeric",),
    "chances": ("--answer", "probability", "--option", "stays", "--option", "leaves"),
    "decisions": ("--answer", "json", "--option", "grant", "--option", "refuse", "--prompt", 'Case {case}: {"a": {}}'),
    "reviews": ("--answer", "options", "--option", "bad", "--option", "good", "--data", "data/reviews.json", "--prompt",
                "{text}", "--target", "mood", "--split", "validation"),
}  # fmt: skip


def ck(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(folder), *words], catch_exceptions=True)


def refusal(result: Result) -> str:
    assert isinstance(result.exception, CruijffError), result.output
    return str(result.exception)


def put_reviews(folder: Path) -> None:
    (folder / "data").mkdir()
    rows = [{"text": f"a film {n}", "mood": ("bad", "good")[n % 2]} for n in range(3)]
    splits = {"train": [{"text": "x", "mood": "good"}], "validation": rows}
    (folder / "data" / "reviews.json").write_text(json.dumps(splits), encoding="utf-8")


def test_every_kind_passes_its_test_and_is_evaluated_by_a_design(tmp_path: Path) -> None:
    root = tmp_path / "anyone"
    root.mkdir()
    put_reviews(root)
    entries = []
    for name, words in KINDS.items():
        made = ck(root, "task", "new", name, *words)
        assert made.exit_code == 0, made.output
        entries.append(made.output.partition("in a design:  ")[2].strip())
    proven = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "tasks"],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert proven.returncode == 0, proven.stdout + proven.stderr
    assert f"{2 * len(KINDS)} passed" in proven.stdout
    base = random_base(tmp_path / "base")
    asked = subprocess.run(
        [sys.executable, "-m", "inspect_ai", "eval", "tasks/words/task.py", "--model", "cruijff/base", "--limit", "2",
         "-M", f"model_path={base}", "-M", "device=cpu", "--max-tokens", "2", "--display", "none",
         "--log-dir", "alone"],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert len(list((root / "alone").glob("*.eval"))) == 1
    world = open_world(root, root=tmp_path, kind="human", name="ada", client=None)
    write_design(task_design(base, *entries), reason="shown here", world=world)
    (run,) = scaffold_runs(world=world).runs
    run_script(root / RunLayout(run).eval_script)
    table = collect_results(world=world)
    answered = {name: [each for each in table.predictions if each.task == name] for name in KINDS}
    assert {name: len(found) for name, found in answered.items()} == {**dict.fromkeys(KINDS, 4), "reviews": 3}
    assert {each.target for each in answered["decisions"]} == {"grant", "refuse"}
    assert {each.target for each in answered["letters"]} == {"A", "B"}
    assert {row.metric for row in table.rows if row.task == "amounts"} >= {"continuous/mae", "continuous/parse_rate"}


def test_nothing_is_replaced_unless_told_and_rows_never_are(tmp_path: Path) -> None:
    assert ck(tmp_path, "task", "new", "words", *KINDS["words"]).exit_code == 0
    rows, task = tmp_path / "tasks/words/samples.jsonl", tmp_path / "tasks/words/task.py"
    rows.write_text('{"question": "mine", "target": "yes"}\n', encoding="utf-8")
    before = task.read_text(encoding="utf-8")
    again = ck(tmp_path, "task", "new", "words", *KINDS["words"], "--caption", "Another.")
    assert "`tasks/words/task.py` is there already" in refusal(again)
    assert task.read_text(encoding="utf-8") == before
    assert ck(tmp_path, "task", "new", "words", *KINDS["words"], "--caption", "Another.", "--force").exit_code == 0
    assert "Another." in task.read_text(encoding="utf-8")
    assert rows.read_text(encoding="utf-8") == '{"question": "mine", "target": "yes"}\n'


def test_a_dry_run_shows_every_file_and_writes_none(tmp_path: Path) -> None:
    shown = ck(tmp_path, "task", "new", "words", *KINDS["words"], "--dry-run")
    assert shown.exit_code == 0
    assert all(f"── tasks/words/{name}" in shown.output for name in ("task.py", "test_words.py", "samples.jsonl"))
    assert "nothing written" in shown.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words,told",
    (
        (("New", "--answer", "free"), "`New` is not allowed"),
        (("x", "--answer", "options", "--option", "yes"), "need two options at least"),
        (("x", "--answer", "options", "--option", "yes", "--option", "yes "), "an option is blank or named twice"),
        (("x", "--answer", "free", "--option", "yes"), "take no options"),
        (("x", "--answer", "numeric", "--scorer", "risk"), "`risk` does not score answers of kind `numeric`"),
        (("x", "--answer", "choice", "--scorer", "risk"), "another scorer decides"),
        (("x", "--answer", "free", "--prompt", "{target}"), "`target` is the answer, and the prompt names it"),
        (("x", "--answer", "free", "--data", "none.csv"), "`none.csv` cannot be read"),
        (("x", "--answer", "free", "--data", "rows.csv"), "rows.csv:2: the row has no column `question`"),
        (("x", "--answer", "free", "--data", "rows.csv", "--prompt", "{text}", "--target", "b"), "no column `b`"),
        (("x", "--answer", "numeric", "--data", "rows.csv", "--prompt", "{text}"), "is no number"),
        (
            ("x", "--answer", "options", "--option", "a", "--option", "b", "--data", "rows.csv", "--prompt", "{text}"),
            "is none of the options",
        ),
        (("x", "--answer", "free", "--data", "split.csv", "--prompt", "{text}"), "there is no split `test`"),
    ),
)
def test_what_does_not_fit_is_refused_with_a_remedy(words: Sequence[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,target\none,secret\n", encoding="utf-8")
    (tmp_path / "split.csv").write_text("text,target,split\none,secret,dev\n", encoding="utf-8")
    text = refusal(ck(tmp_path, "task", "new", *words))
    assert told in text
    assert "hint:" in text
    assert "secret" not in text
    assert not (tmp_path / "tasks").exists()


def test_no_task_takes_the_place_of_a_name_that_its_file_uses() -> None:
    used = {"class", "in"}
    for answer in get_args(AnswerKind):
        options = ["a", "b"] if answer in {"options", "probability"} else []
        told = {"name": "plain", "answer": answer, "options": options}
        text = render_task(TaskRequest.model_validate(told), folder="tasks/plain", data="d.json", entry="")
        nodes = list(ast.walk(ast.parse(text)))
        own = {node.arg for node in nodes if isinstance(node, ast.arg)}
        own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        used |= {node.id for node in nodes if isinstance(node, ast.Name)} - own
    for name in sorted(each for each in used if each.islower() and not each.startswith("_")):
        with pytest.raises(ValidationError, match="uses itself"):
            TaskRequest(name=name, answer="free")


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=20), st.lists(st.text(max_size=8), max_size=3))
def test_whatever_words_are_given_the_files_are_python_that_says_them(
    prompt: str, system: str, caption: str, options: list[str]
) -> None:
    options = list(dict.fromkeys(each.strip() for each in options if each.strip() and not set("{}") & set(each)))
    kind = "options" if len(options) >= 2 else "free"
    request = TaskRequest(
        name="words",
        answer=kind,
        prompt=prompt,
        system=system,
        caption=caption,
        options=tuple(options) if kind == "options" else (),
    )
    names: dict[str, object] = {}
    text = render_task(request, folder="tasks/words", data="samples.jsonl", entry="- {name: words}")
    head = text.partition("\n@task")[0].partition("DATA = ")[2].partition("\n")[2]
    exec(compile(head, "task.py", "exec"), names)
    compile(text, "task.py", "exec")
    compile(render_test(request), "test_words.py", "exec")
    assert names["SYSTEM"] == system
    assert str(names["PROMPT"]).startswith(prompt)
    row = json.loads(render_rows(request).splitlines()[0])
    filled = fill_template(str(names["PROMPT"]), {key: str(value) for key, value in row.items()})
    assert all(option in filled for option in request.options)
