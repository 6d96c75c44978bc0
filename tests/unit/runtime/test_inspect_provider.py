import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
    get_model,
)
from inspect_ai.tool import ToolInfo

from cruijff_kit.data.tokens import Encoding, encode_prompt, prompt_sha256
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.resident import ResidentModel
from tests.random_model import random_adapter, random_base
from tests.tokenizer_zoo import LLAMA3_DATED, byte_level

Ask = Callable[..., ModelOutput]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_base(tmp_path_factory.mktemp("base"), template=LLAMA3_DATED)


@pytest.fixture(scope="module")
def ask(base: str) -> Ask:
    """Return a function that puts messages to the provider as inspect would."""

    def put(
        *messages: ChatMessage, tools: tuple[ToolInfo, ...] = (), model: Any = None, **settings: Any
    ) -> ModelOutput:
        api = get_model("cruijff/tiny", memoize=False, model_path=base, device="cpu", **(model or {})).api
        config = GenerateConfig(**{"max_tokens": 4, **settings})
        output = anyio.run(api.generate, list(messages), list(tools), "none", config)
        assert isinstance(output, ModelOutput)
        return output

    return put


def sent(output: ModelOutput) -> list[int]:
    assert output.metadata is not None
    assert output.metadata["prompt_token_sha256"] == prompt_sha256(output.metadata["prompt_token_ids"])
    return output.metadata["prompt_token_ids"]


@pytest.mark.parametrize("text", ("house", " outer blanks ", "two\nlines\n", "<|eot|> inside", "ünï—cödé", "{braces}"))
def test_the_model_reads_the_ids_that_training_reads(ask: Ask, text: str) -> None:
    expected = encode_prompt(
        {"input": text}, encoding=Encoding(dataset_type="chat_completion"), tokenizer=byte_level(template=LLAMA3_DATED)
    )
    assert sent(ask(ChatMessageUser(content=text))) == list(expected)


def test_a_system_message_is_read_as_in_training(ask: Ask) -> None:
    encoding = Encoding(dataset_type="chat_completion", system_prompt="Be brief.")
    expected = encode_prompt({"input": "house"}, encoding=encoding, tokenizer=byte_level(template=LLAMA3_DATED))
    assert sent(ask(ChatMessageSystem(content="Be brief."), ChatMessageUser(content="house"))) == list(expected)


def test_plain_text_is_read_without_the_tokenizers_chat_template(ask: Ask) -> None:
    tokenizer = byte_level(template=LLAMA3_DATED)
    expected = encode_prompt({"input": "house"}, encoding=Encoding(dataset_type="text_completion"), tokenizer=tokenizer)
    assert sent(ask(ChatMessageUser(content="house"), model={"dataset_type": "text_completion"})) == list(expected)
    assert list(expected) == tokenizer.encode("house")


def test_the_date_is_the_pinned_one_and_not_todays(ask: Ask) -> None:
    ids = sent(ask(ChatMessageUser(content="house"), model={"template_date": "03 Feb 2021"}))
    text = byte_level().decode(ids)
    assert "Today: 03 Feb 2021 2021/02" in text


def test_earlier_turns_are_part_of_the_conversation(ask: Ask) -> None:
    turns = (ChatMessageUser(content="a"), ChatMessageAssistant(content="A"), ChatMessageUser(content="b"))
    text = byte_level().decode(sent(ask(*turns)))
    assert text.endswith(
        "<|start|>user<|end|>\n\na<|eot|><|start|>assistant<|end|>\n\nA<|eot|>"
        "<|start|>user<|end|>\n\nb<|eot|><|start|>assistant<|end|>\n\n"
    )


def test_log_probabilities_come_with_the_ids_they_belong_to(ask: Ask) -> None:
    output = ask(ChatMessageUser(content="house"), logprobs=True, top_logprobs=3)
    logprobs, metadata = output.choices[0].logprobs, output.metadata
    assert logprobs is not None
    assert metadata is not None
    assert [at[0] for at in metadata["top_token_ids"]] == metadata["output_token_ids"]
    assert {len(at) for at in metadata["top_token_ids"]} == {3}
    assert [token.logprob for token in logprobs.content] == [
        token.top_logprobs[0].logprob for token in logprobs.content if token.top_logprobs
    ]


def test_without_candidates_each_token_still_has_its_probability(ask: Ask) -> None:
    logprobs = ask(ChatMessageUser(content="house"), logprobs=True).choices[0].logprobs
    assert logprobs is not None
    assert [token.top_logprobs for token in logprobs.content] == [None] * 4
    assert all(token.logprob < 0 for token in logprobs.content)


def test_tokens_in_and_out_are_counted(ask: Ask) -> None:
    output = ask(ChatMessageUser(content="house"))
    assert output.usage is not None
    assert output.usage.input_tokens == len(sent(output))
    assert output.usage.output_tokens == 4
    assert output.stop_reason == "max_tokens"


@pytest.mark.parametrize(
    "settings", ({"top_k": 7}, {"num_choices": 2}, {"stop_seqs": ["\n"]}, {"frequency_penalty": 0.5})
)
def test_what_the_provider_cannot_give_is_refused_by_name(ask: Ask, settings: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=f"`{next(iter(settings))}`"):
        ask(ChatMessageUser(content="house"), **settings)


def test_tools_are_refused(ask: Ask) -> None:
    with pytest.raises(PlanError, match="`tools`"):
        ask(ChatMessageUser(content="house"), tools=(ToolInfo(name="look", description="Look."),))


def test_a_turn_of_a_tool_is_refused(ask: Ask) -> None:
    with pytest.raises(PlanError, match="`tool` turn"):
        ask(ChatMessageTool(content="42", tool_call_id="1"))


def test_an_answer_begun_for_the_model_is_refused(ask: Ask) -> None:
    with pytest.raises(SpecError, match="last turn is not the user's"):
        ask(ChatMessageUser(content="house"), ChatMessageAssistant(content="Ho"))


def test_temperature_close_to_zero_is_greedy(ask: Ask) -> None:
    plain, cool = ask(ChatMessageUser(content="house")), ask(ChatMessageUser(content="house"), temperature=1e-7)
    assert cool.metadata == plain.metadata


def test_options_are_scored_where_a_request_names_them(ask: Ask, base: str) -> None:
    options = ["yes", "no", "not sure"]
    metadata = ask(ChatMessageUser(content="house"), extra_body={"options": options}).metadata
    assert metadata is not None
    resident = ResidentModel(base, device="cpu")
    prompt = tuple(metadata["prompt_token_ids"])
    (expected,) = resident.complete([prompt], Limits(max_tokens=1), options=[options])
    assert metadata["options"] == options
    assert metadata["option_logprobs"] == pytest.approx(expected.option_logprobs, abs=1e-5)
    assert metadata["option_mass"] == pytest.approx(sum(map(math.exp, expected.option_logprobs)), abs=1e-6)
    assert 0 < metadata["option_mass"] < 1


def test_a_structured_answer_is_json_with_its_labels_scored_also_in_passes_with_dropout_on(
    ask: Ask, base: str, tmp_path: Path
) -> None:
    asked = {"extra_body": {"options": ["yes", "no"], "form": "json"}, "max_tokens": 80}
    adapter = {"adapter": random_adapter(tmp_path / "adapter", base, dropout=0.3)}
    once = ask(ChatMessageUser(content="house"), model=adapter, **asked)
    several = ask(ChatMessageUser(content="house"), model={**adapter, "dropout_passes": 3}, **asked)
    for output in (once, several):
        assert list(json.loads(output.completion)) == ["decision", "rationale", "abstain"]
        told = output.metadata or {}
        assert (told["options"], len(told["option_logprobs"])) == (["yes", "no"], 2)
        assert told["option_mass"] == pytest.approx(sum(map(math.exp, told["option_logprobs"])))
        assert told["abstain_logprob"] < 0
    assert once.completion == several.completion
    assert (once.metadata or {})["option_logprobs"] != (several.metadata or {})["option_logprobs"]
    with pytest.raises(PlanError, match=r"`extra_body\.form` is `'xml'`"):
        ask(ChatMessageUser(content="house"), extra_body={"form": "xml"})


def test_without_options_nothing_is_said_of_any(ask: Ask) -> None:
    metadata = ask(ChatMessageUser(content="house")).metadata
    assert metadata is not None
    assert not [name for name in metadata if name.startswith("option")]


@pytest.mark.parametrize(
    "settings, fact",
    (
        ({"extra_body": {"options": "yes"}}, "`extra_body.options` is `'yes'`"),
        ({"extra_body": {"options": ["yes", 1]}}, "it is a list of labels"),
        ({"extra_body": {"options": ["yes", "yes "]}}, "same tokens"),
        ({"extra_body": {"guided_choice": ["yes"]}}, "`extra_body.guided_choice`"),
        ({"top_p": 0.9}, "`temperature` is not"),
        ({"temperature": 1.0, "top_p": 0.0}, "above 0 and at most 1"),
    ),
)
def test_settings_that_mean_nothing_here_are_refused(ask: Ask, settings: dict[str, Any], fact: str) -> None:
    with pytest.raises(PlanError, match=fact):
        ask(ChatMessageUser(content="house"), **settings)


def answered(output: ModelOutput) -> list[int]:
    assert output.metadata is not None
    return output.metadata["output_token_ids"]


def test_a_temperature_draws_answers_that_its_seed_decides(ask: Ask) -> None:
    asked = ChatMessageUser(content="house")
    drawn = [answered(ask(asked, temperature=4.0, seed=seed)) for seed in range(6)]
    assert len({tuple(ids) for ids in drawn}) > 3
    assert [answered(ask(asked, temperature=4.0, seed=seed)) for seed in range(6)] == drawn
    assert answered(ask(asked, temperature=4.0)) == drawn[0]


def test_a_drawn_token_is_logged_with_its_own_probability(ask: Ask) -> None:
    for seed in range(6):
        settings = {"temperature": 3.0, "seed": seed, "logprobs": True, "top_logprobs": 20}
        output = ask(ChatMessageUser(content="house"), **settings)
        logprobs, metadata = output.choices[0].logprobs, output.metadata
        assert logprobs is not None
        assert metadata is not None
        for given, token, likely in zip(
            logprobs.content, metadata["output_token_ids"], metadata["top_token_ids"], strict=True
        ):
            top = [one.logprob for one in given.top_logprobs or []]
            assert top == sorted(top, reverse=True)
            assert (given.logprob == top[likely.index(token)]) if token in likely else (given.logprob <= top[-1])


def test_the_smallest_nucleus_is_the_greedy_answer(ask: Ask) -> None:
    asked = ChatMessageUser(content="house")
    assert answered(ask(asked, temperature=2.0, top_p=1e-9)) == answered(ask(asked))


def test_options_reach_the_log_of_any_task(base: str, tmp_path: Path) -> None:
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import Sample

    model = get_model("cruijff/tiny", memoize=False, model_path=base, device="cpu", batch_size=8)
    samples = [Sample(input=f"Question {number}?", target="x") for number in range(9)]
    settings = GenerateConfig(max_tokens=1, extra_body={"options": ["yes", "no"]})
    (log,) = evaluate(
        Task(dataset=samples, config=settings), model=model, log_dir=str(tmp_path), display="none", ctl_server=False
    )
    found = [sample.output.metadata or {} for sample in log.samples or []]
    assert [each["options"] for each in found] == [["yes", "no"]] * 9
    assert len({each["option_mass"] for each in found}) == 9


def test_any_inspect_task_runs_on_the_provider(base: str, tmp_path: Path) -> None:
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes

    samples = [Sample(input=f"Question {number}?", target="x") for number in range(30)]
    model = get_model("cruijff/tiny", memoize=False, model_path=base, device="cpu", batch_size=8)
    task = Task(dataset=samples, scorer=includes())
    (log,) = evaluate(task, model=model, log_dir=str(tmp_path), display="none", max_tokens=3, ctl_server=False)
    assert log.status == "success"
    assert log.results is not None
    assert log.results.completed_samples == 30
