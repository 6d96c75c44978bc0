"""Names of dataset types: ours, and those that people bring."""

from typing import get_args

from cruijff_kit.schema.dataset_type import DATASET_TYPES, DatasetType


def test_every_name_leads_to_a_type_and_every_type_is_a_name() -> None:
    types = set(get_args(DatasetType))
    assert set(DATASET_TYPES.values()) == types
    assert {name: DATASET_TYPES[name] for name in types} == {name: name for name in types}


def test_the_names_of_the_first_system_lead_where_its_rows_belong() -> None:
    assert DATASET_TYPES["instruct_dataset"] == DATASET_TYPES["instruct"] == "chat_completion"
    assert DATASET_TYPES["chat_dataset"] == "chat"
    assert DATASET_TYPES["text_completion_dataset"] == "text_completion"
