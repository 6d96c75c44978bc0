"""Configuration files that lie in memory."""

from collections.abc import Mapping

from cruijff_kit.errors import SiteError
from cruijff_kit.schema.client import ClientFile, ClientLevel, ClientName

__all__ = ["FakeClientFiles"]


class FakeClientFiles:
    """One file a client and level, none of which is there at first; a machine with an ssh."""

    def __init__(self, texts: Mapping[tuple[ClientName, ClientLevel], str] | None = None) -> None:
        self.texts = {f"/{level}/{client}": text for (client, level), text in (texts or {}).items()}
        self.client: tuple[str, ...] | None = ("/usr/bin/ssh",)
        self.set: dict[str, str] = {}

    def find(self, client: ClientName, level: ClientLevel) -> ClientFile:
        path = f"/{level}/{client}"
        return ClientFile(path=path, text=self.texts.get(path))

    def write(self, file: ClientFile, text: str) -> None:
        if self.texts.get(file.path) != file.text:
            raise SiteError(f"`{file.path}` was changed meanwhile; nothing was written", hint="repeat the command")
        self.texts[file.path] = text

    def server(self) -> tuple[str, ...]:
        return ("/env/bin/python", "-P", "-m", "server")

    def ssh(self) -> tuple[str, ...] | None:
        return self.client

    def variables(self) -> dict[str, str]:
        return dict(self.set)
