"""Assistants' configuration files, and the programs that they are to start."""

from typing import Protocol

from cruijff_kit.schema.client import ClientFile, ClientLevel, ClientName

__all__ = ["ClientFiles"]


class ClientFiles(Protocol):
    """Configuration files of the clients on this machine."""

    def find(self, client: ClientName, level: ClientLevel) -> ClientFile:
        """Return a client's file as it lies on disk; SiteError where it cannot be read or leads out of the project."""
        ...

    def write(self, file: ClientFile, text: str) -> None:
        """Write a file aside and rename it; SiteError where it is no longer as it was found."""
        ...

    def server(self) -> tuple[str, ...]:
        """Return the command that starts the server with no environment activated."""
        ...

    def ssh(self) -> tuple[str, ...] | None:
        """Return the absolute path of `ssh` and which configuration it is to read; None where there is none."""
        ...

    def variables(self) -> dict[str, str]:
        """Return the variables set here that the server finds its files by."""
        ...
