"""`ck models` and `ck estimate` at the command line: what a person sees, and how a check ends."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.cli.main import cli
from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import ResultError, SpecError
from tests.fakes.designed import DESIGN
from tests.training_runs import random_base


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("published") / "tiny")


@pytest.fixture
def project(saved: Path, tmp_path: Path) -> Path:
    """Return a project whose models directory holds one model that the registry does not know."""
    shutil.copytree(saved, tmp_path / "models" / "tiny")
    (tmp_path / "site.yaml").write_text(f"models_dir: {tmp_path / 'models'}\n", encoding="utf-8")
    return tmp_path


def ck(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(project / "parity"), *arguments], catch_exceptions=True)


def test_the_list_tells_what_is_known_and_what_is_here(project: Path) -> None:
    every = ck(project, "models", "list").output.splitlines()
    assert any(line.startswith("Llama-3.3-70B-Instruct") and "320G, 4 GPU" in line for line in every)
    (here,) = json.loads(ck(project, "models", "list", "--here", "--json").output)
    assert (here["name"], here["entry"], here["path"]) == ("tiny", None, str(project / "models" / "tiny"))


def test_the_list_is_of_the_registry_or_of_this_machine_where_a_source_is_named(project: Path) -> None:
    named = {
        source: [each["name"] for each in json.loads(ck(project, "models", "list", *words, "--json").output)]
        for source, words in {
            "all": (),
            "huggingface": ("--source", "huggingface"),
            "local": ("--source", "local"),
            "neither": ("--source", "huggingface", "--here"),
        }.items()
    }
    assert named["local"] == ["tiny"]
    assert "Qwen3-4B" in named["huggingface"]
    assert sorted(named["huggingface"] + named["local"]) == sorted(named["all"])
    assert named["neither"] == []
    other = ck(project, "models", "list", "--source", "cache")
    assert other.exit_code == 2
    assert "'all', 'huggingface', 'local'" in other.output


@pytest.mark.parametrize("model,says", (("tiny", "LlamaForCausalLM"), ("Qwen3-4B", "Qwen/Qwen3-4B")))
def test_info_is_of_a_directory_or_of_the_registry(model: str, says: str, project: Path) -> None:
    assert says in ck(project, "models", "info", model).output


def test_a_model_that_is_whole_passes_its_check(project: Path) -> None:
    found = ck(project, "models", "check", "tiny")
    assert found.exit_code == 0
    assert "content hash" in found.output
    assert "it has no such entry" in found.output


def test_a_model_that_only_carries_a_known_name_is_told_apart(project: Path) -> None:
    (project / "models" / "tiny").rename(project / "models" / "Llama-3.2-1B")
    found = ck(project, "models", "check", "Llama-3.2-1B")
    assert isinstance(found.exception, ResultError)
    assert "hidden_size is 128, not 2048" in found.output


def test_a_check_tells_an_adapter_beside_the_weights(project: Path) -> None:
    (project / "models" / "tiny" / "adapter_config.json").write_text("{}", encoding="utf-8")
    found = ck(project, "models", "check", "tiny")
    assert isinstance(found.exception, ResultError)
    assert "adapter_config.json" in str(found.exception)


def test_estimate_shows_each_part_and_every_split_that_keeps_the_batch(project: Path) -> None:
    design = {**DESIGN, "models": [{"name": "tiny", "path": "tiny"}], "resources": {"mem": "500M"}}
    (project / "design.yaml").write_text(dump_yaml(design), encoding="utf-8")
    assert ck(project, "design", "write", str(project / "design.yaml"), "--reason", "first").exit_code == 0
    summary = (project / "parity" / "experiment_summary.md").read_text(encoding="utf-8")
    assert "| · activations | " in summary
    text = ck(project, "estimate").output
    assert "DOES NOT FIT in 500.0 MiB (`resources.mem`)" in text
    assert "4 x 1" in text
    assert "the effective batch stays 4" in text
    report = json.loads(ck(project, "estimate", "rank16_lr1e-3_seed2", "--json").output)
    assert sum(report["runs"][0]["memory"].values()) == report["runs"][0]["splits"][0]["bytes"]


def test_applying_needs_a_run_and_a_reason(project: Path) -> None:
    refused = ck(project, "estimate", "--apply-split", "2")
    assert "for a reason" in str(refused.exception)


def test_what_training_takes_is_told_part_by_part_and_for_models_that_are_not_here(project: Path) -> None:
    told = json.loads(ck(project, "models", "info", "Qwen3-4B", "--memory", "--json").output)
    assert told["memory"]["weights"] > 4 * 3.9e9
    assert told["most_rows"] is not None
    small = json.loads(ck(project, "models", "info", "tiny", "-m", "--json", "--max-seq-len", "16").output)
    assert small["memory"]["activations"] < told["memory"]["activations"]
    assert (small["backend"], small["formula"]) == ("peft", "torch's, held against measurements on CPUs")
    shown = ck(project, "models", "info", "tiny", "--memory", "--backend", "mlx").output
    assert "in all" in shown
    assert "the formula is MLX's, held against measurements on CPUs" in shown
    assert ", by mlx" in shown
    mlx = json.loads(
        ck(project, "models", "info", "tiny", "-m", "--json", "--max-seq-len", "16", "--backend", "mlx").output
    )
    assert mlx["memory"] != small["memory"]


def test_numbers_that_no_training_has_are_refused_all_at_once_where_its_memory_is_asked(project: Path) -> None:
    words = ("--memory", "--batch-size", "0", "--lora-rank", "-1", "--max-seq-len", "0")
    refused = ck(project, "models", "info", "tiny", *words).exception
    assert isinstance(refused, SpecError)
    assert sorted(problem.path for problem in refused.problems) == ["batch_size", "lora_rank", "max_seq_len"]


def test_a_model_is_not_removed_without_the_typed_word(project: Path) -> None:
    asked = ck(project, "models", "rm", "tiny")
    assert "there is no terminal" in str(asked.exception)
    assert (project / "models" / "tiny" / "config.json").is_file()


def test_a_model_is_removed_where_the_user_s_own_file_lets_it_happen_unasked(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "cruijff-kit").mkdir(parents=True)
    (own / "cruijff-kit" / "site.yaml").write_text("allow_unattended: true\n", encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(own))
    found = ck(project, "models", "rm", "tiny", "--yes")
    assert "removed" in found.output
    assert not (project / "models" / "tiny").exists()
    assert "there are: none" in str(ck(project, "models", "rm", "tiny", "--yes").exception)


@pytest.mark.parametrize(
    "words, fact",
    (
        (("tiny",), "converting models needs `mlx"),
        (("gone",), "does not exist"),
        (("tiny", "--output-format", "hf", "--bits", "4"), "few bits a weight are MLX's"),
    ),
)
def test_a_conversion_that_cannot_be_is_refused_and_leaves_nothing(
    words: tuple[str, ...], fact: str, project: Path
) -> None:
    found = ck(project, "models", "convert", *words, "--out", str(project / "made"))
    assert fact in str(found.exception)
    assert not (project / "made").exists()


def test_a_project_s_own_site_file_counts_in_its_directory(project: Path) -> None:
    found = CliRunner().invoke(cli, ["-C", str(project), "models", "list", "--here", "--json"])
    assert json.loads(found.output)[0]["path"] == str(project / "models" / "tiny")
