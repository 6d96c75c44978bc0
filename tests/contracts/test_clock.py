"""What every clock promises; run on the one that a test moves and on this machine's."""

from datetime import timedelta

import pytest

from cruijff_kit.adapters.clock import SystemClock
from cruijff_kit.ports import Clock
from tests.fakes.clock import FakeClock


@pytest.fixture(params=(FakeClock, SystemClock))
def clock(request: pytest.FixtureRequest) -> Clock:
    return request.param()


def test_the_moment_is_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_waiting_moves_both_readings_by_at_least_as_much(clock: Clock) -> None:
    moment, seconds = clock.now(), clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - seconds >= 0.01
    assert clock.now() - moment >= timedelta(seconds=0.009)


@pytest.mark.parametrize("seconds", (0, -1))
def test_waiting_for_nothing_is_no_error_and_goes_not_back(clock: Clock, seconds: float) -> None:
    before = clock.monotonic()
    clock.sleep(seconds)
    assert clock.monotonic() >= before
