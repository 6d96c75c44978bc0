"""Who may ask a server, what it does when they leave, and what is left of it when it ends."""

import http.client
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from openai import AuthenticationError, OpenAI

from cruijff_kit.adapters.http_server import bind, read_token
from cruijff_kit.cli.main import cli
from cruijff_kit.data.tokens import Encoding
from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.answering import Desk
from cruijff_kit.schema.serving import Place
from tests.gated_model import GatedModel
from tests.random_model import random_base
from tests.served import Here, command, served_here, served_model

pytestmark = pytest.mark.once

TOKEN = "a-token-of-twenty-characters"
HELLO = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    return random_base(tmp_path_factory.mktemp("http") / "tiny")


@pytest.fixture(scope="module")
def here(base: str) -> Iterator[Here]:
    with served_here(served_model(base)) as server:
        yield server


def told(port: int, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Return status and reply of one request, its headers exactly as given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    try:
        connection.request("GET" if body is None else "POST", path, content, sent)
        reply = connection.getresponse()
        read = reply.read()
        return reply.status, json.loads(read)
    finally:
        connection.close()


# Who may ask.


@pytest.mark.parametrize("host", ("127.0.0.1", "localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"))
def test_this_machine_may_ask_by_any_of_its_own_names(here: Here, host: str) -> None:
    assert told(here.port, "/health", Host=host) == (200, {"status": "ok"})


@pytest.mark.parametrize("host", ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "0.0.0.0", ""))
def test_a_website_that_calls_itself_this_machine_is_turned_away(here: Here, host: str) -> None:
    status, reply = told(here.port, "/v1/chat/completions", HELLO, Host=host)
    assert (status, reply["error"]["code"]) == (403, "host_not_allowed")


def test_what_a_page_may_send_unasked_is_not_read(here: Here) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert told(here.port, "/v1/chat/completions", HELLO, Content_Type=kind)[0] == 415
    connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)
    connection.request("OPTIONS", "/v1/chat/completions", headers={"Origin": "http://evil.example"})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    assert reply.status == 404
    assert not [name for name, _ in reply.getheaders() if name.lower().startswith("access-control-")]


def test_a_token_is_asked_for_where_one_is_set(base: str) -> None:
    with served_here(served_model(base), token=TOKEN) as here:
        with OpenAI(base_url=here.url, api_key="wrong", max_retries=0) as client:
            with pytest.raises(AuthenticationError) as caught:
                client.models.list()
            assert caught.value.code == "invalid_api_key"
        with OpenAI(base_url=here.url, api_key=TOKEN, max_retries=0) as client:
            assert [each.id for each in client.models.list()] == ["tiny"]
        assert told(here.port, "/v1/models", Authorization=TOKEN)[0] == 401
        assert told(here.port, "/health") == (200, {"status": "ok"})


def test_other_machines_are_not_let_in_without_a_token(base: str) -> None:
    result = CliRunner().invoke(cli, ["serve", "--model", base, "--host", "0.0.0.0"])
    assert isinstance(result.exception, SiteError)
    assert "can be reached from other machines, and no token is set" in str(result.exception)
    assert "CK_SERVE_TOKEN" in result.exception.hint


def test_a_server_for_other_machines_takes_any_name_and_its_token_alone(base: str, tmp_path: Path) -> None:
    with command(["--model", base, "--host", "0.0.0.0"], folder=tmp_path, CK_SERVE_TOKEN=TOKEN) as started:
        address = started.address
        assert (address.host, address.token) == ("0.0.0.0", True)
        assert told(address.port, "/v1/models", Host="node7.cluster")[0] == 401
        assert told(address.port, "/v1/models", Host="node7.cluster", Authorization=f"Bearer {TOKEN}")[0] == 200
        arguments = Path(f"/proc/{started.process.pid}/cmdline").read_bytes()
        _, said = started.ended()
    assert TOKEN.encode() not in arguments
    assert TOKEN not in said


def test_a_token_s_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n", encoding="utf-8")
    path.chmod(0o640)
    with pytest.raises(SiteError, match="others may read or write"):
        read_token(str(path))
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert read_token(str(path)) == TOKEN
    for text in ("short", "has a space in the middle", ""):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SiteError, match="16 or more plain characters"):
            read_token(str(path))
    with pytest.raises(SiteError, match="cannot be read"):
        read_token(str(tmp_path / "gone"))


# What is read.


@pytest.mark.parametrize(
    "content, fact",
    (
        (b"{torn", "not readable JSON"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "not readable JSON"),
        (b"\xff\xfe", "not readable JSON"),
        (b'{"messages": [{"role": "user", "content": 5}]}', "`messages.0.content"),
    ),
)
def test_bodies_that_are_none_are_refused_in_words(here: Here, content: bytes, fact: str) -> None:
    status, reply = told(here.port, "/v1/chat/completions", content)
    assert (status, reply["error"]["type"]) == (400, "invalid_request_error")
    assert fact in reply["error"]["message"]


def test_a_body_is_bounded_whether_it_says_its_size_or_not(here: Here) -> None:
    large = b'{"x": "' + b"x" * (17 * 2**20) + b'"}'
    connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)
    connection.putrequest("POST", "/v1/completions")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(large)))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    with socket.create_connection(("127.0.0.1", here.port), timeout=60) as raw:
        raw.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        for _ in range(17):
            raw.sendall(chunk)
        assert raw.recv(64).startswith(b"HTTP/1.1 413")


def test_an_address_that_is_none_is_told_with_those_that_are(here: Here) -> None:
    status, reply = told(here.port, "/v1/embeddings", {"input": "x"})
    assert status == 404
    assert "`/v1/chat/completions`" in reply["error"]["message"]
    assert told(here.port, "/v1/chat/completions")[0] == 404


# Those who leave.


def test_a_client_that_hangs_up_costs_nothing_more_and_holds_up_nobody(base: str) -> None:
    model = GatedModel(base)
    desk = Desk(model, Encoding(dataset_type="chat_completion", max_seq_len=256), adapters={"tiny": None})
    with served_here(served_model(base), desk=desk) as here:
        for stream in (True, False):
            leaving = _sent(here.port, {**HELLO, "max_tokens": 200, "stream": stream})
            model.steps.get(timeout=60)
            leaving.close()
            assert here.log.get(timeout=60).endswith("the client hung up")
            # One token for the one who left, and four for the one who stays: of more there would be an end here.
            model.let(5)
            status, reply = told(here.port, "/v1/chat/completions", HELLO)
            assert (status, reply["usage"]["completion_tokens"]) == (200, 4)
            assert model.taken() == 4
            assert here.log.get(timeout=60).endswith(" 4 tokens")


@pytest.mark.parametrize("stream", (False, True))
def test_an_answer_that_the_end_of_the_server_cuts_off_is_told_as_that(base: str, stream: bool) -> None:
    model = GatedModel(base)
    desk = Desk(model, Encoding(dataset_type="chat_completion", max_seq_len=256), adapters={"tiny": None})
    with served_here(served_model(base), desk=desk) as here:
        asking = _sent(here.port, {**HELLO, "max_tokens": 200, "stream": stream})
        model.steps.get(timeout=60)
        here.end()
        model.let(2)
        read = b"".join(iter(lambda: asking.recv(65536), b""))
        asking.close()
    assert b"the server is ending, and the answer with it" in read
    assert read.startswith(b"HTTP/1.1 200" if stream else b"HTTP/1.1 503")
    assert b"[DONE]" not in read
    assert b'"finish_reason":"length"' not in read


def _sent(port: int, body: dict[str, Any]) -> socket.socket:
    content = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return connection


# The port, and the end.


def test_a_port_that_is_taken_is_told_in_words(base: str) -> None:
    with bind(Place(port=0)) as listener:
        port = listener.getsockname()[1]
        result = CliRunner().invoke(cli, ["serve", "--model", base, "--port", str(port)])
    assert isinstance(result.exception, SiteError)
    assert f"port `{port}` of `127.0.0.1` is taken" in str(result.exception)
    with pytest.raises(SiteError, match="no name or address of this machine"):
        bind(Place(host="nowhere.invalid", port=0))
    with pytest.raises(SiteError, match="is no address of this machine"):
        bind(Place(host="192.0.2.1", port=0))


@pytest.mark.parametrize("number, code", ((signal.SIGINT, 130), (signal.SIGTERM, 0)))
def test_a_signal_ends_it_in_the_middle_of_an_answer(
    base: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with command(["--model", base], folder=tmp_path) as started:
        streaming = _sent(started.address.port, {**HELLO, "max_tokens": 200, "stream": True})
        assert streaming.recv(16).startswith(b"HTTP/1.1 200")
        ended, said = started.ended(number)
        assert (ended, "Traceback" in said) == (code, False), said
        streaming.close()


def test_a_server_that_is_killed_leaves_nothing(base: str, tmp_path: Path) -> None:
    with command(["--model", base], folder=tmp_path) as started:
        port, pid = started.address.port, started.process.pid
        assert told(port, "/v1/chat/completions", HELLO)[0] == 200
        assert started.address.pid == pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        assert started.ended(signal.SIGKILL)[0] == -signal.SIGKILL
    assert children == ""
    assert list(tmp_path.iterdir()) == []
    assert not Path(os.environ["CRUIJFF_STATE_DIR"]).exists()
    bind(Place(port=port)).close()
