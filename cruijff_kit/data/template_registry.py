"""The registry of templates: names a design may give to the way in which conversations are written."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from cruijff_kit.data.chat_shapes import ALPACA, CHATML, LLAMA2, LLAMA3, TINYLLAMA, custom_shape, joint_of

__all__ = ["MODEL", "NOT_IN_TEXT", "Template", "get", "is_file", "names", "register", "settled"]

MODEL = "model"
"""The model's own chat template."""

NOT_IN_TEXT = "`text_completion` writes no conversations, and `template` names how they are written"
"""What is wrong with a named template where rows are plain text."""


class Template(NamedTuple):
    """A way in which conversations are written."""

    name: str
    """Name in a design."""
    text: str
    """Chat template in Jinja, or one text with `{field}` placeholders; empty for the model's own."""
    told: str
    """What it is, in a line."""

    @property
    def joint(self) -> str:
        """Return what goes between an instruction and its input in the turn that holds both."""
        return joint_of(self.chat_template)

    @property
    def chat_template(self) -> str:
        """Return it as a chat template; nothing for the model's own.

        Raises:
            ValueError: a placeholder is missing, unknown or misplaced.
        """
        return self.text if not self.text or _is_jinja(self.text) else _shaped(self.text)


_BUILT_IN: Mapping[str, Template] = MappingProxyType(
    {
        each.name: each
        for each in (
            Template(MODEL, "", "the model's own chat template"),
            Template("alpaca", ALPACA, "Stanford Alpaca, with an input and without"),
            Template("chatml", CHATML, "ChatML: `<|im_start|>` and `<|im_end|>` around each turn"),
            Template("llama2", LLAMA2, "Llama 2: `[INST]` and `[/INST]` around each question"),
            Template("llama3", LLAMA3, "Llama 3: a header before each turn, `<|eot_id|>` after it"),
            Template("tinyllama", TINYLLAMA, "TinyLlama and Zephyr: `<|user|>` and `<|assistant|>`"),
        )
    }
)
_ALIASES: Mapping[str, str] = MappingProxyType({"llama": "llama2", "zephyr": "tinyllama"})
_REGISTERED: dict[str, Template] = {}


def register(template: Template) -> None:
    """Add a template under its name, for this process; designs that name it carry its text to their jobs.

    Raises:
        ValueError: the name is taken or is none, or the text is no template.
    """
    if template.name in {*names(), *_ALIASES} or not template.name.isidentifier():
        raise ValueError(f"`{template.name}` cannot be registered: it is taken, or no name")
    if not template.text:
        raise ValueError(f"template `{template.name}` has no text")
    _REGISTERED[template.name] = _read(template)


def get(name: str) -> Template:
    """Return a template by its name, another name of it, or its own text.

    Raises:
        ValueError: there is none of that name, or the text is no template.
    """
    found = _BUILT_IN.get(_ALIASES.get(name, name)) or _REGISTERED.get(name)
    if found is not None:
        return found
    if "{" not in name:
        known = ", ".join(f"`{each}`" for each in names())
        near = get_close_matches(name, [*names(), *_ALIASES], n=1)
        meant = f"; did you mean `{near[0]}`?" if near else ""
        raise ValueError(f"unknown template `{name}`; known are {known}{meant}")
    return _read(Template(name, name, "a template of the user's own"))


def names() -> tuple[str, ...]:
    """Return the names of all templates, those of this package first."""
    return (*_BUILT_IN, *_REGISTERED)


def is_file(template: str) -> bool:
    """Return whether a design names a file: neither a template's name nor a text with placeholders."""
    return "{" not in template and template not in {*names(), *_ALIASES}


def settled(template: str) -> str:
    """Return what jobs are told of a template: its name where every process knows it, else its text.

    Raises:
        ValueError: there is none of that name, or the text is no template.
    """
    found = get(template)
    return found.name if found.name in _BUILT_IN else found.text


def _read(template: Template) -> Template:
    """Return a template, so that whatever is wrong with its text is told now and not at its first use."""
    _ = template.chat_template
    return template


def _is_jinja(text: str) -> bool:
    # Without a statement no template reaches a conversation's turns.
    return "{%" in text


@lru_cache(maxsize=32)
def _shaped(text: str) -> str:
    return custom_shape(text)
