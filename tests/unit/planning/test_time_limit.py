import pytest

from cruijff_kit.planning.time_limit import seconds_of, text_of


@pytest.mark.parametrize("text,seconds", (("00:00:10", 10), ("01:30:00", 5400), ("2-00:00:01", 172_801)))
def test_a_time_limit_is_read_and_written_back(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
    assert text_of(seconds) == text


@pytest.mark.parametrize("text", ("10:00", "10", "1-2", "00:60:00", "00:00:10\n", "-1:00:00", ""))
def test_a_form_that_people_and_slurm_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        seconds_of(text)
