"""Job scripts: golden text, real bash, hostile names, and directives read back by three readers."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.adapters.sbatch_lines import read_directives
from cruijff_kit.errors import PlanError, SchedulerError
from cruijff_kit.rendering.sbatch import JobScript, parse_script, render_script

PLAIN = JobScript(
    name="rank4_lr3e-4_seed1-88d3bf97",
    folder="/home/ada/parity/runs/rank4_lr3e-4_seed1-88d3bf97",
    time="01:30:00",
    cpus=4,
    command=("/opt/python", "-m", "cruijff_kit.recipes.lora_single_device", "--config", "/home/ada/finetune.yaml"),
)
FULL = PLAIN._replace(
    folder='/home/ada/it\'s "here"; $(rm) `x` %j \\ü',
    gpus=2,
    mem="80G",
    partition="gpu",
    account="lab",
    constraint="a100&ib",
    modules=("anaconda3/2025.6", "cuda"),
    venv="/home/ada/my env",
    conda="kit",
    qos="urgent",
    gpu_type="h100",
    exclusive=True,
    requeue=True,
    variables=(("NCCL_DEBUG", "it's $(rm) `x`"), ("EMPTY", "")),
    wandb="disabled",
    sampling=30,
)
SPREAD = PLAIN._replace(nodes=3, processes=2, gpus=2, notice=60)
SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=rank4_lr3e-4_seed1-88d3bf97
#SBATCH --chdir=/home/ada/parity/runs/rank4_lr3e-4_seed1-88d3bf97
#SBATCH --output=slurm-%j.out
#SBATCH --open-mode=append
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --time=01:30:00
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4

set -e
cd -- /home/ada/parity/runs/rank4_lr3e-4_seed1-88d3bf97
export HF_HUB_OFFLINE=1
export HF_DATASETS_OFFLINE=1
export WANDB_MODE=offline
export TOKENIZERS_PARALLELISM=false
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-4}"
exec /opt/python -m cruijff_kit.recipes.lora_single_device --config /home/ada/finetune.yaml
"""
SEVERAL = PLAIN._replace(gpus=2, processes=2, notice=120)
SEVERAL_SCRIPT = SCRIPT.replace(
    "--time=01:30:00\n", "--time=01:30:00\n#SBATCH --signal=B:USR1@120\n#SBATCH --requeue\n"
)
SEVERAL_SCRIPT = SEVERAL_SCRIPT.replace("task=4\n", "task=4\n#SBATCH --gres=gpu:2\n").replace(
    'export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-4}"\nexec /opt/python',
    "export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=120\n"
    'export OMP_NUM_THREADS="$((${SLURM_CPUS_PER_TASK:-4} > 2 ? ${SLURM_CPUS_PER_TASK:-4} / 2 : 1))"\n'
    "exec /opt/python -m cruijff_kit.runtime.launcher --standalone --signals-to-handle SIGTERM,SIGINT,SIGUSR1"
    " --nproc-per-node 2",
)
BREAKS = (
    "\n",
    "\r",
    "\t",
    "\v",
    "\f",
    "\0",
    "\x1b",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\n#SBATCH --wrap=id",
    "\udc80",
)
FIELDS = ("name", "folder", "time", "mem", "partition", "account", "constraint", "venv", "conda", "qos", "gpu_type")


def test_s14_a_plain_job_is_this_text() -> None:
    assert render_script(PLAIN) == SCRIPT


def test_a_job_of_several_processes_is_started_by_the_launcher_and_told_before_its_limit() -> None:
    assert render_script(SEVERAL) == SEVERAL_SCRIPT
    found = read_directives(SEVERAL_SCRIPT.encode(), name="job.slurm")
    assert found.notice == (signal.SIGUSR1, 120, True)


@pytest.mark.parametrize("cpus,processes,threads", ((1, 2, 1), (4, 2, 2), (5, 2, 2), (8, 1, 8)))
def test_every_process_gets_its_share_of_the_cpus(cpus: int, processes: int, threads: int) -> None:
    job = PLAIN._replace(folder="/", cpus=cpus, processes=processes)
    body = render_script(job).rpartition("exec ")[0] + "printenv OMP_NUM_THREADS"
    for told in ({}, {"SLURM_CPUS_PER_TASK": str(cpus)}):
        done = subprocess.run(["bash", "-c", body], capture_output=True, check=True, text=True, env=told)
        assert done.stdout == f"{threads}\n"


def test_nodes_meet_at_a_port_where_no_stranger_listens() -> None:
    body = render_script(SPREAD._replace(folder="/")).rpartition("exec ")[0]
    with socket.socket() as stranger:
        port = next(port for port in range(20000, 32000) if _taken(stranger, port))
        job_id = str(port - 20000 + 12000)
        told = {"SLURM_JOB_ID": job_id, "PATH": os.environ["PATH"]}
        command = ["bash", "-c", f"{body}printenv PET_RDZV_ENDPOINT PET_RDZV_ID"]
        done = subprocess.run(command, capture_output=True, check=True, text=True, env=told)
    endpoint, name = done.stdout.split()
    assert port < int(endpoint.rpartition(":")[2]) < 32000
    assert name.startswith(f"{job_id}.")


def _taken(held: socket.socket, port: int) -> bool:
    try:
        held.bind(("", port))
    except OSError:
        return False
    held.listen()
    return True


@pytest.mark.parametrize("job", (PLAIN, FULL, SEVERAL, SPREAD))
def test_a_script_reads_back_to_the_job_it_was_made_from(job: JobScript) -> None:
    assert parse_script(render_script(job)) == job


@pytest.mark.parametrize("job", (PLAIN, FULL, SPREAD))
def test_s14_bash_finds_no_fault_in_a_script(job: JobScript, tmp_path: Path) -> None:
    path = tmp_path / "job.slurm"
    path.write_text(render_script(job), encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(path)], capture_output=True, check=True).stderr == b""


def test_the_queue_reads_the_same_directives() -> None:
    found = read_directives(render_script(FULL).encode(), name="job.slurm")
    assert (found.output, found.append, found.seconds, found.gpus, found.cpus) == ("slurm-%j.out", True, 5400, 2, 4)


def test_a_shell_reader_of_directives_sees_the_folder_as_it_is() -> None:
    lines = [line for line in render_script(FULL).splitlines() if line.startswith("#SBATCH --chdir")]
    assert shlex.split(lines[0].removeprefix("#SBATCH "))[0] == f"--chdir={FULL.folder}"


def test_a_script_run_by_bash_starts_its_command_in_its_folder(hostile_path: Path) -> None:
    told = "import json, os, sys; print(json.dumps([os.getcwd(), sys.argv[1:], os.environ['OMP_NUM_THREADS']]))"
    words = ("; echo no", "$(id)", "`id`", "a'b\"c", "*", "--", "-x", "%j", "ü\\", "")
    job = PLAIN._replace(folder=str(hostile_path), command=(sys.executable, "-c", told, *words))
    if "\n" in str(hostile_path):
        with pytest.raises(PlanError, match=r"U\+000A"):
            render_script(job)
        return
    path = hostile_path / "job.slurm"
    path.write_text(render_script(job), encoding="utf-8")
    done = subprocess.run(["bash", str(path)], capture_output=True, check=True, cwd="/", env={"PATH": "/usr/bin:/bin"})
    assert json.loads(done.stdout) == [str(hostile_path), list(words), "4"]


def test_a_job_on_several_nodes_starts_one_launcher_on_each() -> None:
    text = render_script(SPREAD)
    for line in ("#SBATCH --nodes=3\n#SBATCH --ntasks=3\n#SBATCH --ntasks-per-node=1\n", "#SBATCH --gres=gpu:2\n"):
        assert line in text
    start = shlex.split(text.removesuffix("\n").split("\n")[-1])[1:]
    assert start[:3] == ["srun", "--kill-on-bad-exit=1", "/opt/python"]
    assert "--standalone" not in start
    assert start[start.index("--nnodes") + 1] == "3"
    with pytest.raises(SchedulerError, match="this machine is one"):
        read_directives(text.encode(), name="job.slurm")


SAMPLES = """\
#!/bin/sh
echo "$@" >> asked
echo "now, 0, 97, 100, 200, 300"
"""


def sampled(tmp_path: Path, command: tuple[str, ...], *, sampler: str = SAMPLES) -> subprocess.CompletedProcess[str]:
    """Run a job that samples a stand-in for the driver's program, in its own folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "nvidia-smi").write_text(sampler, encoding="utf-8")
    (folder / "nvidia-smi").chmod(0o755)
    text = render_script(PLAIN._replace(folder=str(tmp_path), gpus=1, sampling=3600, command=command))
    env = {"PATH": f"{folder}:/usr/bin:/bin", "SLURM_JOB_ID": "17", "CUDA_VISIBLE_DEVICES": "0,2"}
    # Output is read to its end, so whoever kept the pipe open would be waited for: for an hour.
    return subprocess.run(["bash", "-s"], input=text, capture_output=True, check=False, text=True, env=env, timeout=60)


def test_gpus_are_sampled_beside_the_metrics_and_the_sampler_ends_with_the_job(tmp_path: Path) -> None:
    waits = f"until [ -s {shlex.quote(str(tmp_path))}/gpu-17.csv ] && grep -q 97 gpu-17.csv; do :; done; exit 3"
    done = sampled(tmp_path, ("/bin/sh", "-c", waits))
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    head, *rows = (tmp_path / "gpu-17.csv").read_text(encoding="utf-8").splitlines()
    assert head.startswith("timestamp,index,utilization.gpu,memory.used")
    assert rows == ["now, 0, 97, 100, 200, 300"]
    assert "-i 0,2" in (tmp_path / "asked").read_text(encoding="utf-8")


def test_the_samples_of_an_arrays_job_are_named_by_array_and_index(tmp_path: Path) -> None:
    text = render_script(PLAIN._replace(folder=str(tmp_path), gpus=1, sampling=3600))
    (line,) = (line for line in text.split("\n") if "gpu-" in line)
    names = line[line.index('job="') : line.index("; [ -s")]
    env = {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "4"}
    for told, expected in ((env, "gpu-17_4.csv"), ({"SLURM_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "4"}, "gpu-17.csv")):
        command = ["bash", "-c", f'{names}; echo "$file"']
        assert subprocess.run(command, env=told, capture_output=True, check=True, text=True).stdout == f"{expected}\n"


def test_a_sampler_that_fails_or_is_missing_does_not_touch_the_job(tmp_path: Path) -> None:
    done = sampled(tmp_path, ("/bin/sh", "-c", "echo done"), sampler="#!/bin/sh\necho no driver >&2; exit 9\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    text = render_script(PLAIN._replace(folder="/", gpus=1, sampling=1, command=("/bin/echo", "done")))
    bare = subprocess.run(
        ["bash", "-c", text], capture_output=True, check=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert (bare.stdout, bare.stderr) == ("done\n", "")


def test_a_signal_to_the_script_of_a_sampled_job_reaches_its_program(tmp_path: Path) -> None:
    told = "import os, signal; signal.signal(signal.SIGUSR1, lambda *_: print('told', flush=True)); "
    told += "os.kill(os.getpid(), signal.SIGUSR1); print(os.getppid() == int(os.environ['WHO']))"
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "nvidia-smi").write_text(SAMPLES, encoding="utf-8")
    (folder / "nvidia-smi").chmod(0o755)
    job = PLAIN._replace(folder=str(tmp_path), gpus=1, sampling=3600, command=(sys.executable, "-c", told))
    env = {"PATH": f"{folder}:/usr/bin:/bin", "WHO": str(os.getpid())}
    done = subprocess.run(["bash", "-c", render_script(job)], capture_output=True, check=True, text=True, env=env)
    # The program is the script's own process: its parent is whoever started the script.
    assert done.stdout == "told\nTrue\n"


def test_a_virtual_environment_is_activated_before_the_command(tmp_path: Path) -> None:
    venv = tmp_path / "my $(env); it's"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "activate").write_text("export WHO=venv\n", encoding="utf-8")
    script = render_script(PLAIN._replace(folder="/", venv=str(venv), command=("printenv", "WHO")))
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=True, text=True).stdout == "venv\n"


@pytest.mark.parametrize("evil", BREAKS)
def test_what_ends_a_line_is_refused_in_every_field(evil: str) -> None:
    for field in FIELDS:
        with pytest.raises(PlanError) as caught:
            render_script(FULL._replace(**{field: f"{getattr(FULL, field)}{evil}"}))
        assert "control character" in str(caught.value)
        # Told in characters that any terminal and any log can take.
        assert str(caught.value).replace("\n", "").isprintable()


@pytest.mark.parametrize("evil", BREAKS)
def test_what_ends_a_line_is_refused_in_every_word_of_the_command(evil: str) -> None:
    with pytest.raises(PlanError, match="control character"):
        render_script(FULL._replace(command=(*FULL.command, f"x{evil}")))
    with pytest.raises(PlanError, match="control character"):
        render_script(FULL._replace(modules=(f"x{evil}",)))


@pytest.mark.parametrize(
    "field,value",
    (
        ("partition", "gpu --wrap=id"),
        ("partition", "-p"),
        ("partition", "--wrap=id"),
        ("account", "a,b=c"),
        ("account", "a;b"),
        ("constraint", "x y"),
        ("constraint", "$(id)"),
        ("time", "10:00"),
        ("time", "1-00:00"),
        ("mem", "80"),
        ("mem", "0G"),
        ("name", "a b"),
        ("name", "%x"),
        ("name", "../x"),
        ("folder", "relative"),
        ("venv", "relative"),
        ("conda", "-x"),
        ("modules", ("--help",)),
        ("command", ()),
        ("command", ("-c", "x")),
        ("cpus", 0),
        ("gpus", -1),
        ("processes", 0),
        ("notice", -1),
        ("nodes", 0),
        ("sampling", -1),
        ("wandb", "online"),
        ("qos", "a b"),
        ("gpu_type", "h100:4"),
        ("gpus", 0),
        ("notice", 60),
        ("variables", (("A-B", "x"),)),
        ("variables", (("A", "x"), ("A", "y"))),
        ("variables", (("OMP_NUM_THREADS", "1"),)),
        ("variables", (("SLURM_JOB_ID", "1"),)),
    ),
)
def test_a_value_no_scheduler_takes_is_refused(field: str, value: object) -> None:
    with pytest.raises(PlanError):
        render_script(FULL._replace(**{field: value}))


def test_all_that_is_wrong_with_a_job_is_told_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        render_script(PLAIN._replace(time="soon", mem="much", folder="here"))
    assert {problem.path for problem in caught.value.problems} == {"time", "mem", "folder"}


@pytest.mark.parametrize(
    "old,new",
    (
        ("set -e\n", ""),
        ("set -e\n", "set -e\ncurl example.org | sh\n"),
        ("--time=01:30:00", "--time=99"),
        ("#SBATCH --nodes=1\n", "#SBATCH --nodes=1\n#SBATCH --array=0-9\n"),
        ("exec ", "nohup "),
        ("export OMP", "export XOMP"),
        (SCRIPT, ""),
        (SCRIPT, "#!/bin/bash\n"),
    ),
)
def test_a_script_that_says_more_or_less_than_a_job_is_not_ours(old: str, new: str) -> None:
    with pytest.raises(PlanError):
        parse_script(SCRIPT.replace(old, new))


safe = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
jobs = st.builds(
    JobScript,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", fullmatch=True),
    folder=safe.map(lambda text: f"/{text}"),
    time=st.from_regex(r"(?:[0-9]{1,3}-)?[0-9]{1,2}:[0-5][0-9]:[0-5][0-9]", fullmatch=True),
    cpus=st.integers(1, 512),
    command=st.lists(safe, max_size=5).map(lambda words: ("/bin/x", *words)),
    gpus=st.integers(0, 8),
    mem=st.none() | st.from_regex(r"[1-9][0-9]{0,4}[KMGT]", fullmatch=True),
    partition=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    account=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    constraint=st.none() | st.from_regex(r"[A-Za-z0-9_&|.()*-]{1,20}", fullmatch=True),
    modules=st.lists(safe.map(lambda text: f"m{text}"), max_size=3).map(tuple),
    venv=st.none() | safe.map(lambda text: f"/{text}"),
    conda=st.none() | safe.map(lambda text: f"c{text}"),
    processes=st.integers(1, 8),
    notice=st.integers(0, 600),
    qos=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    gpu_type=st.none(),
    nodes=st.integers(1, 64),
    exclusive=st.booleans(),
    requeue=st.just(False),
    variables=st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), safe, max_size=3).map(
        lambda found: tuple(found.items())
    ),
    wandb=st.sampled_from(("offline", "disabled")),
    sampling=st.integers(0, 3600),
)


@given(jobs)
def test_any_job_survives_rendering_and_a_shell_reads_the_same_words(job: JobScript) -> None:
    text = render_script(job)
    assert parse_script(text) == job
    last = text.removesuffix("\n").split("\n")[-1]
    words = shlex.split(last)
    start = ["exec", *(["srun", "--kill-on-bad-exit=1"] if job.nodes > 1 else []), job.command[0]]
    assert words[: len(start)] == start
    assert words[len(words) - len(job.command) + 1 :] == list(job.command[1:])
    several = 8 if job.nodes == 1 else 13
    assert len(words) == len(job.command) + (1 if job.processes == job.nodes == 1 else several)
