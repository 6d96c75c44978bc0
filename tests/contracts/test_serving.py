"""What everything that lets models answer does, the fake one as the real one."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from cruijff_kit.adapters.http_server import bind
from cruijff_kit.adapters.serving import LocalServing
from cruijff_kit.errors import PlanError, ResultError, SiteError, SpecError
from cruijff_kit.ports import Dialogue, Serving
from cruijff_kit.schema.answer import AnswerForm, Question
from cruijff_kit.schema.serving import Address, ChatSettings, Place, Saying, ServedModel
from cruijff_kit.schema.verdict import Doubt
from cruijff_kit.scoring.json_decision import read_decision
from tests.fakes.serving import FakeServing
from tests.random_model import random_adapter, random_base
from tests.served import served_model

TOKEN = "a-token-of-twenty-characters"


class Kind(NamedTuple):
    """One of both, and how a port of it comes to be taken."""

    serving: Serving
    real: bool

    @contextmanager
    def taken(self) -> Iterator[int]:
        if isinstance(self.serving, FakeServing):
            self.serving.taken.add(8123)
            yield 8123
            return
        with bind(Place(port=0)) as listener:
            yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    torch.set_num_threads(1)
    base = random_base(tmp_path_factory.mktemp("serving") / "base")
    return base, random_adapter(tmp_path_factory.mktemp("serving") / "adapter", base)


@pytest.fixture(params=("fake", "real"))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.delenv("CK_SERVE_TOKEN", raising=False)
    return Kind(LocalServing(), True) if request.param == "real" else Kind(FakeServing(), False)


@pytest.fixture
def dialogue(kind: Kind, folders: tuple[str, str]) -> Dialogue:
    return kind.serving.open(served_model(folders[0]))


def asked(text: str) -> list[Saying]:
    return [Saying(role="user", content=text)]


def interrupt(_: Address) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_server_tells_its_address_once_it_is_ready_and_ends_at_an_interrupt(
    kind: Kind, folders: tuple[str, str]
) -> None:
    told: list[Address] = []

    def ready(address: Address) -> None:
        told.append(address)
        if kind.real:
            interrupt(address)

    served = served_model(folders[0], adapter=folders[1])
    assert kind.serving.serve(served, Place(port=0), ready=ready, log=lambda _: None)
    (address,) = told
    assert address.port > 0
    assert address.url == f"http://127.0.0.1:{address.port}/v1"
    assert (address.model, address.models, address.token) == ("tuned", ("tuned", "tiny"), False)


def test_a_port_that_is_taken_is_refused(kind: Kind, folders: tuple[str, str]) -> None:
    with kind.taken() as port, pytest.raises(SiteError, match=f"port `{port}` of `127.0.0.1` is taken"):
        kind.serving.serve(served_model(folders[0]), Place(port=port), ready=interrupt, log=lambda _: None)


def test_other_machines_need_a_token_and_a_model_that_may_leave(kind: Kind, folders: tuple[str, str]) -> None:
    for served, fact in (
        (served_model(folders[0]), "no token is set"),
        (served_model(folders[0], here_only="it is red"), "it is red, so it is served on this machine alone"),
    ):
        with pytest.raises(SiteError, match=fact):
            kind.serving.serve(served, Place(host="0.0.0.0", port=0), ready=interrupt, log=lambda _: None)


def test_an_answer_is_heard_in_pieces_that_make_it(dialogue: Dialogue) -> None:
    pieces: list[str] = []
    reply = dialogue.answer(asked("one two three"), ChatSettings(), heard=pieces.append)
    assert "".join(pieces) == reply.text
    assert reply.ended in {"stop", "length"}
    assert reply.tokens > 0 < reply.prompt_tokens


def test_the_same_question_has_the_same_answer_and_limits_bind_it(dialogue: Dialogue) -> None:
    whole = dialogue.answer(asked("one two three"), ChatSettings(), heard=lambda _: None)
    assert dialogue.answer(asked("one two three"), ChatSettings(), heard=lambda _: None) == whole
    short = dialogue.answer(asked("one two three"), ChatSettings(max_tokens=2), heard=lambda _: None)
    assert (short.tokens, short.ended) == (2, "length")


@pytest.mark.parametrize(
    "sayings, settings",
    (
        ([], ChatSettings()),
        ([Saying(role="assistant", content="x")], ChatSettings()),
        (asked("x " * 300), ChatSettings()),
        (asked("x"), ChatSettings(max_tokens=1000)),
    ),
)
def test_what_cannot_be_asked_is_told(dialogue: Dialogue, sayings: list[Saying], settings: ChatSettings) -> None:
    with pytest.raises(SpecError):
        dialogue.answer(sayings, settings, heard=lambda _: None)


def test_a_classifier_answers_in_order_scores_every_label_and_tells_what_cannot_be_asked(
    kind: Kind, folders: tuple[str, str]
) -> None:
    form = AnswerForm(options=("HIGH", "LOW"), max_tokens=80)
    served = served_model(folders[0], system_prompt="Decide.")
    classifier = kind.serving.classifier(served, form)
    asked = [Question(text="so HIGH"), Question(problem="the line is blank"), Question(text="x " * 600)]
    first, blank, long = classifier.ask(asked)
    assert read_decision(first.text).valid
    assert (len(first.logprobs), first.problem) == (2, "")
    assert first.abstain_logprob is not None
    assert blank.problem == "the line is blank"
    assert "positions" in long.problem
    assert classifier.ask(asked[:1])[0].text == first.text
    with pytest.raises(PlanError):
        kind.serving.classifier(served, AnswerForm(options=("HIGH", "HIGH")))


def test_an_adapter_that_is_torn_is_told_before_anybody_asks(folders: tuple[str, str], tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.mkdir()
    served: ServedModel = served_model(folders[0]).model_copy(update={"adapter": str(torn)})
    for open_it in (
        lambda: LocalServing().open(served),
        lambda: LocalServing().serve(served, Place(port=0), ready=interrupt, log=lambda _: None),
    ):
        with pytest.raises(SiteError, match="is no adapter"):
            open_it()


def test_options_are_scored_one_row_a_prompt_or_one_for_each_pass_or_adapter(
    kind: Kind, folders: tuple[str, str], tmp_path: Path
) -> None:
    base, adapter = folders
    drops = random_adapter(tmp_path / "drops", base, seed=3, dropout=0.3)
    scorer = kind.serving.scorer(served_model(base, adapter=drops))
    prompts, options = [(1, 2, 3), (4, 5)], ("no", "yes", "unsure")
    single = scorer.score(prompts, options=options)
    assert [[len(row) for row in rows] for rows in single] == [[3], [3]]
    assert scorer.score(prompts, options=options) == single
    passes = scorer.score(prompts, options=options, doubt=Doubt(source="mc_dropout", passes=4))
    assert [len(rows) for rows in passes] == [4, 4]
    assert len(set(passes[0])) == 4
    several = scorer.score(prompts, options=options, doubt=Doubt(source="ensemble", adapters=(adapter,)))
    assert [len(rows) for rows in several] == [2, 2]
    assert [rows[0] for rows in several] == [rows[0] for rows in single]


def test_options_that_cannot_be_scored_are_refused(kind: Kind, folders: tuple[str, str]) -> None:
    scorer = kind.serving.scorer(served_model(folders[0]))
    with pytest.raises(PlanError, match="exceed"):
        scorer.score([(1,) * 300], options=("no", "yes"))
    with pytest.raises(PlanError, match="are the same tokens"):
        scorer.score([(1, 2)], options=("no", " no"))
    with pytest.raises(ResultError, match="a bare base model has no LoRA dropout"):
        scorer.score([(1, 2)], options=("no", "yes"), doubt=Doubt(source="mc_dropout"))
