"""Whether a name or address is this machine's own."""

from ipaddress import ip_address

__all__ = ["is_loopback"]


def is_loopback(host: str) -> bool:
    """Return whether a name or address is this machine's own, and nobody else's."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
