"""Secrets are masked wherever they stand; what is merely called a token stays."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cruijff_kit.rendering.redaction import MASK, redact, redact_fields, sensitive_values

LETTERS = "aB3" * 20
# Put together here, so that no scanner takes this file for a leak.
FORMS = (
    "hf_" + LETTERS[:34],
    "sk-" + LETTERS[:24],
    "sk-" + "ant-" + LETTERS[:24],
    "sk-" + "proj-" + LETTERS[:24],
    *(prefix + "_" + LETTERS[:36] for prefix in ("ghp", "gho", "ghu", "ghs", "ghr")),
    "github_pat_" + LETTERS[:40],
    "AKIA" + "ABCD1234EFGH5678",
    "xoxb" + "-" + LETTERS[:12],
)


@pytest.mark.parametrize("secret", FORMS)
@pytest.mark.parametrize("around", ("{}", "using {}.", '{{"key": "{}"}}', "x={}&y", "path/{}/end", "<{}>"))
def test_a_known_form_is_masked_wherever_it_stands(secret: str, around: str) -> None:
    assert redact(around.format(secret)) == around.format(MASK)


@pytest.mark.parametrize(
    "text,expected",
    (
        ("HF_TOKEN=abc", "HF_TOKEN=[redacted]"),
        ("export WANDB_API_KEY=0123 && run", "export WANDB_API_KEY=[redacted] && run"),
        ("AWS_SECRET_ACCESS_KEY: x/y", "AWS_SECRET_ACCESS_KEY: [redacted]"),
        ('{"api_key": "a b", "x": 1}', '{"api_key": "[redacted]", "x": 1}'),
        (r"{\"api_key\": \"a b\", \"x\": 1}", r"{\"api_key\": \"[redacted]\", \"x\": 1}"),
        (r'password = "a\"b" # mine', 'password = "[redacted]" # mine'),
        ("login(api_key='it', user=2)", "login(api_key='[redacted]', user=2)"),
        ("login(password=it, user=2)", "login(password=[redacted], user=2)"),
        ("tool --password hunter2 --lr 3e-4", "tool --password [redacted] --lr 3e-4"),
        ("tool --hub-token a1b2c3d4e5f6g7h8i9", "tool --hub-token [redacted]"),
        ("-DDB_PASSWD=x", "-DDB_PASSWD=[redacted]"),
        ("MY_SECRET=12345", "MY_SECRET=[redacted]"),
        ("git clone https://ada:pw@host/repo", "git clone https://[redacted]@host/repo"),
        ("postgres://ada:p@w@host:5432/db", "postgres://[redacted]@host:5432/db"),
        ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer [redacted]"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", "a [redacted] b"),
        ("token=a1b2c3d4e5f6g7h8", "token=[redacted]"),
        ("access_token: abc", "access_token: [redacted]"),
    ),
)
def test_a_value_named_as_a_secret_is_masked(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    (
        "tokens: 1024",
        "max_token: 5",
        "max_tokens=512",
        "tokenizer=gpt2",
        "tokenizer_path: models/tiny",
        "TOKENIZERS_PARALLELISM=false",
        "MAX_TOKEN=5",
        "eos_token: <|eot_id|>",
        "pad_token=[PAD]",
        '"bos_token": "<s>"',
        "next_token: cat",
        "add_bos_token: true",
        "token: cat",
        "ms per token: 3.2",
        "tokens_per_second=1234.5",
        "prompt_token_sha256=" + "ab" * 32,
        "the password was changed",
        "risk-adjusted-learning-rate-of-everything",
        "task-capitalization-of-five-letters",
        "ask ada@example about https://host/path@2",
        "sha256:" + "0123456789abcdef" * 4,
        "rank4_lr3e-4_seed1-4f1c9a02",
    ),
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_values_of_the_environment_are_masked_wherever_they_stand() -> None:
    secrets = sensitive_values(
        {
            "WANDB_API_KEY": "0123456789abcdef",
            "SHORT_TOKEN": "abc",
            "TOKENIZERS_PARALLELISM": "definitely",
            "HOME": "x" * 9,
        }
    )
    assert secrets == ("0123456789abcdef",)
    assert redact("key 0123456789abcdef.", secrets) == "key [redacted]."


def test_of_two_secrets_the_longer_is_masked_first() -> None:
    assert redact("abcdefgh12345678", ("abcdefgh", "abcdefgh12345678")) == MASK


def test_a_field_is_masked_by_its_name_alone() -> None:
    fields = {"HF_TOKEN": "abc", "max_token": "5", "job_id": "4711", "note": "PASSWORD=x"}
    masked = {"HF_TOKEN": MASK, "max_token": "5", "job_id": "4711", "note": f"PASSWORD={MASK}"}
    assert redact_fields(fields) == masked


@given(st.text(alphabet="tokenTOKEN_=: \"'\\[]api-keysecr@/", max_size=60))
@example("--api-key abcd next")
@example("API_KEY=[redacted]")
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


PIECES = ("hf_", "ghp_", "github_pat_", "xoxb-", "AKIA", "sk-", "Bearer ", "://a@", "passwd=", "key", "a", " ", LETTERS)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=5).map("".join))
def test_what_is_waved_through_at_a_glance_is_what_a_close_look_leaves_alone(text: str) -> None:
    # A letter beyond ASCII takes the glance away.
    assert redact(f"é {text}") == f"é {redact(text)}"


@pytest.mark.parametrize(
    "piece", ("a", "a-", "token", "token='", "--a", "://a", "a_", '"', "-----BEGIN PRIVATE KEY-----")
)
def test_a_secret_after_a_long_hostile_text_is_still_reached(piece: str) -> None:
    text = redact(piece * (300_000 // len(piece)) + " HF_TOKEN=hunter2")
    assert MASK in text
    assert "hunter2" not in text
