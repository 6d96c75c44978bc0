"""Each of the threats S01 to S32 has a test that carries its number."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_threat_from_s01_to_s32_is_tried_by_name() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py") if path != Path(__file__).resolve()]
    named = {int(number) for text in texts for number in re.findall(r"^def test_s([0-9]{2})_", text, re.MULTILINE)}
    values = {int(number) for text in texts for number in re.findall(r'^    "S([0-9]{2})": \(', text, re.MULTILINE)}
    assert named | values == set(range(1, 33))
