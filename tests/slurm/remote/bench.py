"""A test's own jobs on a Slurm that is reached through a login host alone."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cruijff_kit.adapters.login_host import LoginHost
from cruijff_kit.adapters.slurm import SlurmScheduler
from tests.slurm.bench import SlurmBench
from tests.slurm.cluster import Cluster
from tests.slurm.remote.login import Login

__all__ = ["LoginBench", "login_bench"]


class LoginBench(SlurmBench):
    """A cluster whose commands are found on the login host only: here `SLURM_CONF` is not set."""

    def __init__(self, cluster: Cluster, folder: Path, *, login: Login) -> None:
        self.login = login
        super().__init__(cluster, folder)

    def another(self) -> SlurmScheduler:
        """Return a scheduler on the same cluster, as another process would have."""
        return SlurmScheduler(LoginHost(self.login.name))


@contextlib.contextmanager
def login_bench(cluster: Cluster, folder: Path, *, login: Login) -> Iterator[LoginBench]:
    """Yield a bench; its jobs end with it."""
    bench = LoginBench(cluster, folder, login=login)
    try:
        yield bench
    finally:
        bench.open_gates()
