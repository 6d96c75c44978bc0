"""An experiment on a login host and its copy here: `rsync` both ways, each path in one direction only.

Two writers of one file would have to be told apart by clocks that differ. So there are none: the
inputs of a project are written here, an experiment's folder is written there.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from cruijff_kit.adapters.file_lock import hold_descriptor
from cruijff_kit.adapters.login_host import UNREACHED, LoginHost
from cruijff_kit.adapters.slurm_commands import ABSENT, SILENT, Answer
from cruijff_kit.adapters.slurm_errors import refusal
from cruijff_kit.adapters.staging import write_file
from cruijff_kit.adapters.state_dir import state_dir
from cruijff_kit.errors import Problem, SiteError
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.mirror import WITHOUT_TEXTS, Fetched, MirrorMark
from cruijff_kit.schema.site import Site

__all__ = ["SshHome", "refuse_mirror"]

_STAGING = ".arriving"
"""Folder of the mirror in which files lie until they are whole."""
_LONG = 24 * 3600.0
_WAIT = 30.0
_FAILED_SSH = 255
_VANISHED = 24
"""Code of rsync where files went while it copied, as those of an experiment at work do."""
_UNITS = "KMGT"


class SshHome:
    """The `Home` of an experiment that lies on a login host."""

    def __init__(self, experiment: Path, *, root: Path, site: Site, name: str | None) -> None:
        """Keep where the experiment lies here and there; nothing is connected yet.

        Args:
            experiment: the mirror, a folder of the project.
            root: the project here.
            site: settings that name login host and directory.
            name: what the site is called, where it is one of several.
        """
        if site.login_host is None or site.remote is None:
            raise ValueError("the site names no login host and directory")
        self._experiment, self._root, self._remote = experiment, root, site.remote
        self._host = LoginHost(site.login_host)
        there = f"{site.remote.dir.rstrip('/')}/{experiment.name}"
        self._mark = MirrorMark(site=name, host=site.login_host, dir=there)
        self.words = self._mark.words

    def send(self) -> tuple[str, ...]:
        """Copy the project's inputs there, by content, each renamed once it is whole."""
        with self._held() as lock:
            paths = self._inputs()
            self._refuse_links(paths)
            self._run("mkdir", "-p", "--", self._mark.dir)
            if not paths:
                return ()
            options = ("--recursive", "--times", "--relative", "--checksum", "--partial-dir=.ck-part")
            ends = (*(f"./{path}" for path in paths), self._far(f"{self._remote.dir}/"))
            return self._copy((*options, "--exclude=.*"), ends, lock=lock)

    def inputs(self) -> tuple[Path, ...]:
        """Return the files that `send` copies, where they lie here."""
        found = {place for path in self._inputs() for place in self._below(path)}
        return tuple(sorted(place for place in found if place.is_file()))

    def fetch(self, *, adapters: bool = False, again: bool = False, texts: bool = True) -> Fetched:
        """Copy the experiment's files here, each renamed once it is whole, and read-only."""
        with self._held() as lock:
            found = self._host.run(("test", "-d", self._mark.dir))
            if found.code in (SILENT, UNREACHED):
                raise _unreached(found)
            if found.code:
                return Fetched(files=())
            with self._staging():
                return self._fetched(adapters=adapters, again=again, lock=lock) if texts else self._figures(lock)

    def call(self, words: Sequence[str]) -> int:
        """Run `ck` there, in the directory that corresponds to the one here."""
        self._require_mark()
        folder = self._folder_there()
        self._run("mkdir", "-p", "--", folder)
        terminal = all(os.isatty(descriptor) for descriptor in (0, 1, 2))
        extra = {"TERM": os.environ.get("TERM", "dumb")} if terminal else {}
        command = (self._remote.program, "-C", self._mark.dir, *words)
        script = self._host.script(command, extra=extra, folder=folder)
        if isinstance(script, Answer):
            raise _unreached(script)
        code = self._host.ssh.attach(f"{script}\nexit $code", terminal=terminal)
        if code == ABSENT:
            hint = "install cruijff-kit there, and name the program by its whole path: `remote.program` in site.yaml"
            raise SiteError(f"`{self._remote.program}` is not there on `{self._host.place}`", hint=hint)
        if code == _FAILED_SSH:
            fact = f"the connection to `{self._host.place}` broke while `ck {' '.join(words[:1])}` was at work there"
            raise SiteError(fact, hint="look with `ck status`; every verb can be repeated, nothing is done twice")
        return code

    # --- copying ---

    def _inputs(self) -> list[str]:
        return [path for path in self._remote.inputs if (self._root / path).exists()]

    def _options(self) -> tuple[str, ...]:
        # Half-written files are hidden; locks and checkpoints are of use where the jobs are.
        left = ("--exclude=.*", "--exclude=/runs/*/lock/", "--exclude=recipe_state/")
        return ("--recursive", "--times", "--chmod=Du+rwx,F-w", *left, f"--temp-dir={self._experiment / _STAGING}")

    def _figures(self, lock: int) -> Fetched:
        """Copy what holds no text of the data."""
        wanted = (*(f"--include={path}" for path in WITHOUT_TEXTS), "--include=*/", "--exclude=*")
        options = (*self._options(), "--checksum", "--prune-empty-dirs", "--exclude=/outputs/", *wanted)
        ends = (self._far(f"{self._mark.dir}/"), f"{self._experiment}/")
        return Fetched(files=self._copy(options, ends, lock=lock))

    def _fetched(self, *, adapters: bool, again: bool, lock: int) -> Fetched:
        most, options = self._bytes(), self._options()
        source, target = self._far(f"{self._mark.dir}/"), f"{self._experiment}/"
        small = (*options, "--checksum", "--exclude=/outputs/", f"--max-size={most}")
        files = self._copy(small, (source, target), lock=lock)
        left: tuple[str, ...] = ()
        if adapters:
            content = ("--checksum",) if again else ()
            files += self._copy((*options, *content), (source, target), lock=lock)
        else:
            # Paths from there on: whatever lies above may be hidden. What vanishes meanwhile is no fault.
            apart = (".", "-ignore_readdir_race", "-path", "./outputs", "-prune", "-o", "-not", "-path", "*/.*")
            sized = ("-type", "f", "-size", f"+{most}c", "-printf", r"%P\0")
            told = self._run("find", *apart, *sized, folder=self._mark.dir)
            left = tuple(sorted(filter(None, told.split("\0"))))
        return Fetched(files=tuple(dict.fromkeys(files)), left=left)

    def _far(self, path: str) -> str:
        return f"{self._host.place}:{path}"

    def _copy(self, options: tuple[str, ...], ends: tuple[str, ...], *, lock: int) -> tuple[str, ...]:
        """Run rsync one way and return the files that were copied; paths never reach a shell.

        It inherits the lock: where this process is killed, the lock is held until rsync has ended too.
        """
        shape = ("-s", f"--rsh={self._host.ssh.transport()}", "--out-format=%i %n", "--8-bit-output")
        try:
            done = subprocess.run(
                ("rsync", *options, *shape, "--", *ends),
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LONG,
                pass_fds=(lock,),
                check=False,
            )
        except subprocess.TimeoutExpired as err:
            fact = f"`rsync` and `{self._host.place}`: copying did not end within {_LONG / 3600:g} hours"
            raise SiteError(fact, hint="repeat it: copying goes on where it stopped") from err
        except OSError as err:
            raise SiteError(f"`rsync` cannot be run here: {err.strerror}", hint="install it here") from err
        if done.returncode not in (0, _VANISHED):
            raise self._uncopied(done)
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        return tuple(line.partition(" ")[2] for line in lines if line[:2] in {"<f", ">f"})

    def _uncopied(self, done: subprocess.CompletedProcess[bytes]) -> SiteError:
        said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        told = "; ".join(said[:3]) or f"code {done.returncode}"
        hints = {
            12: "see that `rsync` is there too, and that its login prints nothing: `ck site check` tries both",
            127: "install `rsync` there",
        }
        hint = hints.get(done.returncode, "`ck site check` tries the connection; copying goes on where it stopped")
        return SiteError(f"`rsync` and `{self._host.place}`: {told}", hint=hint)

    def _run(self, *command: str, folder: str | None = None) -> str:
        answer = self._host.run(command, folder=folder)
        if answer.code:
            raise _unreached(answer) if answer.code in (SILENT, UNREACHED) else _refused(command, answer)
        return answer.out

    @contextmanager
    def _staging(self) -> Iterator[None]:
        """Have the folder in which files arrive, without what a copy that was killed left half-done."""
        staging = self._experiment / _STAGING
        shutil.rmtree(staging, ignore_errors=True)
        with _writable(staging):
            staging.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    # --- whose folder it is ---

    @contextmanager
    def _held(self) -> Iterator[int]:
        """Hold the lock of the mirror, once the folder here is found to be one, or made one."""
        key = hashlib.sha256(os.fsencode(self._experiment)).hexdigest()[:16]
        with hold_descriptor(state_dir() / "locks" / f"{key}-mirror.lock", name="mirror", wait=_WAIT) as lock:
            if not self._require_mark():
                content = f"{self._mark.model_dump_json(indent=1)}\n".encode()
                with _writable(self._experiment):
                    self._experiment.mkdir(parents=True, exist_ok=True)
                    write_file(self._experiment, (ExperimentLayout.mirror,), content=content)
            yield lock

    def _require_mark(self) -> bool:
        """Return whether the folder here is this mirror already; refuse one that is something else."""
        path = self._experiment / ExperimentLayout.mirror
        try:
            mark = MirrorMark.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            mark = None
        except (OSError, ValidationError) as err:
            raise SiteError(
                f"`{path}` cannot be read: {err}", hint="move the folder away; `ck sync` makes it anew"
            ) from err
        # What the site is called here does not tell where the experiment lies.
        if mark is not None and mark.words == self._mark.words:
            return True
        if mark is not None:
            fact = f"`{self._experiment}` is a copy of {mark.words}, and {self._mark.words} is asked for"
            raise SiteError(fact, hint="use its own site, or another folder: an experiment lies in one place")
        if self._experiment.is_dir() and any(self._experiment.iterdir()):
            fact = f"`{self._experiment}` holds files of its own, and its site keeps experiments on {self.words}"
            hint = f"inputs belong into `{self._root / self._remote.inputs[0]}`; an experiment begun here stays here"
            raise SiteError(fact, hint=f"{hint}: name its site with `--site`")
        return False

    def _refuse_links(self, paths: Sequence[str]) -> None:
        """Refuse what would send more than it says, or both ways: a link may lead anywhere on this machine."""
        for path in paths:
            place = self._root / path
            if place == self._experiment or place in self._experiment.parents or self._experiment in place.parents:
                hint = "mend `remote.inputs` in site.yaml: what goes there lies apart from what comes back"
                raise SiteError(f"input `{path}` and the experiment lie in each other", hint=hint)
        links = [place for path in paths for place in self._below(path) if place.is_symlink()]
        if links:
            problems = [Problem(f"`{place.relative_to(self._root)}` is a link") for place in links[:8]]
            raise SiteError("inputs are plain files and folders", problems=problems, hint="put a copy in its place")

    def _below(self, path: str) -> Iterator[Path]:
        """Yield what lies on the way to an input, and what of it is sent: nothing that is hidden."""
        place = self._root
        for part in path.split("/"):
            place /= part
            yield place
        for folder, folders, files in os.walk(place):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (Path(folder, name) for name in (*folders, *files) if not name.startswith("."))

    def _folder_there(self) -> str:
        """Return the directory there that corresponds to the working directory, else the project's."""
        here = Path.cwd()
        below = here.relative_to(self._root).as_posix() if here.is_relative_to(self._root) else "."
        return self._remote.dir if below == "." else f"{self._remote.dir}/{below}"

    def _bytes(self) -> int:
        size = self._remote.largest
        return int(size[:-1]) * 1024 ** (_UNITS.index(size[-1]) + 1)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        fact = f"`{err.filename or path}` cannot be written: {err.strerror}"
        raise SiteError(fact, hint="see its owner and mode, and whether the disk is full") from err


def refuse_mirror(experiment: Path, site: Site) -> None:
    """Refuse to act here on an experiment that lies elsewhere: its record has one writer, there.

    Raises:
        SiteError: the folder is a copy, or its site keeps experiments on a login host.
    """
    is_copy = (experiment / ExperimentLayout.mirror).exists()
    if site.remote is None and not is_copy:
        return
    place = f"`{site.login_host}`" if site.remote is not None else "another machine, of which this folder is a copy"
    fact = f"experiment `{experiment.name}` lies on {place}"
    raise SiteError(
        fact, hint=f"`ck -C {experiment.name} ...` in a terminal runs there; for an assistant start its server there"
    )


def _unreached(answer: Answer) -> SiteError:
    error = refusal(answer, "nothing was done")
    return SiteError(str(error.args[0]), hint=error.hint)


def _refused(command: Sequence[str], answer: Answer) -> SiteError:
    said = "; ".join(answer.err.strip().splitlines()[-2:])
    return SiteError(
        f"`{command[0]}` there failed: {said}", hint="mend `remote.dir` in site.yaml, or what it names there"
    )
