"""Rows held out: as many as asked for, fixed by the seed, and none that was taught."""

from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.holdout import hold_out

ROWS = [{"prompt": f"question {at}", "completion": str(at)} for at in range(50)]


def test_a_share_is_held_out_by_seed_and_the_rest_learnt_in_file_order() -> None:
    learnt, held = hold_out(ROWS, share=0.1, seed=1)
    assert len(held) == 5
    assert learnt == [row for row in ROWS if row not in held]
    assert hold_out(ROWS, share=0.1, seed=1) == (learnt, held)
    assert hold_out(ROWS, share=0.1, seed=2)[1] != held


def test_the_end_of_the_file_is_not_what_is_held_out() -> None:
    _, held = hold_out(ROWS, share=0.2, seed=42)
    assert held != ROWS[-10:]


def test_rows_that_ask_the_same_go_together() -> None:
    rows = [{"prompt": f"question {at % 10}", "completion": str(at)} for at in range(40)]
    learnt, held = hold_out(rows, share=0.1, seed=3)
    assert len(held) == 4
    assert not {row["prompt"] for row in learnt} & {row["prompt"] for row in held}


def test_nothing_is_held_out_of_one_question_or_for_no_share() -> None:
    assert hold_out(ROWS, share=0.0, seed=1) == (ROWS, [])
    assert hold_out([ROWS[0], ROWS[0]], share=0.5, seed=1) == ([ROWS[0], ROWS[0]], [])


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30), st.floats(0, 0.99), st.integers(0, 9))
def test_no_row_is_lost_and_something_is_always_learnt(asked: list[str], share: float, seed: int) -> None:
    rows = [{"instruction": word, "output": str(at)} for at, word in enumerate(asked)]
    learnt, held = hold_out(rows, share=share, seed=seed)
    assert learnt
    assert sorted(row["output"] for row in [*learnt, *held]) == sorted(row["output"] for row in rows)
    assert bool(held) == (share > 0 and len(set(asked)) > 1)
