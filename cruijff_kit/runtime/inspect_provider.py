"""The model provider `cruijff`: inspect-ai's messages become our own prompt ids.

    inspect eval tasks.py --model cruijff/my-model -M model_path=DIR [-M adapter=DIR]

Messages are encoded by `data.tokens`, as training rows are, and never rendered to text
and tokenised again. Answers are greedy, or drawn where a temperature is set; what else is
asked for is refused, not quietly changed. Each output's metadata holds the ids that went in
and came out. A request whose `extra_body` names `options` has them scored too:

    GenerateConfig(extra_body={"options": ["yes", "no"]})

The metadata then holds `options`, `option_logprobs` and `option_mass` (`runtime/option_scores.py`). With
`"form": "json"` beside them the answer is held to a structured one (`runtime/json_guides.py`), and the
options are scored where its decision stands; `abstain_logprob` is that of `null`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from cruijff_kit.data.tokens import Encoding, Turn, encode_conversation, prompt_sha256, stop_ids
from cruijff_kit.errors import PlanError
from cruijff_kit.runtime.batching import Batcher, Query
from cruijff_kit.runtime.decisions import Decisions
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.residents import Resident, load_resident
from cruijff_kit.runtime.sampling import DEFAULT_TOKENS, choose_chance, prove_greedy
from cruijff_kit.runtime.uncertainty import MCDropoutWrapper
from cruijff_kit.schema.backend import Library
from cruijff_kit.schema.prediction import Completion, PromptIds
from cruijff_kit.schema.spec import DatasetType

__all__ = ["CruijffAPI", "cruijff"]

_UNSUPPORTED = (
    "best_of",
    "frequency_penalty",
    "logit_bias",
    "presence_penalty",
    "prompt_logprobs",
    "response_schema",
    "stop_seqs",
    "top_k",
)


class CruijffAPI(ModelAPI):
    """A local base model, with an adapter unmerged on it where one is named."""

    answered: Callable[[int], None] | None = None
    """Told how many samples each batch answered."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 -- inspect's own signature
        *,
        model_path: str,
        adapter: str | None = None,
        dataset_type: DatasetType = "chat_completion",
        template: str = "model",
        template_date: str = "26 Jul 2024",
        max_seq_len: int = 2**31,
        batch_size: int = 64,
        dtype: Literal["fp32", "bf16"] = "fp32",
        device: str = "auto",
        backend: Library = "torch",
        dropout_passes: int = 0,
        dropout_seed: int = 0,
    ) -> None:
        """Load the base, or take the one already in memory.

        Args:
            model_name: name recorded in logs.
            base_url: not used.
            api_key: not used.
            config: default generation settings.
            model_path: base model directory.
            adapter: adapter directory in peft format.
            dataset_type: how a conversation becomes tokens.
            template: how conversations are written, by name or as text; `model` is the model's own.
            template_date: date for chat templates that print one.
            max_seq_len: longest prompt and answer in tokens.
            batch_size: prompts per forward pass.
            dtype: arithmetic of weights and activations.
            device: `cpu`, `cuda`, `mps` or `auto`.
            backend: library that computes; `mlx` needs the extra `[mlx]`.
            dropout_passes: passes with LoRA's dropout on that options' probabilities are the mean of.
            dropout_seed: decides, with a prompt's ids, what they drop.
        """
        super().__init__(model_name, base_url, api_key, [], config)
        self._encoding = Encoding(
            dataset_type=dataset_type, template=template, template_date=template_date, max_seq_len=max_seq_len
        )
        longest = max_seq_len if backend == "mlx" else None
        self._resident = _resident(model_path, dtype=dtype, device=device, backend=backend, longest=longest)
        self._adapter, self._batch_size = adapter, batch_size
        self._ends = stop_ids(encoding=self._encoding, tokenizer=self._resident.tokenizer)
        self._batcher, self._known = Batcher(self._complete), dict[tuple[str, ...], Decisions]()
        self._several = _several(self._resident, adapter, passes=dropout_passes, seed=dropout_seed)

    def max_connections(self) -> int:
        """Return how many requests may wait: enough to sort several batches by length."""
        return 4 * self._batch_size

    def max_tokens(self) -> int | None:
        """Return the longest answer where a task sets none."""
        return DEFAULT_TOKENS

    def connection_key(self) -> str:
        """Return one key: every instance in a process shares the resident model."""
        return "resident"

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002 -- inspect calls it by this name
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer a conversation.

        Raises:
            PlanError: tools, a content other than text, or settings that are not to be had were asked for.
            SpecError: the conversation cannot be encoded.
        """
        _refuse_unsupported(tools, config)
        prompt = encode_conversation(_turns(input), encoding=self._encoding, tokenizer=self._resident.tokenizer)
        labels, structured = _options(config), _structured(config)
        known = self._decisions(labels) if structured else None
        query = Query(prompt, labels) if known is None else known.query(prompt)
        wanted = (config.top_logprobs or 0) if config.logprobs else 0
        chance = choose_chance(config.temperature, config.top_p, seed=config.seed)
        limits = Limits(config.max_tokens or DEFAULT_TOKENS, max(1, wanted), self._batch_size, *chance)
        if known is not None:
            known.prove_room(limits.max_tokens, hint="raise `evaluation.generation.max_tokens`")
        answer = await self._batcher.complete(query, limits)
        if known is not None:
            # Of tokens that were given, log-probabilities say nothing about the answer; those of the labels do.
            said = known.told(answer, tokenizer=self._resident.tokenizer)
            found = _output(prompt, said, options=labels, name=self.model_name, kept=None)
            found.metadata = {**(found.metadata or {}), "abstain_logprob": answer.option_logprobs[-1]}
            return found
        if limits.temperature is None:
            prove_greedy(answer)
        return _output(prompt, answer, options=labels, name=self.model_name, kept=wanted if config.logprobs else None)

    def _decisions(self, labels: tuple[str, ...]) -> Decisions:
        """Return labels as the decisions of structured answers."""
        if labels not in self._known:
            self._known[labels] = Decisions.of(labels, model=self._resident, constrained=True)
        return self._known[labels]

    def _complete(self, queries: Sequence[Query], limits: Limits) -> list[Completion]:
        prompts, options = [query.prompt for query in queries], [query.options for query in queries]
        asides = [query.aside for query in queries]
        answers = self._resident.complete(
            prompts, limits, adapter=self._adapter, stop_ids=self._ends, options=options, asides=asides
        )
        if self._several is not None:
            answers = [self._averaged(query, answer) for query, answer in zip(queries, answers, strict=True)]
        if self.answered is not None:
            self.answered(len(answers))
        return answers

    def _averaged(self, query: Query, answer: Completion) -> Completion:
        """Return an answer whose options' probabilities are the mean of passes with dropout on."""
        if self._several is None or not query.options:
            return answer
        found = self._several.mean(prompt=query.prompt, options=query.options)
        return answer.model_copy(update={"option_logprobs": found.logprobs, "option_mass": found.mass})


@modelapi(name="cruijff")
def cruijff() -> type[ModelAPI]:
    """Register the provider under its name."""
    return CruijffAPI


# One base fills the memory; the cells of an evaluation job share it.
_resident = lru_cache(maxsize=1)(load_resident)


def _several(model: Resident, adapter: str | None, *, passes: int, seed: int) -> MCDropoutWrapper | None:
    return MCDropoutWrapper(model=model, adapter=adapter, passes=passes, seed=seed) if passes else None


def _refuse_unsupported(tools: Sequence[ToolInfo], config: GenerateConfig) -> None:
    asked = [name for name in _UNSUPPORTED if getattr(config, name)]
    asked += [f"extra_body.{name}" for name in config.extra_body or {} if name not in ("options", "form")]
    if config.num_choices is not None and config.num_choices > 1:
        asked.append("num_choices")
    if tools:
        asked.append("tools")
    if asked:
        named = ", ".join(f"`{name}`" for name in asked)
        hint = "leave these out of the task, or evaluate it on another model"
        raise PlanError(f"the provider `cruijff` has no {named}", hint=hint)


def _options(config: GenerateConfig) -> tuple[str, ...]:
    """Return the labels that a request wants scored."""
    options = (config.extra_body or {}).get("options", [])
    if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
        raise PlanError(f"`extra_body.options` is `{options!r}`; it is a list of labels")
    return tuple(options)


def _structured(config: GenerateConfig) -> bool:
    """Return whether a request wants a structured answer."""
    form = (config.extra_body or {}).get("form")
    if form not in (None, "json"):
        raise PlanError(f"`extra_body.form` is `{form!r}`; it is `json`, or left out")
    return form is not None


def _turns(messages: Sequence[ChatMessage]) -> list[Turn]:
    for message in messages:
        other = isinstance(message.content, list) and any(part.type != "text" for part in message.content)
        if message.role == "tool" or other:
            raise PlanError(
                f"the provider `cruijff` reads text of system, user and assistant; this is a `{message.role}` turn",
                hint="evaluate tasks with tools or images on another model",
            )
    return [{"role": message.role, "content": message.text} for message in messages]


def _output(
    prompt: PromptIds, answer: Completion, *, options: Sequence[str], name: str, kept: int | None
) -> ModelOutput:
    """Return inspect's view of an answer; `kept` candidates a position, None without log-probabilities."""
    choice = ChatCompletionChoice(
        message=ChatMessageAssistant(content=answer.text, model=name, source="generate"),
        stop_reason="stop" if answer.stopped else "max_tokens",
        logprobs=None if kept is None else Logprobs(content=_logprobs(answer, kept)),
    )
    usage = ModelUsage(
        input_tokens=len(prompt),
        output_tokens=len(answer.token_ids),
        total_tokens=len(prompt) + len(answer.token_ids),
    )
    metadata: dict[str, Any] = {
        "prompt_token_sha256": prompt_sha256(prompt),
        "prompt_token_ids": list(prompt),
        "output_token_ids": list(answer.token_ids),
    }
    if kept:
        metadata["top_token_ids"] = [[token.token_id for token in at] for at in answer.top]
    if options:
        metadata["options"] = list(options)
        metadata["option_logprobs"] = list(answer.option_logprobs)
        metadata["option_mass"] = answer.option_mass
    return ModelOutput(model=name, choices=[choice], usage=usage, metadata=metadata)


def _logprobs(answer: Completion, kept: int) -> list[Logprob]:
    found = []
    for given, candidates in zip(answer.given, answer.top, strict=True):
        top = [TopLogprob(token=one.token, logprob=one.logprob) for one in candidates[:kept]]
        found.append(Logprob(token=given.token, logprob=given.logprob, top_logprobs=top or None))
    return found
