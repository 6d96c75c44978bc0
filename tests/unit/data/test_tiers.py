"""The tier of a path and of several statements: the strictest, and nothing that merely looks like one."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.data.tiers import TIERS, path_tier, stated_tier, strictest
from cruijff_kit.errors import SpecError
from cruijff_kit.workflow.tiers import marks_of

names = st.one_of(
    st.sampled_from(["data", "green", "yellow", "red", "Data", "RED", "red2", "x.json", "my-data"]),
    st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
        lambda name: name not in (".", "..")
    ),
)
paths = st.lists(names, max_size=8).map(lambda parts: PurePosixPath("/", *parts))
tiers = st.sampled_from(TIERS)


@given(st.lists(st.one_of(st.none(), tiers), max_size=5))
def test_the_strictest_of_what_is_said_counts_and_nothing_said_is_yellow(said: list) -> None:
    found = strictest(said)
    known = [tier for tier in said if tier]
    assert found == ("yellow" if not known else max(known, key=TIERS.index))
    assert strictest([*said, "red"]) == "red"


@given(paths)
def test_a_path_says_a_tier_only_by_a_folder_named_so_right_below_one_named_data(path: PurePosixPath) -> None:
    pairs = set(zip(path.parts, path.parts[1:], strict=False))
    said = [tier for tier in TIERS if ("data", tier) in pairs]
    assert path_tier(path) == (said[-1] if said else None)


@given(paths, paths, tiers)
def test_nothing_below_a_closer_folder_is_freer_than_it(above: PurePosixPath, below: PurePosixPath, tier: str) -> None:
    inner = PurePosixPath(above, "data", tier, *below.parts[1:])
    found = path_tier(inner)
    assert found is not None
    assert TIERS.index(found) >= TIERS.index(tier)


@given(st.text(max_size=12))
def test_a_mark_says_a_tier_or_is_refused_with_its_place(text: str) -> None:
    assume(text.strip() not in TIERS)
    with pytest.raises(SpecError, match="`here/TIER` says"):
        stated_tier(text, place="here/TIER")


def test_a_link_counts_for_where_it_lies_and_for_where_it_leads(tmp_path: Path) -> None:
    for name in ("data/red", "data/green"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/red/a.json").write_text("{}", encoding="utf-8")
    (tmp_path / "data/green/a.json").symlink_to(tmp_path / "data/red/a.json")
    (tmp_path / "data/red/b.json").symlink_to(tmp_path / "data/green/b.json")
    (tmp_path / "data/green/b.json").write_text("{}", encoding="utf-8")
    for link in ("data/green/a.json", "data/red/b.json"):
        assert strictest(marks_of(tmp_path / link, root=tmp_path)) == "red"
    assert strictest(marks_of(tmp_path / "data/green/b.json", root=tmp_path)) == "green"


def test_a_folder_is_as_strict_as_the_strictest_in_it_and_around_it(tmp_path: Path) -> None:
    inner = tmp_path / "kept" / "set" / "part"
    inner.mkdir(parents=True)
    assert marks_of(tmp_path / "kept" / "set", root=tmp_path) == []
    (inner / "TIER").write_text("yellow\n", encoding="utf-8")
    assert strictest(marks_of(tmp_path / "kept" / "set", root=tmp_path)) == "yellow"
    (tmp_path / "kept" / "TIER").write_text("red", encoding="utf-8")
    assert strictest(marks_of(inner / "x.json", root=tmp_path)) == "red"
    (tmp_path / "other" / "data" / "red").mkdir(parents=True)
    assert strictest(marks_of(tmp_path / "other", root=tmp_path)) == "red"


def test_generated_data_are_as_their_sidecar_and_the_tables_they_were_made_of_say(tmp_path: Path) -> None:
    store = DiskRunStore(tmp_path)
    store.write("data/t.json", "{}")
    store.write("data/t.meta.json", '{"tier": "yellow", "generator": "tabular", "arguments": {"source": "in/p.csv"}}')
    store.write("in/p.csv", "a\n1\n")
    assert marks_of(tmp_path / "data/t.json", root=tmp_path) == ["yellow"]
    store.write("in/TIER", "red")
    assert strictest(marks_of(tmp_path / "data/t.json", root=tmp_path)) == "red"
    store.write("data/t.meta.json", "no json")
    assert marks_of(tmp_path / "data/t.json", root=tmp_path) == []
