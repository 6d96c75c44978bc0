from collections.abc import Sequence

import anyio
import pytest

from cruijff_kit.errors import PlanError
from cruijff_kit.runtime.batching import Batcher, Query
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.schema.prediction import Completion, PromptIds

SHORT, LONG = Limits(max_tokens=1), Limits(max_tokens=9)


class Echo:
    """Answers each prompt with its own ids, keeps the batches, refuses prompts that start with 13."""

    def __init__(self) -> None:
        self.batches: list[list[PromptIds]] = []

    def __call__(self, queries: Sequence[Query], limits: Limits) -> list[Completion]:
        prompts = [query.prompt for query in queries]
        self.batches.append(list(prompts))
        if any(prompt[0] == 13 for prompt in prompts):
            raise PlanError("thirteen")
        return [Completion(token_ids=prompt, text=str(limits.max_tokens), stopped=True) for prompt in prompts]


async def ask_all(batcher: Batcher, asked: Sequence[tuple[PromptIds, Limits]]) -> list[Completion | str]:
    answers: list[Completion | str] = [""] * len(asked)

    async def ask(at: int, prompt: PromptIds, limits: Limits) -> None:
        try:
            answers[at] = await batcher.complete(Query(prompt), limits)
        except PlanError as err:
            answers[at] = str(err)

    async with anyio.create_task_group() as group:
        for at, (prompt, limits) in enumerate(asked):
            group.start_soon(ask, at, prompt, limits)
    return answers


def test_requests_that_arrive_together_are_one_batch() -> None:
    echo = Echo()
    asked = [((number,), SHORT) for number in range(10)]
    answers = anyio.run(ask_all, Batcher(echo), asked)
    assert len(echo.batches) == 1
    assert [answer.token_ids for answer in answers if isinstance(answer, Completion)] == [ids for ids, _ in asked]


def test_requests_that_trickle_in_while_the_loop_is_busy_are_one_batch() -> None:
    echo = Echo()

    async def trickle() -> None:
        batcher = Batcher(echo)
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(batcher.complete, Query((number,)), SHORT)
                await anyio.lowlevel.checkpoint()
                keep_busy_until(anyio.current_time() + 0.02)

    anyio.run(trickle)
    assert echo.batches == [[(number,) for number in range(5)]]


def keep_busy_until(moment: float) -> None:
    """Hold the loop up as a sample does whose log is being written."""
    while anyio.current_time() < moment:
        pass


def test_a_loop_that_is_always_busy_holds_a_batch_up_only_so_long() -> None:
    echo = Echo()
    answers = anyio.run(ask_all, Batcher(echo, patience=0), [((1,), SHORT), ((2,), SHORT)])
    assert [answer.token_ids for answer in answers if isinstance(answer, Completion)] == [(1,), (2,)]


def test_requests_with_other_limits_are_a_batch_of_their_own() -> None:
    echo = Echo()
    answers = anyio.run(ask_all, Batcher(echo), [((1,), SHORT), ((2,), LONG), ((3,), SHORT)])
    assert sorted(map(sorted, echo.batches)) == [[(1,), (3,)], [(2,)]]
    assert [answer.text for answer in answers if isinstance(answer, Completion)] == ["1", "9", "1"]


@pytest.mark.parametrize("place", (0, 1, 2))
def test_a_failure_is_that_of_one_request_and_the_others_are_answered(place: int) -> None:
    numbers = [2, 3]
    numbers.insert(place, 13)
    answers = anyio.run(ask_all, Batcher(Echo()), [((number,), SHORT) for number in numbers])
    assert answers[place] == "thirteen"
    assert sum(isinstance(answer, Completion) for answer in answers) == 2


def test_a_request_that_is_given_up_holds_nobody_back() -> None:
    echo = Echo()

    async def give_one_up() -> Completion:
        batcher = Batcher(echo)
        async with anyio.create_task_group() as group:
            group.start_soon(batcher.complete, Query((1,)), SHORT)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        return await batcher.complete(Query((2,)), SHORT)

    assert anyio.run(give_one_up).token_ids == (2,)
    assert echo.batches == [[(2,)]]
