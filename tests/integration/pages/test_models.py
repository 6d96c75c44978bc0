"""A text is decided on by a model that the page loads; of a model without a calibrator nothing is promised."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.serving import ModelChoice
from cruijff_kit.ui.decide import NO_GUARANTEE
from tests.random_model import random_base


def _script(opening: str) -> None:
    from cruijff_kit.schema.pages import Opening
    from cruijff_kit.ui.shell import show_one

    show_one("decide", Opening.model_validate_json(opening))


def test_a_text_is_asked_of_the_model_once_it_is_loaded_and_never_before(tmp_path: Path) -> None:
    choice = ModelChoice(model=random_base(tmp_path / "models" / "base"))
    opening = Opening(project=str(tmp_path), model=choice)
    app = AppTest.from_function(_script, args=(opening.model_dump_json(),), default_timeout=120).run()
    assert not app.exception
    assert not app.text_area
    app.text_input(key="own_options").set_value("yes, no, maybe").run()
    app.toggle[0].set_value(True).run()
    app.text_area(key="text").set_value("the river rose by the hour").run()
    assert not app.exception
    assert not app.error, app.error[0].value
    (shares,) = [each.value for each in app.dataframe if "expected cost" in each.value]
    assert list(shares["action"]) == ["yes", "no", "maybe"]
    assert NO_GUARANTEE in [each.value for each in app.warning]
    assert not app.success
