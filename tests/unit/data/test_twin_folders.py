"""Tables of twins in a folder, made into rows as the task's own program makes them."""

import json
from pathlib import Path

import pytest

from cruijff_kit.data.generators.registry import make_dataset
from cruijff_kit.errors import SpecError
from cruijff_kit.tasks.synthetic_twins.preproc import main, preprocess
from tests.twin_table import twin_csv


def test_a_folder_of_tables_becomes_files_of_rows_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = {name: twin_csv(40 + at, traits=3) for at, name in enumerate(("one", "two"))}
    for name, content in tables.items():
        (tmp_path / f"{name}.csv").write_bytes(content)
    assert main([str(tmp_path), "--input_formatting", "difference", "--output_dir", str(tmp_path / "rows")]) == 0
    written = sorted((tmp_path / "rows").iterdir())
    assert capsys.readouterr().out.split() == [str(path) for path in written]
    assert [path.name for path in written] == ["one.json", "two.json"]
    made = make_dataset("twins", {"source": "one.csv", "form": "difference"}, files={"source": tables["one"]})
    assert written[0].read_bytes() == made.content
    assert list(json.loads(written[1].read_bytes())) == ["train", "validation", "test"]

    (tmp_path / "three.csv").write_bytes(b"a,b\n1,2\n")
    assert main([str(tmp_path), "--output_dir", str(tmp_path / "others")]) == 2
    assert "holds no pairs of twins" in capsys.readouterr().err
    assert not (tmp_path / "others").exists()
    with pytest.raises(SpecError, match=r"holds no `\.csv`"):
        preprocess(tmp_path / "rows")
