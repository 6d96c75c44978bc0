from pathlib import Path

import pytest

from cruijff_kit.data.tasks import TASKS, TaskName, parse_task
from cruijff_kit.errors import SpecError


def test_every_task_folder_is_known_and_every_known_task_has_a_folder() -> None:
    import cruijff_kit

    folder = Path(cruijff_kit.__file__).parent / "tasks"
    assert sorted(path.parent.name for path in folder.glob("*/__init__.py")) == sorted(TASKS)


def test_a_task_of_this_package_goes_by_its_name() -> None:
    assert parse_task("capitalization") == TaskName("capitalization")


def test_a_task_of_the_user_is_a_file_and_a_function() -> None:
    assert parse_task("my tasks/at@home/tasks.py@spelling") == TaskName("spelling", "my tasks/at@home/tasks.py")


def test_a_misspelt_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match="unknown task `capitalisation`") as refusal:
        parse_task("capitalisation")
    assert "write `capitalization`" in refusal.value.hint


@pytest.mark.parametrize("text", ("tasks.txt@spelling", "tasks.py@", "tasks.py@not a name", "@spelling"))
def test_a_reference_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"`file\.py@name`"):
        parse_task(text)
