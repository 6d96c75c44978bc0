"""The registry: its figures agree with each other, and a site's own entries come first."""

import pytest

from cruijff_kit.planning.fits import memory_bytes
from cruijff_kit.planning.memory import training_memory
from cruijff_kit.planning.registry import compare_entry, find_entry, known_models, shipped_models
from cruijff_kit.planning.shapes import shape_of
from cruijff_kit.planning.training_pass import Work
from cruijff_kit.schema.registry import ModelEntry
from cruijff_kit.schema.site import Site
from tests.fakes.model_hub import model_facts

ENTRIES = shipped_models()
FAMILIES = (
    "Llama-2-",
    "Llama-3.1-",
    "Llama-3.2-",
    "Llama-3.3-",
    "Qwen2.5-",
    "Qwen3-",
    "Mistral-",
    "gemma-",
    "Phi-",
    "GLM-4-",
)


def counted(entry: ModelEntry) -> int:
    """Return the weights of a model by adding up its matrices, biases and normalisations."""
    shape = shape_of(entry)
    extra = {
        "Qwen2ForCausalLM": shape.queries + 2 * shape.keys,
        "Qwen3ForCausalLM": 2 * shape.head,
        "Gemma2ForCausalLM": 2 * shape.width,
        "Gemma3ForCausalLM": 2 * shape.width + 2 * shape.head,
        "GlmForCausalLM": shape.queries + 2 * shape.keys,
        # Two more normalisations; the small one has biases too.
        "Glm4ForCausalLM": 2 * shape.width + (shape.queries + 2 * shape.keys) * (shape.width == 4096),
    }
    block = shape.block + 2 * shape.width + extra.get(entry.architecture, 0)
    return shape.vocabulary * shape.width * (1 if entry.tied else 2) + shape.width + shape.layers * block


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_dimensions_of_an_entry_add_up_to_its_parameters(entry: ModelEntry) -> None:
    assert counted(entry) == entry.parameters


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_smallest_gpu_of_an_entry_holds_what_is_estimated(entry: ModelEntry) -> None:
    work = Work(rank=64, tokens=2048, supervised=2048, dtype="bf16", checkpointing=True, gpu=True, sharded=entry.gpus)
    assert training_memory(shape_of(entry), work).total <= memory_bytes(entry.min_gpu_memory)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_there(family: str) -> None:
    assert any(entry.name.startswith(family) for entry in ENTRIES)


def test_no_repository_is_there_twice() -> None:
    assert len({entry.repo for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("name", ("llama-3.2-1b-instruct", "meta-llama/Llama-3.2-1B-Instruct"))
def test_a_model_is_found_by_its_repository_or_its_directory_s_name(name: str) -> None:
    found = find_entry(ENTRIES, None, name)
    assert found is not None
    assert (found.repo, found.min_gpu_memory) == ("meta-llama/Llama-3.2-1B-Instruct", "20G")
    assert find_entry(ENTRIES, "tiny", None) is None


def test_a_site_s_own_entry_stands_in_place_of_a_shipped_one() -> None:
    entry = find_entry(ENTRIES, "Qwen3-4B")
    assert entry is not None
    own = entry.model_copy(update={"min_gpu_memory": "24G"})
    new = entry.model_copy(update={"repo": "lab/own-7b"})
    known = known_models(Site(models=(own, new)))
    assert len(known) == len(ENTRIES) + 1
    assert find_entry(known, "Qwen3-4B") == own
    assert find_entry(known, "own-7b") == new


def test_a_directory_is_compared_with_its_entry() -> None:
    facts, entry = model_facts(), ENTRIES[0]
    assert compare_entry(facts, None)[0].ok is None
    (other,) = compare_entry(facts, entry)
    assert other.ok is False
    assert "hidden_size is 128, not 4096" in other.found
    same = {
        name: getattr(entry, name) for name in ("architecture", "hidden_size", "layers", "vocab_size", "parameters")
    }
    assert compare_entry(facts.model_copy(update=same), entry)[0].ok
