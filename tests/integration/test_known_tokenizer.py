"""Tokenizers are loaded by the class that was chosen for them before, and are the same as by choosing anew."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from cruijff_kit.adapters.tokenizers import known_tokenizer
from tests.tokenizer_families import FAMILIES

SECOND = """
import sys
from pathlib import Path
from cruijff_kit.adapters.tokenizers import known_tokenizer
print(known_tokenizer(Path(sys.argv[1]), cache=Path(sys.argv[2])).encode("amber", add_special_tokens=False))
print("transformers.models.auto.tokenization_auto" in sys.modules)
"""


@pytest.mark.parametrize("name", FAMILIES)
def test_a_tokenizer_is_the_same_by_the_class_that_was_noted(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    FAMILIES[name].build().save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    chosen = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    known_tokenizer(folder, cache=tmp_path / "first")
    # Another folder of notes with the same note: what was loaded in this process is asked for no more.
    (tmp_path / "first").rename(tmp_path / "second")
    found: Any = known_tokenizer(folder, cache=tmp_path / "second")
    assert type(found) is type(chosen)
    assert found.backend_tokenizer.to_str() == chosen.backend_tokenizer.to_str()
    assert found.special_tokens_map == chosen.special_tokens_map
    assert found.chat_template == chosen.chat_template


def test_a_second_look_chooses_nothing_and_a_changed_directory_is_looked_at_anew(tmp_path: Path) -> None:
    folder, cache = tmp_path / "model", tmp_path / "cache"
    name = next(iter(FAMILIES))
    FAMILIES[name].build().save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    ids = known_tokenizer(folder, cache=cache).encode("amber", add_special_tokens=False)
    command = [sys.executable, "-c", SECOND, str(folder), str(cache)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told == [str(ids), "False"]
    (note,) = (cache / "tokenizers").iterdir()
    note.write_text("transformers.gone.Nothing\n", encoding="ascii")
    assert known_tokenizer(folder, cache=tmp_path / "cache").encode("amber", add_special_tokens=False) == ids
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    known_tokenizer(folder, cache=cache)
    assert len(list((cache / "tokenizers").iterdir())) == 2
