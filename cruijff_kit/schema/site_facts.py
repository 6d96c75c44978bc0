"""Site fact nouns: what was found on a machine and its cluster, and what a check says of it."""

from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.site import GpuKind, Partition

__all__ = [
    "ClusterFacts",
    "FolderFacts",
    "LoginFacts",
    "MachineFacts",
    "OldScript",
    "ScriptAnswer",
    "SiteFindings",
    "SiteProposal",
    "SiteReport",
    "SiteTrait",
]


class ClusterFacts(Noun):
    """What a cluster says of itself."""

    name: str = ""
    """Its name."""
    version: str = ""
    """Version of its scheduler."""
    partitions: tuple[Partition, ...] = ()
    """Partitions that are up."""
    default_partition: str | None = None
    """The one that jobs without a partition go to."""
    accounts: tuple[str, ...] = ()
    """Accounts this user may charge; empty where no accounting is kept."""
    default_account: str | None = None
    """The one that jobs without an account are charged to."""
    qos_levels: tuple[str, ...] = ()
    """Qualities of service this user may ask for."""
    features: tuple[str, ...] = ()
    """Node features that a constraint may name."""
    max_submit: int | None = None
    """Jobs this user may have in the queue, where that is limited."""
    warnings: tuple[str, ...] = ()
    """Settings of the cluster that make jobs behave unexpectedly, each with what to do."""
    fault: str = ""
    """Its own words where it did not answer."""


class MachineFacts(Noun):
    """What is on this machine."""

    commands: dict[str, str]
    """Program to where it lies on PATH; empty where it is not there."""
    modules: bool
    """Whether a login shell knows `module`."""
    venv: str | None
    """Virtual environment that this process runs in."""
    conda: str | None
    """Name of the conda environment that is active."""
    gpus: tuple[GpuKind, ...]
    """GPUs that the driver here tells of."""
    scratch: str | None = None
    """Scratch directory that the environment names."""


class FolderFacts(Noun):
    """What can be done in a directory."""

    path: str
    """The directory."""
    exists: bool
    """Whether it is there."""
    writable: bool = False
    """Whether a file could be written, flushed and renamed in it."""
    locks: bool | None = None
    """Whether a lock held by one process kept another out; None where that was not tried."""
    free: int | None = None
    """Bytes free on its file system."""
    mount: str = ""
    """Where that is mounted; empty where nobody says."""
    quota_left: int | None = None
    """Bytes left of the tightest quota there; None where no quota is told."""
    quota_of: str = ""
    """Whose quota that is, such as `user ada`."""
    files_left: int | None = None
    """Files that may still be made there; None where they are not counted."""
    skew: float | None = None
    """Seconds by which the file system's clock is ahead of this machine's."""
    fault: str = ""
    """The system's words where something failed."""


class LoginFacts(Noun):
    """What was found of a login host."""

    host: str
    """Its name, as `ssh` knows it."""
    fault: str = ""
    """Why it was not reached."""
    hint: str = ""
    """What mends that."""
    chatter: str = ""
    """What a connection prints before anything was asked."""
    rsync_here: str = ""
    """Version of `rsync` on this machine; empty where there is none."""
    rsync_there: str = ""
    """The same, there."""
    skew: float | None = None
    """Seconds by which its clock is ahead of this machine's."""
    shared: bool | None = None
    """Whether a file written beside the experiments here is seen there; None where that is not asked."""
    folder: str = ""
    """The project's directory there; empty where both sides see the same."""
    writable: bool = False
    """Whether that directory is there and can be written."""
    package: str | None = None
    """Version of this package there; None where it is not there, or not asked."""


class ScriptAnswer(Noun):
    """What a script printed and how it ended."""

    code: int
    """Exit code; 124 where it ran too long."""
    output: str
    """Its standard output."""
    errors: str
    """The end of its standard error."""


class OldScript(Noun):
    """What another job script asks for and activates."""

    options: dict[str, str]
    """Long names of its `#SBATCH` options to their values."""
    modules: tuple[str, ...] = ()
    """Modules it loads."""
    conda: str | None = None
    """conda environment it activates."""
    venv: str | None = None
    """Virtual environment it activates."""
    left: tuple[str, ...] = ()
    """Lines that prepare something and were not understood."""


class SiteProposal(Noun):
    """One value that a site file could hold, found rather than made up."""

    key: str
    """Top-level key of the site file."""
    value: str
    """Its value as YAML on one line; empty where nothing was found, and only a person can say."""
    source: str
    """Where it was found."""
    question: str
    """What to ask a person about it."""
    choices: tuple[str, ...] = ()
    """Values to choose from, where there are some."""


class SiteFindings(Noun):
    """What a site file could say, and what of an old script it will not."""

    proposals: tuple[SiteProposal, ...]
    """Values found, in the order of the file."""
    notes: tuple[str, ...] = ()
    """What was read and not taken over, each with what to do about it."""


class SiteTrait(Noun):
    """One thing that was checked."""

    name: str
    """What it is."""
    ok: bool | None
    """Whether it will do; None where it could not be told."""
    found: str
    """What was found."""
    hint: str = ""
    """How to mend it."""


class SiteReport(Noun):
    """Everything that was checked of a site."""

    scheduler: str
    """Which scheduler the site has."""
    traits: tuple[SiteTrait, ...]
    """One a thing."""
