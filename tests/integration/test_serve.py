"""`ck serve` as a real client of OpenAI's sees it: what is asked is answered, as the evaluator's engine answers it."""

import asyncio
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from cruijff_kit.data.tokens import Encoding, encode_conversation, encode_prompt, stop_ids
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.resident import ResidentModel
from tests.random_model import random_adapter, random_base
from tests.served import ENCODING, Here, asked, assert_is, own, served_here, served_model

WORDS = ("house", "tree", "apples", "a", "river bank", " stone ", "Grüße, 世界", "zz")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    torch.set_num_threads(1)
    base = random_base(tmp_path_factory.mktemp("serve") / "tiny", spare_rows=3)
    return base, random_adapter(tmp_path_factory.mktemp("serve") / "adapter", base)


@pytest.fixture(scope="module")
def model(folders: tuple[str, str]) -> ResidentModel:
    return ResidentModel(folders[0], device="cpu")


@pytest.fixture(scope="module")
def here(folders: tuple[str, str]) -> Iterator[Here]:
    base, adapter = folders
    with served_here(served_model(base, adapter=adapter)) as server:
        yield server


@pytest.fixture
def client(here: Here) -> Iterator[OpenAI]:
    with OpenAI(base_url=here.url, api_key="none", max_retries=0) as opened:
        yield opened


# What is answered.


@pytest.mark.parametrize("name", ("tuned", "tiny"))
def test_answers_and_their_logprobs_are_the_evaluator_s_to_the_last_bit(
    client: OpenAI, model: ResidentModel, folders: tuple[str, str], name: str
) -> None:
    adapter = folders[1] if name == "tuned" else None
    for word in WORDS:
        expected = own(model, word, adapter=adapter, top=5)
        (choice,) = asked(client, word, model=name, logprobs=True, top_logprobs=5).choices
        assert_is(choice, expected)
        assert choice.finish_reason == ("stop" if expected.stopped else "length")


def test_the_adapter_is_answered_for_and_the_bare_base_by_its_own_name(client: OpenAI) -> None:
    tuned = [asked(client, word, model="tuned").choices[0].message.content for word in WORDS]
    bare = [asked(client, word, model="tiny").choices[0].message.content for word in WORDS]
    assert tuned != bare
    assert [each.id for each in client.models.list()] == ["tuned", "tiny"]
    assert client.models.retrieve("tiny").id == "tiny"


def test_what_a_request_took_is_told(client: OpenAI, model: ResidentModel) -> None:
    reply = asked(client, "house", n=3)
    prompt = encode_conversation([{"role": "user", "content": "house"}], encoding=ENCODING, tokenizer=model.tokenizer)
    answer = own(model, "house", adapter=None)
    assert reply.usage.prompt_tokens == len(prompt)
    assert reply.usage.completion_tokens == 3 * len(answer.token_ids)
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


@pytest.mark.parametrize("word", WORDS)
def test_a_stream_tells_the_same_text_and_logprobs_as_the_whole_answer(client: OpenAI, word: str) -> None:
    options: dict[str, Any] = {"logprobs": True, "top_logprobs": 2, "max_tokens": 24}
    whole = asked(client, word, **options)
    chunks = list(asked(client, word, stream=True, stream_options={"include_usage": True}, **options))
    told = [chunk.choices[0] for chunk in chunks[:-1]]
    assert "".join(choice.delta.content or "" for choice in told) == whole.choices[0].message.content
    content = [at for choice in told if choice.logprobs for at in choice.logprobs.content]
    assert content == whole.choices[0].logprobs.content
    assert [choice.finish_reason for choice in told if choice.finish_reason] == [whole.choices[0].finish_reason]
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert told[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", (False, True))
def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(client: OpenAI, stream: bool) -> None:
    texts = {word: asked(client, word, max_tokens=40).choices[0].message.content for word in WORDS}
    # Two plain characters that more than one token makes.
    word, found = next((word, found) for word in WORDS if (found := re.search(r"(?<=.)[!-~]{2}", texts[word])))
    free, stop = texts[word], found.group()
    reply = asked(client, word, max_tokens=40, stop=["not there", stop], stream=stream)
    if stream:
        choices = [chunk.choices[0] for chunk in reply]
        text, end = "".join(each.delta.content or "" for each in choices), choices[-1].finish_reason
    else:
        text, end = reply.choices[0].message.content, reply.choices[0].finish_reason
        assert reply.usage.completion_tokens < 40
    assert (text, end) == (free[: free.index(stop)], "stop")


def test_a_seed_repeats_what_is_drawn_and_each_choice_has_its_own(client: OpenAI) -> None:
    drawn: dict[str, Any] = {"temperature": 1.5, "n": 3, "seed": 7}
    first, again = asked(client, "house", **drawn), asked(client, "house", **drawn)
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices]
    assert len(set(texts)) == 3
    assert [choice.index for choice in first.choices] == [0, 1, 2]
    unseeded = {asked(client, "house", temperature=1.5).choices[0].message.content for _ in range(6)}
    assert len(unseeded) > 1


def test_a_drawn_answer_is_the_evaluator_s_of_the_same_seed(
    client: OpenAI, model: ResidentModel, folders: tuple[str, str]
) -> None:
    prompt = encode_conversation([{"role": "user", "content": "tree"}], encoding=ENCODING, tokenizer=model.tokenizer)
    limits = Limits(8, 1, temperature=0.9, top_p=0.8, seed=11)
    ends = stop_ids(encoding=ENCODING, tokenizer=model.tokenizer)
    (expected,) = model.complete([prompt], limits, adapter=folders[1], stop_ids=ends)
    reply = asked(client, "tree", temperature=0.9, top_p=0.8, seed=11, logprobs=True)
    assert reply.choices[0].message.content == expected.text
    assert [at.logprob for at in reply.choices[0].logprobs.content] == [at.logprob for at in expected.given]


def test_eight_clients_at_once_are_told_what_each_is_told_alone(here: Here, client: OpenAI) -> None:
    lengths = {word: 4 + 3 * at for at, word in enumerate(WORDS)}
    alone = [asked(client, word, max_tokens=lengths[word], logprobs=True) for word in WORDS]

    async def together() -> list[Any]:
        async with AsyncOpenAI(base_url=here.url, api_key="none", max_retries=0) as many:
            calls = [
                many.chat.completions.create(
                    model="tuned", messages=[{"role": "user", "content": word}], max_tokens=lengths[word], logprobs=True
                )
                for word in (*WORDS, *WORDS)
            ]
            return list(await asyncio.gather(*calls))

    found = asyncio.run(together())
    assert len(found) == 16
    for reply, single in zip(found, [*alone, *alone], strict=True):
        assert reply.choices[0].message.content == single.choices[0].message.content
        pairs = zip(reply.choices[0].logprobs.content, single.choices[0].logprobs.content, strict=True)
        assert all(abs(one.logprob - other.logprob) < 1e-4 for one, other in pairs)


# Conversations.


def test_a_conversation_of_several_turns_becomes_the_ids_that_training_makes_of_it(
    here: Here, client: OpenAI, model: ResidentModel
) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    told = client.post(here.url.removesuffix("/v1") + "/tokenize", cast_to=object, body={"messages": turns})
    row = {"messages": [*turns, {"role": "assistant", "content": "four"}]}
    expected = encode_prompt(row, encoding=Encoding(dataset_type="chat"), tokenizer=model.tokenizer)
    assert told == {"tokens": list(expected), "count": len(expected), "max_model_len": 256}
    parts = [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}, *turns[1:]]
    same: Any = {"messages": parts}
    assert client.post(here.url.removesuffix("/v1") + "/tokenize", cast_to=object, body=same) == told


def test_the_run_s_system_message_and_template_stand_where_a_request_brings_none(
    folders: tuple[str, str], model: ResidentModel
) -> None:
    dataset = {
        "path": "words.json", "sha256": "0" * 64, "dataset_type": "chat_completion", "prompt": "Say {input}!",
        "system_prompt": "Be brief.", "template_date": "26 Jul 2024", "max_seq_len": 64,
    }  # fmt: skip
    encoding = Encoding(dataset_type="chat_completion", prompt="Say {input}!", system_prompt="Be brief.")
    trained = list(encode_prompt({"input": "house"}, encoding=encoding, tokenizer=model.tokenizer))
    other = encoding.model_copy(update={"system_prompt": "Sing."})
    for wrap, text in ((True, "house"), (False, "Say house!")):
        served = served_model(folders[0], dataset=dataset, system_prompt="Be brief.", wrap=wrap)
        with served_here(served) as here, OpenAI(base_url=here.url, api_key="none", max_retries=0) as client:
            where = here.url.removesuffix("/v1") + "/tokenize"
            user = {"role": "user", "content": text}
            told: Any = client.post(where, cast_to=object, body={"messages": [user]})
            assert told["tokens"] == trained
            mine = [{"role": "system", "content": "Sing."}, user]
            told = client.post(where, cast_to=object, body={"messages": mine})
            assert told["tokens"] == list(encode_prompt({"input": "house"}, encoding=other, tokenizer=model.tokenizer))


# The older protocol.


def test_a_text_is_gone_on_from_and_so_are_ids(client: OpenAI, model: ResidentModel) -> None:
    ids = tuple(model.tokenizer.encode("house"))
    (expected,) = model.complete([ids], Limits(6, 3))
    for prompt in ("house", list(ids)):
        reply = client.completions.create(model="tiny", prompt=prompt, max_tokens=6, logprobs=3)
        (choice,) = reply.choices
        assert choice.text == expected.text
        assert choice.logprobs is not None
        assert choice.logprobs.token_logprobs == [at.logprob for at in expected.given]
        assert choice.logprobs.tokens == [at.token for at in expected.given]
        likely = [{each.token: each.logprob for each in reversed(at)} for at in expected.top]
        assert choice.logprobs.top_logprobs == likely
    many = client.completions.create(model="tiny", prompt=["house", "tree"], max_tokens=6, n=2)
    assert [choice.index for choice in many.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in many.choices][:2] == [expected.text] * 2
    assert many.usage is not None
    assert many.usage.prompt_tokens == len(ids) + len(model.tokenizer.encode("tree"))


@pytest.mark.parametrize("stream", (False, True))
def test_a_prompt_is_told_back_with_how_likely_each_of_its_tokens_was(
    client: OpenAI, model: ResidentModel, stream: bool
) -> None:
    text = "a river bank"
    ids = tuple(model.tokenizer.encode(text))
    logits = model.logits(ids).log_softmax(-1)
    expected = [float(logits[at, token]) for at, (_, token) in enumerate(pairwise(ids))]
    replies: Any = client.completions.create(
        model="tiny", prompt=text, max_tokens=0, echo=True, logprobs=1, stream=stream
    )
    choice = next(iter(replies)).choices[0] if stream else replies.choices[0]
    assert choice.text == text
    told = choice.logprobs.token_logprobs
    assert told[0] is None
    assert torch.allclose(torch.tensor(told[1:]), torch.tensor(expected), atol=1e-4)
    assert choice.logprobs.tokens == ["<|bos|>", *text]
    assert choice.logprobs.text_offset == [0, *range(len(text))]
    best = [float(row.max()) for row in logits[:-1]]
    assert torch.allclose(
        torch.tensor([next(iter(at.values())) for at in choice.logprobs.top_logprobs[1:]]),
        torch.tensor(best),
        atol=1e-4,
    )


def test_a_long_prompt_is_read_in_stretches_that_tell_what_one_pass_would(model: ResidentModel) -> None:
    ids = tuple(model.tokenizer.encode("abcdefgh" * 31))
    steps = model.read(ids, count=1)
    logits = model.logits(ids).log_softmax(-1)
    assert [step.token for step in steps] == list(ids[1:])
    expected = torch.stack([logits[at, token] for at, token in enumerate(ids[1:])])
    assert torch.allclose(torch.tensor([step.logprob for step in steps]), expected, atol=1e-4)


# What is refused.


@pytest.mark.parametrize(
    "options, fact",
    (
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "this server has no `tools`"),
        ({"logit_bias": {"5": 1}, "presence_penalty": 1.0}, "this server has no `logit_bias`, `presence_penalty`"),
        ({"temperature": 3.0}, "`temperature`: input should be less than or equal to 2"),
        ({"top_p": 0.5}, "`top_p` is set and `temperature` is not"),
        ({"n": 0}, "`n`: input should be greater than or equal to 1"),
        ({"max_tokens": 0}, "nothing would be answered"),
        ({"max_tokens": 4000}, "exceed the model's 256 positions"),
        ({"logprobs": True, "top_logprobs": 21}, "`top_logprobs`: input should be less than or equal to 20"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "the last turn is not the user's"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "`messages.0.role`"),
        ({"messages": []}, "`messages`: list should have at least 1 item"),
    ),
)
def test_what_is_not_to_be_had_is_refused_by_name(client: OpenAI, options: dict[str, Any], fact: str) -> None:
    body: Any = {"model": "tuned", "messages": [{"role": "user", "content": "secret text"}], **options}
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(**body)
    error: Any = caught.value.body
    assert fact in error["message"]
    assert error["type"] == "invalid_request_error"
    assert "secret" not in str(error)


def test_settings_that_change_nothing_are_no_obstacle(client: OpenAI) -> None:
    neutral: dict[str, Any] = {
        "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}, "response_format": {"type": "text"},
        "tool_choice": "none", "user": "ada", "store": False, "metadata": {"a": "b"},
    }  # fmt: skip
    assert asked(client, "house", **neutral).choices == asked(client, "house").choices


def test_a_model_that_is_not_served_is_told_with_those_that_are(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match=r"there is no model `gpt-9` here; served: `tuned`, `tiny`") as caught:
        asked(client, "house", model="gpt-9")
    assert caught.value.code == "model_not_found"
    with pytest.raises(NotFoundError):
        client.models.retrieve("gpt-9")


def test_a_prompt_that_is_too_long_says_so_by_openai_s_code(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        asked(client, "x" * 300)
    assert caught.value.code == "context_length_exceeded"
    for prompt in ([], [9999], [-1]):
        with pytest.raises(BadRequestError):
            client.completions.create(model="tiny", prompt=prompt)


def test_the_log_holds_no_text_of_anybody(folders: tuple[str, str]) -> None:
    with served_here(served_model(folders[0])) as here, OpenAI(base_url=here.url, api_key="none") as client:
        answer = asked(client, "unmistakable words", model="tiny").choices[0].message.content
        line = here.log.get(timeout=60)
    assert re.fullmatch(r"POST /v1/chat/completions 200 \d+\.\d\d s 8 tokens", line)
    assert answer not in line


def test_the_folder_of_the_model_is_left_as_it_was(client: OpenAI, folders: tuple[str, str]) -> None:
    before = [sorted((path.name, path.stat().st_mtime_ns) for path in Path(folder).iterdir()) for folder in folders]
    asked(client, "house")
    assert before == [sorted((p.name, p.stat().st_mtime_ns) for p in Path(folder).iterdir()) for folder in folders]
