"""What everything that proposes trials does, the fake one as Optuna's samplers."""

import pytest

from cruijff_kit.adapters.optuna_sampler import OptunaSampler
from cruijff_kit.planning.search_space import tidy
from cruijff_kit.ports import Proposer
from cruijff_kit.schema.design_kinds import Level, Space, Span
from cruijff_kit.schema.sweep import Tried
from tests.fakes.proposer import FakeProposer

SPACE: Space = {
    "lr": Span(low=1e-5, high=1e-3, log=True),
    "lora_rank": Span(low=8, high=64, step=8),
    "lora_dropout": Span(low=0, high=0.5),
    "target": ("q", None, True, 4),
}
OUTSIDE: dict[str, Level] = {"lr": 1.0, "lora_rank": 7, "lora_dropout": 0.1, "target": "z"}


@pytest.fixture(params=("fake", "real"))
def proposer(request: pytest.FixtureRequest) -> Proposer:
    return OptunaSampler() if request.param == "real" else FakeProposer()


def history(proposer: Proposer, count: int) -> list[Tried]:
    points = [proposer.propose(SPACE, [], sampler="random", minimise=True, seed=seed) for seed in range(count)]
    values = [abs(float(str(point["lora_dropout"])) - 0.25) for point in points]
    return [Tried(parameters=tidy(SPACE, each), value=value) for each, value in zip(points, values, strict=True)]


def test_a_point_lies_in_the_space_and_names_every_dimension(proposer: Proposer) -> None:
    for seed in range(12):
        point = proposer.propose(SPACE, [], sampler="tpe", minimise=True, seed=seed)
        assert list(point) == list(SPACE)
        assert 1e-5 <= float(str(point["lr"])) <= 1e-3
        assert point["lora_rank"] in range(8, 65, 8)
        assert any(point["target"] is level for level in ("q", None, True, 4))


@pytest.mark.parametrize("sampler", ("tpe", "random"))
def test_the_same_history_and_seed_give_the_same_point_in_any_process(proposer: Proposer, sampler: str) -> None:
    tried = [*history(proposer, 14), Tried(parameters=OUTSIDE, value=0.0)]
    tried.append(Tried(parameters=tried[0].parameters, open=True))
    told = {"sampler": sampler, "minimise": True}
    one, same, other = (proposer.propose(SPACE, tried, seed=seed, **told) for seed in (5, 5, 6))
    assert one == same
    assert one != other


def test_trials_that_failed_are_open_or_lie_elsewhere_are_no_hindrance(proposer: Proposer) -> None:
    tried = [Tried(parameters=OUTSIDE, value=1.0), Tried(parameters=OUTSIDE)]
    states = ({"value": None, "open": at % 2 == 0} for at in range(6))
    tried += [each.model_copy(update=state) for each, state in zip(history(proposer, 6), states, strict=True)]
    assert proposer.propose(SPACE, tried, sampler="tpe", minimise=False, seed=1)


def test_optuna_learns_from_what_was_tried() -> None:
    sampler, tried = OptunaSampler(), history(OptunaSampler(), 40)
    learnt = [sampler.propose(SPACE, tried, sampler="tpe", minimise=True, seed=seed) for seed in range(30)]
    near = sum(abs(float(str(point["lora_dropout"])) - 0.25) < 0.1 for point in learnt)
    # By chance two in five would be as near.
    assert near > 18


@pytest.mark.soak
def test_the_slow_sampler_learns_and_repeats_itself_too() -> None:
    sampler, tried = OptunaSampler(), history(OptunaSampler(), 20)
    one, same = (sampler.propose(SPACE, tried, sampler="gp", minimise=True, seed=3) for _ in range(2))
    assert one == same
    assert abs(float(str(one["lora_dropout"])) - 0.25) < 0.15


def test_optuna_writes_nothing_and_keeps_its_own_voice(capfd: pytest.CaptureFixture[str]) -> None:
    OptunaSampler().propose(SPACE, history(OptunaSampler(), 12), sampler="tpe", minimise=True, seed=1)
    assert capfd.readouterr() == ("", "")
