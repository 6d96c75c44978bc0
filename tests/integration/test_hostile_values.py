"""Hostile values in every text of site and design: none reaches a shell or a directive as anything but itself."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cruijff_kit.adapters.sbatch_lines import read_directives
from cruijff_kit.errors import CruijffError, PlanError, SpecError
from cruijff_kit.planning.registry import known_models
from cruijff_kit.planning.site_parse import read_sites
from cruijff_kit.ports import World
from cruijff_kit.rendering.job_script import JobScript
from cruijff_kit.rendering.sbatch import parse_script, render_script
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.site_reading import SiteFile
from cruijff_kit.schema.spec import Controls, ExperimentSpec
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.model_hub import model_facts

# A path inside, so that it is made wherever a shell takes the word for a command.
TOUCH = "touch owned"
THREATS = {
    "S06": (
        f"x;{TOUCH}", f"x|{TOUCH}", f"x&{TOUCH}", f"$({TOUCH})", f"`{TOUCH}`", "x>owned", "x<owned", "*", "?x", "!x",
        f"';{TOUCH};'", f'";{TOUCH};"', f"x\\';{TOUCH}", f"x\\\";{TOUCH}", "x\\", f"x\n{TOUCH}", f"x\t{TOUCH}",
        "${HOME}", "$IFS", "~root", "\u202e\u2066x", "\x1b[31mx", "\udc80",
    ),
    "S07": ("gpu --wrap=id", f"gpu;{TOUCH}", "gpu,debug", "node[1-9]", f"lab\n#SBATCH --wrap='{TOUCH}'"),
    "S08": ("-x", "--wrap=id", "--", "--partition=debug"),
    "S09": (
        f"x\r{TOUCH}", f"x\u2028{TOUCH}", f"x\x85{TOUCH}", f"x\v{TOUCH}", "x\0y", f"x\n#SBATCH --wrap='{TOUCH}'",
        "x #SBATCH --wrap=id",
    ),
    "S10": ("%j/../%x", "%x/%j", "../../owned", "a/b"),
    "S11": ("a,B=c", "ALL,LD_PRELOAD=x", "x=y"),
    "S12": ("{{7*7}}", "{7*7}", "%(columns)s", "{% raw %}"),
}  # fmt: skip
"""Hostile values by what they try."""
HOSTILE = tuple(value for values in THREATS.values() for value in values)
STUB = """\
#!/bin/sh
exec "{python}" -c 'import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))' "$@"
"""
QUIET = "#!/bin/sh\nexit 0\n"
CONDA = '#!/bin/sh\necho "$CK_STUBS"\n'
ENTRY = known_models(Site())[0].model_dump(mode="json")


KEY = "(key)"
KEYS: dict[tuple[str, ...], tuple[str, ...]] = {}
"""Names that a mapping takes, where it takes no others."""


def texts_of(noun: type[Noun], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every text in a noun, `[]` for an item of a list; keys of mappings are texts too."""
    for name, field in noun.model_fields.items():
        yield from _texts_in(field.annotation, (*prefix, name))


def _texts_in(annotation: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if annotation in (str, Any):
        yield path
    elif isinstance(annotation, type) and issubclass(annotation, Noun):
        yield from texts_of(annotation, path)
    elif getattr(annotation, "__origin__", None) is dict:
        value = get_args(annotation)[1]
        yield (*path, f"{KEY}{json.dumps(_sample(value))}")
        for name in KEYS.get(path, ("CK_TRIED",)):
            yield from _texts_in(value, (*path, name))
    elif getattr(annotation, "__origin__", None) is tuple:
        yield from (found for arg in get_args(annotation)[:1] for found in _texts_in(arg, (*path, "[]")))
    else:
        # An alias or a union; metadata of an alias is no type.
        inner = (arg for arg in get_args(annotation) if arg is str or not isinstance(arg, str))
        yield from dict.fromkeys(found for arg in inner for found in _texts_in(arg, path))


def _sample(annotation: Any) -> Any:
    """Return a harmless value for a hostile key."""
    if annotation is str:
        return "x"
    return [1] if getattr(annotation, "__origin__", None) is tuple else 1


# What a design may vary is named in mappings; each of these names takes a text.
VARIED = ("model", *sorted({path[0] for path in texts_of(Controls)}))
KEYS.update({("factors",): VARIED, ("runs", "[]", "parameters"): VARIED})
SITE_TEXTS = sorted(set(texts_of(Site)))
DESIGN_TEXTS = sorted(set(texts_of(ExperimentSpec)))
NEEDED: Mapping[tuple[str, ...], dict[str, Any]] = {
    ("partitions",): {"name": "gpu"},
    ("models",): ENTRY,
}


def put(base: Mapping[str, Any], path: tuple[str, ...], value: str) -> dict[str, Any]:
    """Return plain data with a value at a path, and around it whatever its neighbours need."""
    name, *rest = path
    if not rest:
        return {**base, name: value}
    inner = base.get(name)
    if rest[0].startswith(KEY):
        return {**base, name: {**(inner or {}), value: json.loads(rest[0].removeprefix(KEY))}}
    if rest[0] != "[]":
        return {**base, name: put(inner or {}, tuple(rest), value)}
    if len(rest) == 1:
        return {**base, name: [value]}
    items = list(inner or [NEEDED.get((name,), {})])
    return {**base, name: [put(items[0], tuple(rest[1:]), value), *items[1:]]}


@pytest.fixture
def stubs(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `python`, `module` and `conda` are programs that do nothing."""
    import sys

    folder = tmp_path / "stubs"
    (folder / "etc" / "profile.d").mkdir(parents=True)
    (folder / "etc" / "profile.d" / "conda.sh").write_text("conda() { :; }\n", encoding="utf-8")
    for name, text in {"python": STUB.format(python=sys.executable), "module": QUIET, "conda": CONDA}.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "CK_STUBS": str(folder)}


def prove(script: str, stubs: Mapping[str, str], tmp_path: Path) -> None:
    """Read a script by every reader, then run it: its words arrive as they are, and nothing else happens."""
    job = parse_script(script)
    read_directives(script.encode(), name="job.slurm")
    for line in script.split("\n\n", maxsplit=1)[0].splitlines()[1:]:
        assert re.match(r"#SBATCH --[a-z-]+(=|$)", line), line
    assert subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True, check=True).stderr == b""
    Path(job.folder).mkdir(parents=True, exist_ok=True)
    activate = Path(f"{job.venv}/bin/activate") if job.venv else None
    if activate is not None and str(tmp_path) in str(activate):
        activate.parent.mkdir(parents=True, exist_ok=True)
        activate.write_text(":\n", encoding="utf-8")
    done = subprocess.run(["bash", "-s"], input=script.encode(), capture_output=True, check=False, env=dict(stubs))
    assert done.returncode == 0, done.stderr
    words, environment = json.loads(done.stdout)
    assert words == list(job.command[1:])
    assert {name: environment[name] for name, _ in job.variables} == dict(job.variables)
    assert list(tmp_path.rglob("owned")) == []


def tried(site: Mapping[str, Any], spec: Mapping[str, Any], tmp_path: Path) -> list[str]:
    """Return the scripts that a site and a design make; none where they are refused in our own words."""
    root = tmp_path / "parity"
    try:
        read_sites([SiteFile(level="user", path="site.yaml", text=json.dumps(site))])
        world = world_of(root, Site.model_validate(site))
        put_design(root, design(**spec))
        receipt = scaffold_runs(dry_run=True, world=world)
    except (CruijffError, ValidationError):
        return []
    return [change.content for change in receipt.changes if change.path.endswith(".slurm")][:2]


def world_of(root: Path, site: Site) -> World:
    root.mkdir(exist_ok=True)
    # A relative model is looked up in the site's directory, whatever that is called.
    return world_at(root, model_facts(), model_facts(f"{site.models_dir}/models/tiny"), site=site)


BASE = {"environment": {"kind": "none"}}
SPEC = {**DESIGN, "factors": {}, "runs": [{"name": "tuned"}], "controls": {"seeds": [1]}, "resources": {"gpus": 1}}


@pytest.mark.parametrize("threat", THREATS)
@pytest.mark.parametrize("path", SITE_TEXTS, ids=".".join)
def test_a_hostile_value_in_the_site_is_refused_or_stays_a_word(
    path: tuple[str, ...], threat: str, stubs: dict[str, str], tmp_path: Path
) -> None:
    kinds = ("venv", "conda") if path[:2] == ("environment", "name") else ("none",)
    # A value that reaches no script leaves it as it is: once run, it need not be run again.
    scripts = {
        script
        for value in THREATS[threat]
        for kind in kinds
        for text in [f"{tmp_path}/{value}" if kind == "venv" else value]
        for script in tried(put({"environment": {"kind": kind}}, path, text), SPEC, tmp_path)
    }
    for script in scripts:
        prove(script, stubs, tmp_path)


@pytest.mark.parametrize("threat", THREATS)
@pytest.mark.parametrize("path", DESIGN_TEXTS, ids=".".join)
def test_a_hostile_value_in_the_design_is_refused_or_stays_a_word(
    path: tuple[str, ...], threat: str, stubs: dict[str, str], tmp_path: Path
) -> None:
    scripts = {script for value in THREATS[threat] for script in tried(BASE, put(SPEC, path, value), tmp_path)}
    for script in scripts:
        prove(script, stubs, tmp_path)


def test_some_hostile_values_do_reach_the_scripts(stubs: dict[str, str], tmp_path: Path) -> None:
    # Else the two tests above would prove nothing.
    reached = {
        path: sum(bool(tried(put(BASE, path, value), SPEC, tmp_path)) for value in HOSTILE)
        for path in (("environment", "variables", "CK_TRIED"), ("environment", "modules", "[]"), ("output_dir_base",))
    }
    assert all(count >= 10 for count in reached.values()), reached


def test_a_site_file_takes_no_tags_and_no_aliases() -> None:
    for text in ("mail: !!python/object/apply:os.system ['id']\n", "accounts: &a [lab]\nqos_levels: *a\n"):
        with pytest.raises(SpecError, match="not plain YAML"):
            read_sites([SiteFile(level="user", path="site.yaml", text=text)])


@pytest.mark.parametrize("folder", [f"a {value}" for value in HOSTILE if "\0" not in value and "/" not in value])
def test_an_experiment_in_a_hostile_folder_is_refused_or_its_script_runs_there(
    folder: str, stubs: dict[str, str], tmp_path: Path
) -> None:
    place = tmp_path / folder
    try:
        place.mkdir()
        text = render_script(JobScript("x", str(place), "00:01:00", 1, ("python", "-x", folder)))
    except (PlanError, UnicodeEncodeError):
        return
    prove(text, stubs, tmp_path)


ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(HOSTILE)
MAYBE = st.none() | ANY
JOBS = st.builds(
    JobScript,
    name=ANY | st.just("job"),
    folder=ANY.map(lambda text: f"/{text}") | ANY,
    time=ANY | st.just("01:00:00"),
    cpus=st.integers(-1, 600),
    command=st.lists(ANY, max_size=4).map(lambda words: ("python", *words)) | st.lists(ANY, max_size=2).map(tuple),
    gpus=st.integers(-1, 8),
    mem=MAYBE | st.just("8G"),
    partition=MAYBE,
    account=MAYBE,
    constraint=MAYBE,
    modules=st.lists(ANY, max_size=2).map(tuple),
    venv=MAYBE | ANY.map(lambda text: f"/{text}"),
    conda=MAYBE,
    processes=st.integers(0, 4),
    notice=st.integers(-1, 60),
    qos=MAYBE,
    gpu_type=MAYBE,
    nodes=st.integers(0, 3),
    exclusive=st.booleans(),
    requeue=st.booleans(),
    variables=st.lists(st.tuples(ANY | st.just("A"), ANY), max_size=2).map(tuple),
    wandb=ANY | st.sampled_from(("offline", "disabled")),
    sampling=st.integers(-1, 60),
)
TAME = {
    "name": "job", "folder": "/x", "time": "01:00:00", "cpus": 1, "command": ("python",), "gpus": 1, "mem": None,
    "partition": None, "account": None, "constraint": None, "modules": (), "venv": None, "conda": None,
    "processes": 1, "notice": 0, "qos": None, "gpu_type": None, "nodes": 1, "exclusive": False, "requeue": False,
    "variables": (), "wandb": "offline", "sampling": 0,
}  # fmt: skip


@given(JOBS, st.sets(st.sampled_from(sorted(TAME)), max_size=4))
def test_any_job_at_all_is_refused_or_is_exactly_what_a_shell_and_the_scheduler_read(
    wild: JobScript, fields: set[str]
) -> None:
    # Wild in a few fields at a time: in all of them it would be refused always.
    job = JobScript(**{**TAME, **{field: getattr(wild, field) for field in fields}})
    try:
        text = render_script(job)
    except PlanError:
        return
    assert parse_script(text) == job
    head, _, body = text.partition("\n\n")
    assert all(line.startswith("#SBATCH --") for line in head.split("\n")[1:])
    assert "#SBATCH" not in "\n".join(line for line in body.split("\n") if line.startswith("#"))
    last = shlex.split(body.removesuffix("\n").split("\n")[-1])
    assert last[0] == "exec"
    assert last[len(last) - len(job.command) + 1 :] == list(job.command[1:])


def test_every_field_of_a_job_is_tried_above() -> None:
    assert set(TAME) == set(JobScript._fields)
    assert os.environ.get("CK_TRIED") is None
