"""The site file: settings of this machine, read from the project or the user."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cruijff_kit.adapters.state_dir import config_dir
from cruijff_kit.data.yaml_text import Marks, load_yaml
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.site import Site

__all__ = ["load_site"]

_NAME = "site.yaml"


def load_site(root: Path) -> Site:
    """Return the project's `site.yaml` over the user's own, over the defaults.

    Leave to submit without a question counts only in the user's own file: a project
    that someone else wrote must not be able to grant it.

    Raises:
        SpecError: a file has unknown keys or values; all problems of it at once.
    """
    own, marks_own = _read(config_dir() / _NAME)
    project, marks = _read(root / _NAME)
    _validate(own, marks_own)
    _validate(project, marks)
    if project.get("allow_unattended"):
        problem = Problem(
            "`allow_unattended` counts only in your own site file",
            path="allow_unattended",
            place=marks.place(("allow_unattended",)),
            hint=f"move it to {config_dir() / _NAME}",
        )
        raise SpecError("the project's site file cannot grant this", problems=[problem])
    return Site.model_validate({**own, **project})


def _read(path: Path) -> tuple[dict[str, Any], Marks]:
    if not path.is_file():
        return {}, Marks(str(path), {})
    value, marks = load_yaml(path.read_text(encoding="utf-8"), name=str(path))
    if value is not None and not isinstance(value, dict):
        raise SpecError(f"`{path}` does not hold settings", hint="write `key: value` lines, such as `scheduler: local`")
    return value or {}, marks


def _validate(values: dict[str, Any], marks: Marks) -> None:
    try:
        Site.model_validate(values)
    except ValidationError as err:
        problems = [
            Problem(each["msg"].lower(), path=".".join(map(str, each["loc"])), place=marks.place(tuple(each["loc"])))
            for each in err.errors()
        ]
        raise SpecError("the site file is not valid", problems=problems) from err
