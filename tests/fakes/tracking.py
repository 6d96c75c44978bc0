"""A tracking service in memory that notes what it was sent."""

from collections.abc import Mapping, Sequence

from cruijff_kit.errors import SiteError

__all__ = ["FakeTracking"]


class FakeTracking:
    """Keeps the promises of the port; `offline` makes it refuse."""

    def __init__(self, sizes: Mapping[str, int], *, offline: bool = False) -> None:
        self.sent: list[str] = []
        """Folders sent, in order; the test may look."""
        self._sizes = dict(sizes)
        self._offline = offline

    def size(self, folder: str) -> int | None:
        """Return what the test said lies there."""
        return self._sizes.get(folder)

    def upload(self, folders: Sequence[str]) -> None:
        """Note the folders.

        Raises:
            SiteError: the test said it is offline.
        """
        if self._offline:
            raise SiteError("`WANDB_MODE` is `offline`: nothing is sent", hint="unset WANDB_MODE, then sync again")
        self.sent += folders
