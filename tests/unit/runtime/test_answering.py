"""Many who ask one model at once: batched, followed token by token, and none of them held up by another."""

import asyncio
import json

import pytest
import torch

from cruijff_kit.data.tokens import Encoding
from cruijff_kit.errors import PlanError, ResultError, SpecError
from cruijff_kit.runtime.answering import Answer, Desk, Piece, Wish
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.runtime.openai_requests import CompletionRequest, read_body
from cruijff_kit.runtime.openai_service import Generation
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.schema.prediction import PromptIds
from tests.gated_model import GatedModel
from tests.random_model import random_base

CHAT = Encoding(dataset_type="chat_completion", max_seq_len=256)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    return random_base(tmp_path_factory.mktemp("answering") / "base")


@pytest.fixture(scope="module")
def model(base: str) -> ResidentModel:
    return ResidentModel(base, device="cpu")


def desk_of(model: ResidentModel, *, batch_size: int = 8) -> Desk:
    return Desk(model, CHAT, adapters={"tiny": None}, batch_size=batch_size)


def ids(desk: Desk, text: str) -> tuple[int, ...]:
    return desk.chat_ids([{"role": "user", "content": text}])


async def asked(desk: Desk, *wishes: Wish) -> list[Answer]:
    calls = [desk.answer(wish, desk.follow(wish), name="tiny") for wish in wishes]
    return list(await asyncio.gather(*calls))


def test_those_who_ask_at_once_share_a_batch_no_larger_than_it_may_be(base: str) -> None:
    model = GatedModel(base)
    model.let(1000)
    desk = desk_of(model, batch_size=3)
    answers = asyncio.run(asked(desk, *(Wish(ids(desk, text), 4) for text in "abcdefg")))
    assert model.batches == [3, 3, 1]
    alone = [ResidentModel.complete(model, [ids(desk, text)], Limits(4))[0].text for text in "abcdefg"]
    assert [answer.text for answer in answers] == alone


def test_a_short_answer_is_there_while_its_neighbour_s_is_still_made(base: str, model: ResidentModel) -> None:
    desk = desk_of(model)
    long, short = ids(desk, "a"), ids(desk, "b")
    free = model.complete([short], Limits(64))[0].text
    stop = next(char for char in free if char != "\ufffd")
    gated = GatedModel(base, gated=[long])

    async def both() -> tuple[Answer, bool, Answer]:
        desk = desk_of(gated)
        wishes = (Wish(long, 64), Wish(short, 64, stops=(stop,)))
        tasks = [asyncio.create_task(desk.answer(wish, desk.follow(wish), name="tiny")) for wish in wishes]
        # Enough steps for the short one to end, and not enough for the long one.
        gated.let(40)
        early = await tasks[1]
        waits = not tasks[0].done()
        gated.let(64)
        return early, waits, await tasks[0]

    early, waits, late = asyncio.run(both())
    assert (early.text, early.ended, waits) == (free.partition(stop)[0], True, True)
    assert gated.batches == [2]
    wish = Wish(long, 64)
    alone = desk.answer_now(wish, desk.follow(wish), name="tiny")
    assert (late.text, len(late.completion.token_ids) > 40) == (alone.text, True)


def test_wishes_of_other_lengths_are_not_batched_and_each_is_answered(model: ResidentModel) -> None:
    desk = desk_of(model)
    found = asyncio.run(asked(desk, *(Wish(ids(desk, "a"), length) for length in (3, 5, 3))))
    assert [len(each.completion.token_ids) for each in found] == [3, 5, 3]


def test_whoever_gives_up_in_the_queue_is_not_answered(base: str) -> None:
    model = GatedModel(base)
    desk = desk_of(model)

    async def leaving() -> Answer:
        wishes = [Wish(ids(desk, "a"), 6), Wish(ids(desk, "b"), 5), Wish(ids(desk, "c"), 4)]
        tasks = [asyncio.create_task(desk.answer(wish, desk.follow(wish), name="tiny")) for wish in wishes]
        await asyncio.to_thread(model.steps.get, timeout=60)
        tasks[1].cancel()
        model.let(100)
        await tasks[0]
        return await tasks[2]

    assert len(asyncio.run(leaving()).completion.token_ids) == 4
    assert model.batches == [1, 1]


def test_pieces_are_told_as_they_come_and_make_the_answer(model: ResidentModel) -> None:
    desk, pieces = desk_of(model), list[Piece]()
    wish = Wish(ids(desk, "tree"), 12)
    following = desk.follow(wish, pieces.append)
    answer = desk.answer_now(wish, following, name="tiny")
    pieces.append(following.finish(answer.completion.text))
    assert "".join(piece.text for piece in pieces) == answer.text
    assert [step.token for piece in pieces for step in piece.tokens] == list(answer.completion.token_ids)
    named = [desk.named(step)[0] for piece in pieces for step in piece.tokens]
    assert named == list(answer.completion.given)


def test_one_that_is_over_takes_one_token_more(model: ResidentModel) -> None:
    desk = desk_of(model)
    wish = Wish(ids(desk, "tree"), 40)
    following = desk.follow(wish, lambda _piece: setattr(following, "over", True))
    answer = desk.answer_now(wish, following, name="tiny")
    assert following.heard + 1 == len(answer.completion.token_ids) < 40


def test_a_diverged_model_is_told_to_each_who_waits(tmp_path_factory: pytest.TempPathFactory) -> None:
    diverged = ResidentModel(random_base(tmp_path_factory.mktemp("diverged") / "base"), device="cpu")
    with diverged.network() as network, torch.no_grad():
        network.lm_head.weight.fill_(float("nan"))
    desk = desk_of(diverged)

    async def all_of_them() -> list[Answer | BaseException]:
        wishes = [Wish(ids(desk, text), 4) for text in "abc"]
        calls = [desk.answer(wish, desk.follow(wish), name="tiny") for wish in wishes]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    found = asyncio.run(all_of_them())
    assert all(isinstance(each, ResultError) and "are not numbers" in str(each) for each in found)


def test_a_prompt_that_is_told_back_is_read_once_for_all_its_answers(base: str) -> None:
    class Counting(ResidentModel):
        reads = 0

        def read(self, ids: PromptIds, *, count: int, adapter: str | None = None) -> list[Step]:
            self.reads += 1
            return super().read(ids, count=count, adapter=adapter)

    model, asked = Counting(base, device="cpu"), {"prompt": ["ab", "cd"], "n": 3, "max_tokens": 2}
    body = json.dumps({**asked, "echo": True, "logprobs": 1}).encode()
    generation = Generation(read_body(CompletionRequest, body), desk_of(model), name="tiny")
    choices = asyncio.run(generation.whole())["choices"]
    assert [choice["text"][:2] for choice in choices] == ["ab"] * 3 + ["cd"] * 3
    assert all(choice["logprobs"]["token_logprobs"][0] is None for choice in choices)
    assert model.reads == 2


def test_how_long_an_answer_may_be_is_what_there_is_room_for(model: ResidentModel) -> None:
    desk = desk_of(model)
    assert desk.limit((1,) * 200, None) == 56
    assert desk.limit((1,) * 200, 56) == 56
    for prompt, asked_for in (((1,) * 200, 57), ((1,) * 256, None), ((), 1), ((len(model.tokenizer),), 1)):
        with pytest.raises(SpecError):
            desk.limit(prompt, asked_for)


def test_a_template_that_asks_for_more_than_a_question_wraps_none(model: ResidentModel) -> None:
    asking = CHAT.model_copy(update={"prompt": "{title}: {input}"})
    with pytest.raises(SpecError, match=r"asks for `\{title\}`"):
        Desk(model, asking, adapters={"tiny": None}, wrap=True)
    Desk(model, asking, adapters={"tiny": None})


def test_a_prompt_alone_that_exceeds_the_positions_is_no_fault_of_its_neighbours(model: ResidentModel) -> None:
    desk = desk_of(model)

    async def beside() -> list[Answer | BaseException]:
        wishes = [Wish((1,) * 300, 4), Wish(ids(desk, "a"), 4)]
        calls = [desk.answer(wish, desk.follow(wish), name="tiny") for wish in wishes]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    failed, found = asyncio.run(beside())
    assert isinstance(failed, PlanError)
    assert isinstance(found, Answer)
