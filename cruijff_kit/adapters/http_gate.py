"""Who may ask a server: the token, the name it was asked by, and what a browser could be made to send."""

import hmac
from collections.abc import Mapping

from cruijff_kit.runtime.loopback import is_loopback
from cruijff_kit.runtime.openai_requests import Refusal

__all__ = ["Gate"]

_OPEN = "/health"


class Gate:
    """Lets requests in, or says why not."""

    def __init__(self, host: str, *, token: str | None) -> None:
        """Take where the server listens and what it asks for.

        Args:
            host: the address it is bound to.
            token: secret that requests must carry; None asks for none.
        """
        self._local = is_loopback(host)
        self._token = token

    def admit(self, method: str, path: str, *, headers: Mapping[str, str]) -> None:
        """Let a request in.

        Raises:
            Refusal: it names another host, lacks the token, or could come from a page of any website.
        """
        # A website may point a name of its own at 127.0.0.1; then its pages may read what is answered there.
        if self._local and not is_loopback(_name(headers.get("host", ""))):
            told = "this server is asked as `127.0.0.1` or `localhost`, and the request names another host"
            raise Refusal(told, status=403, code="host_not_allowed")
        if path == _OPEN:
            return
        if self._token is not None and not self._known(headers.get("authorization", "")):
            told = "the token is missing or wrong; clients call it the API key, and send `Authorization: Bearer KEY`"
            raise Refusal(told, status=401, code="invalid_api_key")
        # A browser asks before it sends this type to another site, and is given no leave here.
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and kind != "application/json":
            raise Refusal("the body must be sent as `Content-Type: application/json`", status=415)

    def _known(self, header: str) -> bool:
        scheme, _, given = header.partition(" ")
        same = hmac.compare_digest(given.strip().encode(), (self._token or "").encode())
        return scheme.lower() == "bearer" and same


def _name(host: str) -> str:
    """Return the host of a `Host` header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
