"""Dataset types: how a row becomes tokens, and what others call it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

__all__ = ["DATASET_TYPES", "DatasetType"]

DatasetType = Literal["chat_completion", "text_completion", "chat", "auto"]
"""One question and its answer in a chat template or as plain text, a whole conversation, or what each row says."""

DATASET_TYPES: Mapping[str, DatasetType] = MappingProxyType(
    {
        "chat_completion": "chat_completion",
        "text_completion": "text_completion",
        "chat": "chat",
        "auto": "auto",
        "instruct": "chat_completion",
        "instruct_dataset": "chat_completion",
        "chat_dataset": "chat",
        "text_completion_dataset": "text_completion",
    }
)
"""Every name a dataset type goes by, those of torchtune and of the first system too, to the type."""
