"""The file that holds the local queue: made whole, read without a trace, never emptied.

A rollback journal is used, not a write-ahead log: reading then creates no file.
"""

import contextlib
import fcntl
import os
import secrets
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from cruijff_kit.errors import SchedulerError

__all__ = ["QueueFile"]

_VERSION = 2

_SCHEMA = f"""
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tag TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    comment TEXT NOT NULL,
    chdir TEXT NOT NULL,
    directives TEXT NOT NULL,
    script BLOB,
    environment TEXT,
    state TEXT NOT NULL DEFAULT 'pending',
    reason TEXT NOT NULL DEFAULT '',
    code INTEGER,
    signal INTEGER,
    submitted REAL NOT NULL,
    started REAL,
    ended REAL,
    gpus TEXT NOT NULL DEFAULT '[]',
    boot TEXT,
    stop TEXT,
    stopping REAL,
    noticed REAL,
    restarts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX standing ON job (state);
CREATE TABLE edge (
    job INTEGER NOT NULL REFERENCES job (id),
    needs INTEGER NOT NULL REFERENCES job (id),
    PRIMARY KEY (job, needs)
) WITHOUT ROWID;
CREATE INDEX needed ON edge (needs);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""

# What each version lacks of the next one.
_UPGRADES = {1: "ALTER TABLE job ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0"}
_REPAIR = {"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY"}
_DAMAGE = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_IOERR_SHORT_READ")


class QueueFile:
    """An SQLite file, opened anew for each transaction, so that any thread or process may."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is made before `create`."""
        self.path = path.absolute()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield one consistent view; an empty one where there is no file.

        No file is made or changed, but to undo what a crash left half-written.
        """
        with self._told():
            if not self.path.exists():
                with contextlib.closing(_blank()) as db:
                    yield db
                return
            with contextlib.closing(self._open("ro")) as db:
                db.execute("BEGIN")
                yield db

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a transaction that is durable on leaving, or undone on an error."""
        with self._told(), contextlib.closing(self._open("rw")) as db:
            db.execute("PRAGMA journal_mode = PERSIST")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def create(self) -> None:
        """Make the file, whole or not at all; one that exists is left alone, whatever it holds."""
        with self._told():
            if self.path.exists():
                return
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                if not self.path.exists():
                    self._publish()
                    os.fsync(folder)
            finally:
                os.close(folder)

    def _publish(self) -> None:
        # A journal left by a file that was moved away would be played back into this one.
        self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
        new = self.path.with_name(f"{self.path.name}.new")
        new.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as db:
            # Flushed once below: until it is renamed, nobody misses it.
            db.execute("PRAGMA synchronous = OFF")
            db.executescript(_SCHEMA)
            # Run directories keep job numbers: those of a queue that was lost shall not come again.
            db.execute("INSERT INTO sqlite_sequence VALUES ('job', ?)", (1000 * (1 + secrets.randbelow(9999)),))
        new.chmod(0o600)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.rename(self.path)

    def _open(self, mode: str) -> sqlite3.Connection:
        db = sqlite3.connect(f"{self.path.as_uri()}?mode={mode}", uri=True, timeout=30, isolation_level=None)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as err:
            db.close()
            if mode == "ro" and getattr(err, "sqlite_errorname", "") in _REPAIR:
                return self._open("rw")
            raise
        # What only reads does without the newest columns, and changes nothing.
        if version in _UPGRADES and mode == "rw":
            _upgrade(db)
        elif version not in (*_UPGRADES, _VERSION):
            db.close()
            raise self._unusable(f"has version `{version}`; this program reads version {_VERSION}")
        return db

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the errors of SQLite and of the file system into the scheduler's."""
        try:
            yield
        except (sqlite3.Error, OSError) as err:
            kind = getattr(err, "sqlite_errorname", "")
            if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise SchedulerError(f"queue `{self.path}` is busy", transient=True, stderr=str(err)) from err
            if kind.startswith(_DAMAGE) or "no such table" in str(err):
                raise self._unusable(f"cannot be read: {err}") from err
            fact = f"queue `{self.path}` cannot be used: {err}"
            hint = "see that its disk has space, or set `CRUIJFF_STATE_DIR` to a directory of yours on a local disk"
            raise SchedulerError(fact, transient=False, stderr=str(err), hint=hint) from err

    def _unusable(self, fact: str) -> SchedulerError:
        old, aside = (shlex.quote(str(path)) for path in (self.path, self.path.with_suffix(".old")))
        hint = f"jobs that run go on; set the file aside with `mv {old} {aside}`, then submit again"
        return SchedulerError(f"queue `{self.path}` {fact}", transient=False, hint=hint)


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring a file to this version, once, whoever else is at it."""
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for step in range(version, _VERSION):
        db.execute(_UPGRADES[step])
    db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("COMMIT")


def _blank() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(_SCHEMA)
    return db
