"""Models that say a question back, and a server that is asked by nobody."""

from collections.abc import Callable, Sequence

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.schema.serving import Address, ChatSettings, Place, Reply, Saying, ServedModel

__all__ = ["FakeDialogue", "FakeServing"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class FakeDialogue:
    """Says the last question back, a word at a time, one token a word."""

    def __init__(self, served: ServedModel) -> None:
        self.served = served

    def answer(self, sayings: Sequence[Saying], settings: ChatSettings, *, heard: Callable[[str], None]) -> Reply:
        if not sayings or sayings[-1].role != "user":
            raise SpecError("the last turn is not the user's")
        words = sayings[-1].content.split()
        asked = sum(len(saying.content.split()) for saying in sayings)
        longest = settings.max_tokens or 256
        if asked + (settings.max_tokens or 1) > self.served.max_positions:
            raise SpecError("prompt and answer exceed the model's positions")
        said = [word if at == 0 else f" {word}" for at, word in enumerate(words[:longest])]
        for word in said:
            heard(word)
        ended = "stop" if len(said) == len(words) else "length"
        return Reply(text="".join(said), ended=ended, prompt_tokens=asked, tokens=len(said))


class FakeServing:
    """Takes places until it is ended at once, and keeps what it served."""

    def __init__(self, *, token: str | None = None) -> None:
        self.token, self.taken, self.served = token, set[int](), list[ServedModel]()

    def serve(
        self, served: ServedModel, place: Place, *, ready: Callable[[Address], None], log: Callable[[str], None]
    ) -> bool:
        if place.host not in _LOOPBACK and served.here_only:
            raise SiteError(f"{served.here_only}, so it is served on this machine alone")
        if place.host not in _LOOPBACK and self.token is None:
            raise SiteError(f"`{place.host}` can be reached from other machines, and no token is set")
        if place.port in self.taken:
            raise SiteError(f"port `{place.port}` of `{place.host}` is taken")
        self.served.append(served)
        port = place.port or 49152
        names = (served.name,) if served.adapter is None else (served.name, served.base_name)
        address = Address(
            url=f"http://{place.host}:{port}/v1", host=place.host, port=port, model=served.name, models=names,
            token=self.token is not None, pid=1,
        )  # fmt: skip
        ready(address)
        return True

    def open(self, served: ServedModel) -> FakeDialogue:
        self.served.append(served)
        return FakeDialogue(served)
