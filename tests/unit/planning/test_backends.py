"""Which library computes where: what `auto` takes, what may be asked for, what is refused."""

import pytest

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.planning.backends import BACKENDS, choose_backend, formula_of
from cruijff_kit.schema.backend import BackendChoice, Machine

MAC = Machine(apple=True, mlx=True, cuda=False, mps=True, peft=True, torchtune=False)
NODE = Machine(apple=False, mlx=True, cuda=True, mps=False, peft=True, torchtune=True)
BARE = Machine(apple=False, mlx=False, cuda=False, mps=False, peft=False, torchtune=False)


def told(choice: BackendChoice) -> tuple[str, str, str]:
    return choice.library, choice.engine, choice.device


@pytest.mark.parametrize(
    "machine, expected",
    (
        (MAC, ("mlx", "mlx", "gpu")),
        (MAC.model_copy(update={"mlx": False}), ("torch", "peft", "mps")),
        (MAC.model_copy(update={"mlx": False, "mps": False}), ("torch", "peft", "cpu")),
        (NODE, ("torch", "peft", "cuda")),
        # Nobody gets MLX on a CPU unasked.
        (NODE.model_copy(update={"cuda": False}), ("torch", "peft", "cpu")),
    ),
)
def test_auto_takes_mlx_on_apple_silicon_then_cuda_then_mps_then_the_cpu(
    machine: Machine, expected: tuple[str, str, str]
) -> None:
    assert told(choose_backend("auto", machine)) == told(choose_backend("auto", machine, train=True)) == expected


def test_what_is_asked_for_is_taken_where_it_is_and_refused_where_not() -> None:
    assert told(choose_backend("mlx", NODE)) == ("mlx", "mlx", "cpu")
    assert told(choose_backend("mlx", MAC)) == ("mlx", "mlx", "gpu")
    assert told(choose_backend("torch", MAC)) == ("torch", "peft", "mps")
    assert told(choose_backend("peft", NODE)) == ("torch", "peft", "cuda")
    assert told(choose_backend("torchtune", NODE)) == ("torch", "torchtune", "cuda")
    for asked, lacks in (("mlx", "mlx_lm"), ("peft", "peft"), ("torchtune", "torchtune")):
        with pytest.raises(SiteError, match=f"backend `{asked}` needs `{lacks}`, which is not installed"):
            choose_backend(asked, BARE)
    assert choose_backend("torch", MAC).why == "asked for"


def test_torchtune_stays_off_apple_s_gpu() -> None:
    assert told(choose_backend("torchtune", MAC.model_copy(update={"torchtune": True}))) == (
        "torch",
        "torchtune",
        "cpu",
    )


def test_a_backend_that_is_only_counted_with_need_not_be_there_and_its_formula_says_where_it_was_measured() -> None:
    counted = choose_backend("mlx", BARE, needed=False)
    assert (told(counted), formula_of(counted)) == (("mlx", "mlx", "cpu"), "MLX's, held against measurements on CPUs")
    assert formula_of(choose_backend("auto", MAC)).endswith("not on Metal")
    lacking = MAC.model_copy(update={"mlx": False, "peft": False})
    assert choose_backend("auto", lacking, train=True, needed=False).device == "mps"
    for asked, machine in (("torch", MAC), ("auto", NODE)):
        assert formula_of(choose_backend(asked, machine)) == "torch's, held against measurements on CPUs, not on GPUs"


def test_who_only_answers_needs_no_engine_that_trains() -> None:
    assert told(choose_backend("auto", BARE)) == ("torch", "peft", "cpu")
    for asked in ("auto", "torch"):
        with pytest.raises(SiteError, match="needs `peft`"):
            choose_backend(asked, BARE, train=True)


def test_whoever_has_apple_silicon_without_mlx_is_told_so() -> None:
    assert "MLX is not installed" in choose_backend("auto", MAC.model_copy(update={"mlx": False})).why
    assert "MLX" not in choose_backend("auto", BARE).why


def test_auto_takes_mlx_only_for_families_it_is_known_to_compute_and_says_so() -> None:
    assert told(choose_backend("auto", MAC, architecture="Qwen3ForCausalLM")) == ("mlx", "mlx", "gpu")
    other = choose_backend("auto", MAC, architecture="GPT2LMHeadModel")
    assert told(other) == ("torch", "peft", "mps")
    assert other.why == "torch has Apple's GPU; MLX is not known to compute a `GPT2LMHeadModel`"
    assert "MLX" not in choose_backend("auto", NODE, architecture="GPT2LMHeadModel").why
    # Whoever asks for it is told by MLX itself what it cannot do.
    assert told(choose_backend("mlx", MAC, architecture="GPT2LMHeadModel")) == ("mlx", "mlx", "gpu")


def test_an_unknown_name_is_told_all_known_ones() -> None:
    with pytest.raises(SpecError, match=", ".join(f"`{name}`" for name in BACKENDS)) as caught:
        choose_backend("mxl", BARE)
    assert caught.value.hint == "write `mlx`"
