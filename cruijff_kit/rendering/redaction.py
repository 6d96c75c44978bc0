"""Redaction: what looks like a secret is masked before it is written or shown."""

import re
from collections.abc import Iterable, Mapping

__all__ = ["MASK", "redact", "redact_fields", "sensitive_values"]

MASK = "[redacted]"
"""Stands where a secret stood."""

_SHORTEST = 8
"""Characters; a shorter value of a sensitive variable would mask ordinary words."""

_FORMS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{30,}"
    r"|sk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}"
    r"|github_pat_[A-Za-z0-9_]{40,}"
    r"|AKIA[A-Z0-9]{16}"
    r"|xox[baprs]-[A-Za-z0-9-]{10,}"
    r")"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_BEARER = re.compile(r"\b(Bearer\s+)[A-Za-z0-9._~+/-]{16,}=*", re.IGNORECASE)
_URL_USER = re.compile(r"(://)[^/\s\"'<>]+@")
_KIND = r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API[_-]?KEY|(?:ACCESS|SECRET|PRIVATE)[_-]?KEY)"
_MENTION = re.compile(_KIND, re.IGNORECASE)
_ASSIGNMENT = re.compile(
    rf"(?<![A-Za-z0-9_])(?P<flag>--[A-Za-z0-9-]{{0,40}}?)?(?P<name>[A-Za-z0-9_]*{_KIND})"
    r"(?P<sign>\\*[\"']?[ \t]*[=:][ \t]*|(?(flag)[ \t]+|(?!)))"
    r"(?P<open>\\*[\"'])?"
    r"(?P<value>(?(open)(?:(?!(?P=open))(?:\\.|.))*|[^\s\"']+))",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(rf".*{_KIND}", re.IGNORECASE | re.DOTALL)
# In this field a token is first of all a piece of text: a setting, a count, a marker.
_PIECE_OF_TEXT = re.compile(
    r"(?:.*_)?(?:bos|eos|eot|eom|pad|unk|sep|cls|mask|max|min|per|next|last|first|stop|start|end|special|image|new)_token",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"[-+\d.,e_]*|true|false|yes|no|on|off|null|none|[<\[].*", re.IGNORECASE | re.DOTALL)
_RANDOM = re.compile(r"(?=.*\d)\S{16,}", re.DOTALL)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text with known forms, named values and these secrets masked.

    A count, marker or setting that is merely called a token (`max_token: 5`) stays.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _FORMS.sub(MASK, _PRIVATE_KEY.sub(MASK, text))
    if "://" in text:
        text = _URL_USER.sub(rf"\1{MASK}@", text)
    if _MENTION.search(text):
        text = _ASSIGNMENT.sub(_masked, text)
    return _BEARER.sub(rf"\1{MASK}", text)


def redact_fields(fields: Mapping[str, str], secrets: Iterable[str] = ()) -> dict[str, str]:
    """Return named values redacted, whole where the name alone calls for it."""
    known = tuple(secrets)
    return {
        redact(name, known): MASK if _names_secret(name, value) else redact(value, known)
        for name, value in fields.items()
    }


def sensitive_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of variables that hold secrets by their names, each once."""
    found = {
        value
        for name, value in environment.items()
        if len(value) >= _SHORTEST and _SECRET_NAME.fullmatch(name) and _names_secret(name, value)
    }
    return tuple(sorted(found))


def _masked(found: re.Match[str]) -> str:
    value = found["value"]
    if not value or value.startswith(MASK) or not _names_secret(found["name"], value):
        return found[0]
    # What closes the sentence or the call around an unquoted value is not part of it.
    kept = "" if found["open"] else value[len(value.rstrip(",;)}]")) :]
    return "".join([found["flag"] or "", found["name"], found["sign"], found["open"] or "", MASK, kept])


def _names_secret(name: str, value: str) -> bool:
    if not _SECRET_NAME.fullmatch(name):
        return False
    if not name.lower().endswith("token"):
        return True
    if _PIECE_OF_TEXT.fullmatch(name) or _HARMLESS.fullmatch(value):
        return False
    return name != "token" or bool(_RANDOM.fullmatch(value))
