"""Redaction: what looks like a secret is masked before it is written or shown."""

import re
from collections.abc import Iterable, Mapping

from cruijff_kit.schema.audit import AuditEvent

__all__ = ["MASK", "redact", "redact_event", "redact_fields", "sensitive_values"]

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
# Whatever is masked below holds one of these, in any case: logs are long, and hardly a line of them does.
_SIGNS = ("token", "secret", "passw", "key", "bearer", "hf_", "sk-", "gh", "github_", "akia", "xox", "://")
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
    if _innocent(text):
        return text
    text = _FORMS.sub(MASK, _PRIVATE_KEY.sub(MASK, text))
    if "://" in text:
        text = _URL_USER.sub(rf"\1{MASK}@", text)
    if _MENTION.search(text):
        text = _mask_assigned(text)
    return _BEARER.sub(rf"\1{MASK}", text)


def _innocent(text: str) -> bool:
    """Return whether nothing of a text can be masked; other letters than ASCII have cases of their own."""
    if not text.isascii():
        return False
    lowered = text.lower()
    return not any(sign in lowered for sign in _SIGNS)


def redact_fields(fields: Mapping[str, str], secrets: Iterable[str] = ()) -> dict[str, str]:
    """Return named values redacted, whole where the name alone calls for it."""
    known = tuple(secrets)
    return {
        redact(name, known): MASK if _names_secret(name, value) else redact(value, known)
        for name, value in fields.items()
    }


def redact_event(event: AuditEvent, secrets: Iterable[str] = ()) -> AuditEvent:
    """Return an event whose every string is redacted and can be written as UTF-8."""
    known = tuple(secrets)
    texts = {name: _encodable(getattr(event, name) or "") for name in ("verb", "subject", "reason", "error")}
    named = {name: _encodable_fields(getattr(event, name)) for name in ("inputs", "outputs", "versions")}
    changes: dict[str, object] = {name: redact_fields(fields, known) for name, fields in named.items()}
    changes |= {name: redact(text, known) for name, text in texts.items() if getattr(event, name) is not None}
    actor = _encodable_fields(event.actor.model_dump(exclude_none=True))
    return event.model_copy(update={**changes, "actor": event.actor.model_copy(update=redact_fields(actor, known))})


def sensitive_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of variables that hold secrets by their names, each once."""
    found = {
        value
        for name, value in environment.items()
        if len(value) >= _SHORTEST and _SECRET_NAME.fullmatch(name) and _names_secret(name, value)
    }
    return tuple(sorted(found))


def _encodable(text: str) -> str:
    # A file name's stray bytes are no Unicode; they are shown as escapes.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _encodable_fields(fields: Mapping[str, str]) -> dict[str, str]:
    return {_encodable(name): _encodable(value) for name, value in fields.items()}


def _mask_assigned(text: str) -> str:
    shown, done, at = [], 0, 0
    while found := _ASSIGNMENT.search(text, at):
        value = found["value"]
        if not value or value.startswith(MASK) or not _names_secret(found["name"], value):
            # A harmless value may hold a further assignment that is not.
            at = max(found.start("value"), at + 1)
            continue
        # What closes the sentence or the call around an unquoted value is not part of it.
        kept = 0 if found["open"] else len(value) - len(value.rstrip(",;)}]"))
        shown += [text[done : found.start("value")], MASK]
        done = at = found.end() - kept
    return "".join([*shown, text[done:]])


def _names_secret(name: str, value: str) -> bool:
    if not _SECRET_NAME.fullmatch(name):
        return False
    if not name.lower().endswith("token"):
        return True
    if _PIECE_OF_TEXT.fullmatch(name) or _HARMLESS.fullmatch(value):
        return False
    return name != "token" or bool(_RANDOM.fullmatch(value))
