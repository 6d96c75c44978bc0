"""The space of a search: its preset, how points are written and compared, and its seeds."""

from cruijff_kit.planning.search_space import (
    fresh_seeds,
    number_of,
    point_key,
    proposal_seed,
    run_of,
    searched_names,
    space_of,
    tidy,
    trial_name,
)
from cruijff_kit.schema.design_kinds import SearchDesign, Span


def search(**told: object) -> SearchDesign:
    return SearchDesign.model_validate({"kind": "search", "trials": 4, **told})


def test_the_preset_is_the_space_of_the_predecessor() -> None:
    space = space_of(search(preset="tune"), steps=400)
    assert space["lora_rank"] == Span(low=8, high=64, step=8)
    assert space["lora_alpha"] == Span(low=16, high=128, step=16)
    assert space["lora_dropout"] == Span(low=0.05, high=0.3)
    assert space["lr"] == Span(low=1e-5, high=5e-4, log=True)
    assert space["batch_size"] == (2, 4, 8)
    assert space["num_warmup_steps"] == Span(low=4, high=40)
    assert space["weight_decay"] == Span(low=0.0, high=0.01)


def test_what_is_written_counts_over_the_preset() -> None:
    space = space_of(search(preset="tune", space={"lr": [1e-4, 2e-4], "epochs": [1, 2]}))
    assert space["lr"] == (1e-4, 2e-4)
    assert space["epochs"] == (1, 2)


def test_runs_too_short_to_warm_up_have_no_such_dimension_and_it_keeps_its_name() -> None:
    assert "num_warmup_steps" not in space_of(search(preset="tune"), steps=5)
    assert "num_warmup_steps" in searched_names(search(preset="tune"))


def test_points_that_train_alike_have_one_key() -> None:
    assert point_key({"lora_alpha": 16}) == point_key({"lora_alpha": 16.0})
    assert point_key({"packed": True}) != point_key({"packed": 1})
    one, other = ({"batch_size": a, "gradient_accumulation_steps": b} for a, b in ((2, 4), (4, 2)))
    assert point_key(one) == point_key(other)
    assert point_key({"batch_size": 2}) != point_key({"batch_size": 4})


def test_a_proposed_point_is_written_as_people_would() -> None:
    space = space_of(search(preset="tune"), steps=400)
    point = {name: each.low if isinstance(each, Span) else each[0] for name, each in space.items()}
    wild = {**point, "lr": 0.000123456789, "lora_dropout": 0.30000000000000004, "lora_rank": 23.9}
    written = tidy(space, wild)
    assert (written["lr"], written["lora_dropout"], written["lora_rank"]) == (0.0001235, 0.3, 24)


def test_a_trial_is_a_named_run_that_says_only_what_it_must() -> None:
    run = run_of(trial_name(7), {"lr": 1e-4, "model": "tiny"})
    assert run.model_dump(exclude_unset=True) == {"name": "trial-007", "model": "tiny", "parameters": {"lr": 1e-4}}
    assert [number_of(name) for name in ("trial-007", "trial-1234", "trial-007-fresh", "default")] == [
        7,
        1234,
        None,
        None,
    ]


def test_fresh_seeds_are_new_and_always_the_same() -> None:
    told = search(preset="tune", fresh_seeds=8)
    seeds = fresh_seeds(told, [1, 2])
    assert len(set(seeds)) == 8
    assert seeds == fresh_seeds(told, [1, 2])
    assert set(fresh_seeds(told, seeds)).isdisjoint(seeds)
    assert fresh_seeds(told.model_copy(update={"seed": 1}), [1, 2]) != seeds


def test_each_trial_and_attempt_has_a_seed_of_its_own() -> None:
    seeds = {proposal_seed(seed, number, attempt=at) for seed in range(3) for number in range(9) for at in range(3)}
    assert len(seeds) == 81
