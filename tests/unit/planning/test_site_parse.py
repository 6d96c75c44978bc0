"""Site files: all problems at once, the nearest key, and every value with its source."""

import pytest

from cruijff_kit.errors import SpecError
from cruijff_kit.planning.settings import site_gpu_memory
from cruijff_kit.planning.site_checks import site_problems
from cruijff_kit.planning.site_parse import read_sites
from cruijff_kit.rendering.site_text import with_settings
from cruijff_kit.schema.site import GpuKind, Partition, Site
from cruijff_kit.schema.site_reading import SiteFile
from cruijff_kit.schema.spec import Resources

OLD = """\
# ours
scheduler: local   # for now
caps: {max_jobs: 5}
partition: gpu

# who pays
account: lab
"""


def user(text: str | None) -> SiteFile:
    return SiteFile(level="user", path="/u/site.yaml", text=text)


def project(text: str | None) -> SiteFile:
    return SiteFile(level="project", path="/p/site.yaml", text=text)


def problems_of(*files: SiteFile) -> str:
    with pytest.raises(SpecError) as caught:
        read_sites(files)
    return str(caught.value)


@pytest.mark.parametrize(
    "text,words",
    (
        ("partiton: gpu\n", ("/u/site.yaml:1 partiton: unknown key `partiton`", "write `partition`")),
        ("caps:\n  max_job: 3\n", ("/u/site.yaml:2 caps.max_job: unknown key", "write `max_jobs`")),
        ("partitions: [{name: gpu, gpus: [{typ: a100}]}]\n", ("partitions[0].gpus[0].typ", "write `type`")),
        ("venv: /x\n", ("unknown key `venv`", "it is called `environment.name` here")),
        ("zzz: 1\n", ("unknown key `zzz`", "keys here are schema_version, scheduler")),
        ("scheduler: pbs\n", ("`pbs`: input should be 'local' or 'slurm'", "Which scheduler takes jobs.")),
        ("mail: '-x'\n", ("`-x` has a form that is not taken here",)),
        ("gpu_sampling: soon\n", ("`soon`: input should be a valid integer",)),
        ("environment: {variables: {OMP_NUM_THREADS: '2'}}\n", ("`OMP_NUM_THREADS` is set by the scripts",)),
        ("partition: cpu\npartitions: [{name: gpu}]\n", ("default partition `cpu` is none of `partitions`: gpu",)),
        ("partitions: [{name: gpu}, {name: gpu}]\n", ("listed twice",)),
        ("- gpu\n", ("does not hold settings",)),
    ),
)
def test_what_is_wrong_is_told_with_its_line_and_its_remedy(text: str, words: tuple[str, ...]) -> None:
    told = problems_of(user(text))
    assert [word for word in words if word not in told] == []


def test_problems_of_both_files_are_told_at_once() -> None:
    told = problems_of(user("partiton: gpu\n"), project("acount: lab\nscheduler: pbs\nallow_unattended: true\n"))
    for place in ("/u/site.yaml:1 partiton", "/p/site.yaml:1 acount", "/p/site.yaml:2 scheduler", "counts only in"):
        assert place in told


def test_files_that_contradict_each_other_are_told() -> None:
    told = problems_of(user("partitions: [{name: gpu}]\n"), project("partition: cpu\n"))
    assert "do not fit together" in told
    assert "default partition `cpu`" in told


def test_every_value_names_the_file_and_line_that_says_it() -> None:
    reading = read_sites([user("partition: gpu\ncaps:\n  max_jobs: 3\n"), project("\npartition: cpu\n")])
    told = {each.key: (each.value, each.source, each.place) for each in reading.values}
    assert told["partition"] == ("cpu", "project", "/p/site.yaml:2")
    assert told["caps.max_jobs"] == (3, "user", "/u/site.yaml:3")
    assert told["caps.max_gpu_hours"] == (200.0, "default", "")
    assert told["account"] == (None, "default", "")
    assert {key.partition(".")[0] for key in told} == set(Site.model_fields)


def test_files_written_before_a_key_was_known_keep_their_meaning() -> None:
    old = "scheduler: local\ncaps: {max_jobs: 5, max_gpu_hours: 2, max_concurrent: 1}\nmodels_dir: /models\n"
    old += "environment: {kind: conda, name: kit, modules: [cuda]}\noutput_dir_base: /scratch\npartition: gpu\n"
    old += "account: lab\ngpu_memory: 80G\nallow_unattended: true\nmodels: []\n"
    site = read_sites([user(old)]).site
    assert (site.caps.max_jobs, site.environment.name, site.gpu_memory) == (5, "kit", "80G")
    assert read_sites([user(None), project("")]).site == Site()


def test_settings_are_put_into_a_file_and_the_rest_of_it_stays() -> None:
    text = with_settings(OLD, {"caps": {"max_jobs": 9}, "partition": "cpu", "qos": "low"})
    assert text == OLD.replace("caps: {max_jobs: 5}", "caps:\n  max_jobs: 9").replace("gpu", "cpu") + "qos: low\n"
    assert with_settings(OLD, {}) == OLD
    assert with_settings(text, {"qos": "low", "partition": "cpu"}) == text
    fresh = with_settings(None, {"scheduler": "slurm"})
    assert fresh.startswith("# ")
    assert fresh.endswith("\nscheduler: slurm\n")
    assert with_settings("account: lab", {"qos": "low"}) == "account: lab\nqos: low\n"


GPU = Partition(name="gpu", max_time="02:00:00", gpus=(GpuKind(type="a100", count=4), GpuKind(type="h100", count=2)))
HERE = Site(partitions=(GPU, Partition(name="cpu")), partition="gpu", accounts=("lab",), qos_levels=("low", "urgent"))


@pytest.mark.parametrize(
    "asked,words",
    (
        ({"partition": "gpus"}, ("partition `gpus` is none of the site's `partitions`", "write `gpu`")),
        ({"account": "x"}, ("account `x` is none", "choose one of lab")),
        ({"qos": "urgnt"}, ("qos `urgnt`", "write `urgent`")),
        ({"time": "02:00:01"}, ("`02:00:01` is longer than partition `gpu` allows, `02:00:00`",)),
        ({"eval_time": "1-00:00:00"}, ("resources.eval_time",)),
        ({"gpus": 1, "gpu_type": "v100"}, ("no GPU of type `v100`; its types are a100, h100",)),
        ({"gpus": 4, "gpu_type": "h100"}, ("has 2 GPUs, and `4` are asked for",)),
        ({"gpus": 8}, ("has 4 GPUs",)),
        ({"notify": True}, ("the site has no address",)),
        ({"evaluation": {"partition": "cpus"}}, ("resources.evaluation.partition", "write `cpu`")),
        ({"evaluation": {"partition": "gpu"}, "partition": "cpu", "eval_time": "03:00:00"}, ("resources.eval_time",)),
        ({"gpus": 1, "evaluation": {"gpu_type": "v100"}}, ("resources.evaluation.gpu_type", "its types are a100")),
    ),
)
def test_what_the_site_does_not_have_is_told_before_anything_is_queued(
    asked: dict[str, object], words: tuple[str, ...]
) -> None:
    told = "\n".join(map(str, site_problems(Resources.model_validate(asked), HERE)))
    assert [word for word in words if word not in told] == []


@pytest.mark.parametrize(
    "asked",
    (
        {},
        {"gpus": 4, "time": "02:00:00"},
        {"partition": "cpu", "time": "9-00:00:00"},
        {"gpus": 1, "time": "02:00:00", "eval_time": "9-00:00:00", "evaluation": {"partition": "cpu", "gpus": 0}},
    ),
)
def test_what_the_site_has_is_let_pass(asked: dict[str, object]) -> None:
    assert list(site_problems(Resources.model_validate(asked), HERE)) == []
    assert list(site_problems(Resources.model_validate(asked), Site())) == []


@pytest.mark.parametrize(
    "asked,memory",
    (
        ({}, "40G"),
        ({"gpu_type": "h100"}, "80G"),
        ({"partition": "cpu"}, "24G"),
        ({"partition": "mixed"}, "24G"),
        ({"partition": "elsewhere"}, "24G"),
    ),
)
def test_estimates_are_held_against_the_smallest_gpu_that_a_job_may_get(asked: dict[str, object], memory: str) -> None:
    kinds = (GpuKind(type="a100", memory="40G"), GpuKind(type="h100", memory="80G"))
    mixed = Partition(name="mixed", gpus=(*kinds, GpuKind(type="old")))
    partitions = (Partition(name="gpu", gpus=kinds), Partition(name="cpu"), mixed)
    site = Site(partitions=partitions, partition="gpu", gpu_memory="24G")
    assert site_gpu_memory(Resources.model_validate(asked), site) == memory
