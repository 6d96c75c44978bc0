"""Names of what is imported: told apart by a number, and no longer than a name may be."""

from cruijff_kit.planning.imported_plan import Evaluated, FoundData, FoundRun, Sketch, plan_imported


def test_what_has_one_name_is_told_apart_however_long_the_name_is() -> None:
    long = "m" * 70
    folders = ("/a", "/b", "/c")
    runs = tuple(
        FoundRun(
            name=f"run{at}", sha256="ab" * 32, trained=False, model=f"{folder}/{long}", config=None, epochs=(), steps=0,
            evaluated=(Evaluated(long, "test", f"{folder}/{long}.json", None, ("match",), 8, {}),
                       Evaluated(long, "test", "/other.json", None, ("match",), 8, {})),
        )
        for at, folder in enumerate(folders)
    )  # fmt: skip
    data = tuple(FoundData(f"{folder}/{long}.json", None) for folder in (*folders, "/d"))
    made = plan_imported(
        Sketch("imported", "", "", "", "2025-11-03", runs, (*data, FoundData("/other.json", None)), "green")
    )
    names = ["m" * 64, f"{'m' * 62}-2", f"{'m' * 62}-3"]
    assert [each.name for each in made.spec.models] == names
    assert [each.key for each in made.plan.datasets] == [*names, f"{'m' * 62}-4", "other"]
    assert len({each.name for each in made.spec.evaluation.tasks}) == 2
