"""Which library computes where: what `auto` takes, what may be asked for, what is refused."""

import pytest

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.planning.backends import BACKENDS, choose_backend
from cruijff_kit.schema.backend import BackendChoice, Machine

MAC = Machine(apple=True, mlx=True, cuda=False, mps=True)
NODE = Machine(apple=False, mlx=True, cuda=True, mps=False)
BARE = Machine(apple=False, mlx=False, cuda=False, mps=False)


def told(choice: BackendChoice) -> tuple[str, str]:
    return choice.library, choice.device


@pytest.mark.parametrize(
    "machine, library, device",
    (
        (MAC, "mlx", "gpu"),
        (MAC.model_copy(update={"mlx": False}), "torch", "mps"),
        (MAC.model_copy(update={"mlx": False, "mps": False}), "torch", "cpu"),
        (NODE, "torch", "cuda"),
        # Nobody gets MLX on a CPU unasked.
        (NODE.model_copy(update={"cuda": False}), "torch", "cpu"),
        (BARE, "torch", "cpu"),
    ),
)
def test_auto_takes_mlx_on_apple_silicon_then_cuda_then_mps_then_the_cpu(
    machine: Machine, library: str, device: str
) -> None:
    assert told(choose_backend("auto", machine)) == (library, device)


def test_what_is_asked_for_is_taken_where_it_is_and_refused_where_not() -> None:
    assert told(choose_backend("mlx", NODE)) == ("mlx", "cpu")
    assert told(choose_backend("mlx", MAC)) == ("mlx", "gpu")
    assert told(choose_backend("cpu", MAC)) == ("torch", "cpu")
    assert told(choose_backend("mps", MAC)) == ("torch", "mps")
    assert told(choose_backend("cuda", NODE)) == ("torch", "cuda")
    for asked in ("mlx", "cuda", "mps"):
        with pytest.raises(SiteError, match=f"`--backend {asked}` was asked for, and"):
            choose_backend(asked, BARE)
    assert choose_backend("cpu", BARE).why == "asked for"


def test_whoever_has_apple_silicon_without_mlx_is_told_so() -> None:
    assert "MLX is not installed" in choose_backend("auto", MAC.model_copy(update={"mlx": False})).why
    assert "MLX" not in choose_backend("auto", BARE).why


def test_an_unknown_name_is_told_all_known_ones() -> None:
    with pytest.raises(SpecError, match=", ".join(f"`{name}`" for name in BACKENDS)) as caught:
        choose_backend("cude", BARE)
    assert caught.value.hint == "write `cuda`"
