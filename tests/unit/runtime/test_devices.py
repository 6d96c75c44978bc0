"""Where a job computes: what is refused in words, and blocks that are computed again with the same draws."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.devices import choose_device, falls_back, is_out_of_memory, metal_in_words
from cruijff_kit.runtime.memory_use import peak_memory
from cruijff_kit.runtime.recomputing import same_draws

CPU, MPS = torch.device("cpu"), torch.device("mps")


def test_apple_s_gpu_is_refused_in_words_where_torch_has_none() -> None:
    if torch.backends.mps.is_available():
        assert choose_device("mps") == choose_device("auto") == choose_device("cuda") == MPS
        assert peak_memory(MPS) >= 0
        return
    with pytest.raises(SiteError, match="`device: mps` is Apple's GPU, and torch sees none here"):
        choose_device("mps")


def test_an_operation_that_apple_s_gpu_lacks_is_told_with_what_lets_the_cpu_do_it() -> None:
    said = "The operator 'aten::x' is not currently implemented for the MPS device. If you want this op to be added"
    with (
        pytest.raises(SiteError, match="operator 'aten::x' is not currently implemented") as caught,
        metal_in_words(MPS),
    ):
        raise NotImplementedError(said)
    assert "PYTORCH_ENABLE_MPS_FALLBACK=1" in caught.value.hint
    assert "If you want" not in str(caught.value)
    with pytest.raises(NotImplementedError), metal_in_words(CPU):
        raise NotImplementedError(said)
    assert [falls_back({"PYTORCH_ENABLE_MPS_FALLBACK": value}) for value in ("1", "0", "")] == [True, False, False]
    assert not falls_back({})


def test_too_little_memory_of_metal_is_known_though_torch_has_no_type_for_it() -> None:
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_blocks_computed_again_drop_what_they_dropped_before() -> None:
    block = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.Dropout(0.5))
    rows = torch.randn(4, 8, requires_grad=True)

    def gradient(compute: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        torch.manual_seed(1)
        (found,) = torch.autograd.grad(compute(rows).square().sum(), rows)
        return found, torch.rand(3)

    # Nobody else puts the generator back here, as nobody does on Apple's GPU.
    again = gradient(
        lambda x: checkpoint(block, x, use_reentrant=False, preserve_rng_state=False, context_fn=same_draws(CPU))
    )
    other = gradient(lambda x: checkpoint(block, x, use_reentrant=False, preserve_rng_state=False))
    plain = gradient(block)
    assert torch.equal(again[0], plain[0])
    assert not torch.equal(other[0], plain[0])
    # What is drawn later is as if nothing had been computed again.
    assert torch.equal(again[1], plain[1])
