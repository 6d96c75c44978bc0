"""A grid of real jobs that cost nothing: a program stands for the interpreter of every job."""

from pathlib import Path

from cruijff_kit.schema.policy import Queue
from cruijff_kit.schema.site import Caps, Environment, Site
from tests.fakes.designed import design, put_design

__all__ = ["put_light_grid"]

# Leaves what a recipe or an evaluation owes, and what a test asks for.
_QUICK = """\
#!/bin/sh
case "$2" in *evaluate) step=eval; done=eval/DONE ;; *) step=train; done=DONE ;; esac
echo "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_JOB_ID:+_$SLURM_ARRAY_TASK_ID}" >> "ran-$step.txt"
echo "said by $step"
if [ -e fails ]; then rm fails; exit 3; fi
if [ -e hangs ]; then rm hangs; sleep 300 & wait; fi
echo '{"exit_code": 0, "artefacts": {}, "finished": "2026-01-01T00:00:00.000Z"}' > "$done"
"""


def put_light_grid(root: Path, runs: int) -> Site:
    """Write a design of so many runs, each trained and evaluated; return the site on which it costs nothing.

    Every step adds the id of its job to `ran-<step>.txt`. A training whose folder holds `fails`
    fails once; one whose folder holds `hangs` goes on until it is stopped.
    """
    programs = root.parent / "programs"
    programs.mkdir(parents=True)
    (programs / "python").write_text(_QUICK, encoding="utf-8")
    (programs / "python").chmod(0o755)
    asked = {"cpus": 1, "mem": "100M", "time": "00:10:00"}
    seeds = list(range(1, runs // 2 + 1))
    put_design(root, design(factors={"lora_rank": [4, 16]}, controls={"seeds": seeds}, runs=[], resources=asked))
    environment = Environment(kind="none", variables={"PATH": f"{programs}:/usr/bin:/bin"})
    return Site(environment=environment, caps=Caps(max_concurrent=4), queue=Queue(arrays=10))
