"""The script of an array: a table from index to run, and the few lines that become the run's own script."""

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.rendering.job_script import JobScript, job_problems
from cruijff_kit.rendering.sbatch import head_of, read_head

__all__ = ["MOST_ROWS", "ArrayRow", "ArrayScript", "asked_of", "job_of", "parse_array", "render_array"]

MOST_ROWS = 10_000
"""Rows of one table: with the longest names they take 2 MB, half of what Slurm takes for a script."""

_OUTPUT = "slurm-%A_%a.out"
_UNFIT = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_SHA = re.compile(r"[0-9a-f]{64}")
_ROW = re.compile(r"(\d+)\) set -- (\S+) (\S+) (\S+) ;;")
_OWN = re.compile(r"#SBATCH --(?:job-name|chdir)=.*\n")
_COMMAND = ("bash",)
_CASE = 'case "$index" in'
_AWAY = "move `array.slurm` away and submit again: no job is queued twice"
_INDEX = 'index="${SLURM_ARRAY_TASK_ID:-$1}"'
_HERE, _ROOT = "here=", "root="

# The file that Slurm opened for the job is given a second name in the run's folder, where people look: whatever Slurm
# itself adds at the end is in both. Where a file system has no such names, the job's own output goes there instead.
# What was approved is what runs: the copy that was made when the submission was recorded, held against its hash.
_REST = """\
*) echo "cruijff-kit: this array has no run of index $index" >&2; exit 78 ;;
esac
job="${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}"
job="${job:-$SLURM_JOB_ID}"
out="slurm-$job.out"
cd -- "$root/$1"
[ "$here/$out" -ef "$out" ] || ln -- "$here/$out" "$out" 2> /dev/null || exec >> "$out" 2>&1
found="$(sha256sum < "$2" 2> /dev/null || shasum -a 256 < "$2")" || found="no such file"
if [ "${found%% *}" != "$3" ]; then
  echo "cruijff-kit: \\`$1/$2\\` is not the script that was approved, so it is not run" >&2
  echo "cruijff-kit: approved was sha256 $3, found is ${found%% *}; \\`ck retry\\` submits what is sealed now" >&2
  exit 78
fi
echo "cruijff-kit: job $job, index $index of its array, runs $1/$2"
exec bash "$2"
"""


class ArrayRow(NamedTuple):
    """What one element of an array runs."""

    place: int
    """Its index in the array."""
    folder: str
    """The run's folder, relative to the root."""
    script: str
    """Its script, relative to that folder."""
    sha256: str
    """Hash of the script that was approved."""


class ArrayScript(NamedTuple):
    """Everything the script of an array says; it reads back to an equal value."""

    job: JobScript
    """What every element asks for, made by `job_of`; name and folder are the array's."""
    root: str
    """Absolute directory that the folders of runs lie below."""
    rows: tuple[ArrayRow, ...]
    """The table, by rising index."""


def asked_of(script: str) -> str:
    """Return what a job script asks the scheduler for, as text: its directives without name and folder."""
    return _OWN.sub("", script.partition("\n\n")[0] + "\n")


def job_of(script: str, *, name: str, folder: str) -> JobScript:
    """Return a job that asks for what a job script asks for, under another name and in another folder.

    Raises:
        PlanError: its directives are not ours.
    """
    try:
        asked = read_head(script.partition("\n\n")[0])
    except (KeyError, ValueError) as err:
        raise PlanError(f"what a script asks for cannot be read: {err}", hint="scaffold it again") from err
    return JobScript(**{**asked, "name": name, "folder": folder}, command=_COMMAND)


def render_array(array: ArrayScript) -> str:
    """Return the text of an array's script; it is read back and compared before it is handed out.

    Raises:
        PlanError: a value has a form that a script cannot hold; lists every problem.
    """
    problems = [*job_problems(array.job), *_faults(array)]
    if problems:
        raise PlanError(f"array `{array.job.name!a}` cannot be written as a script", problems=problems)
    text = head_of(array.job, output=_OUTPUT) + "\n" + "".join(f"{line}\n" for line in _lines(array)) + _REST
    if _read(text) != array:
        raise PlanError(f"the script of array `{array.job.name}` does not read back", hint="report this as a defect")
    return text


def parse_array(text: str) -> ArrayScript:
    """Read the script of an array back.

    Raises:
        PlanError: the text is not a script that `render_array` writes.
    """
    try:
        array = _read(text)
    except (KeyError, IndexError, ValueError) as err:
        raise PlanError(f"the array's script cannot be read back: {err}", hint=_AWAY) from err
    if render_array(array) != text:
        raise PlanError("the script holds more than an array's script of ours", hint=_AWAY)
    return array


def _lines(array: ArrayScript) -> Iterator[str]:
    yield "set -e"
    yield _INDEX
    yield f"{_HERE}{shlex.quote(array.job.folder)}"
    yield f"{_ROOT}{shlex.quote(array.root)}"
    yield _CASE
    for row in array.rows:
        yield f"{row.place}) set -- {row.folder} {row.script} {row.sha256} ;;"


def _read(text: str) -> ArrayScript:
    head, _, body = text.partition("\n\n")
    _, _, _, root, _, *rows, last = body.removesuffix(_REST).split("\n")
    if last or not body.endswith(_REST):
        raise ValueError("it does not end as ours do")
    job = JobScript(**read_head(head), command=_COMMAND)
    return ArrayScript(job, shlex.split(root)[0].removeprefix(_ROOT), tuple(map(_row, rows)))


def _row(line: str) -> ArrayRow:
    match = _ROW.fullmatch(line)
    if match is None:
        raise ValueError(f"`{line}` is no row of a table")
    return ArrayRow(int(match[1]), match[2], match[3], match[4])


def _faults(array: ArrayScript) -> Iterator[Problem]:
    if not 1 <= len(array.rows) <= MOST_ROWS:
        yield Problem(f"it has {len(array.rows)} rows, and may have from 1 to {MOST_ROWS}", "rows")
    if not array.root.startswith("/") or _UNFIT.search(array.root):
        hint = "move the project to a path without such characters"
        yield Problem(f"`{array.root!a}` is no absolute path on one line", "root", hint=hint)
    indices = [row.place for row in array.rows]
    if indices != sorted(set(indices)) or min(indices, default=0) < 0:
        yield Problem("its indices do not rise", "rows")
    for row in array.rows:
        if not (_PLACE.fullmatch(row.folder) and _PLACE.fullmatch(row.script) and _SHA.fullmatch(row.sha256)):
            yield Problem(f"row {row.place} holds what is no path or hash", "rows")
