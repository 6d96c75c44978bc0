"""Needs of a model: the memory that training it takes, and the largest batch that fits here."""

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.planning.backends import choose_backend, formula_of
from cruijff_kit.planning.shapes import shape_of
from cruijff_kit.planning.train_advice import fit_of
from cruijff_kit.planning.train_layers import TrainLayer, lay_over, value_problems
from cruijff_kit.planning.train_machine import on_machine
from cruijff_kit.ports import World
from cruijff_kit.runtime.backends import this_machine
from cruijff_kit.runtime.machine_memory import usable_cpus
from cruijff_kit.schema.machine import ModelNeeds
from cruijff_kit.schema.training import TrainValue
from cruijff_kit.workflow.machine import gpus_here, training_memory_here
from cruijff_kit.workflow.train_inputs import find_base

__all__ = ["look_up_needs"]


def look_up_needs(
    model: str,
    *,
    batch_size: int = 4,
    max_seq_len: int = 2048,
    lora_rank: int = 8,
    backend: str = "auto",
    world: World,
) -> ModelNeeds:
    """Return what LoRA training of a model takes by whatever would train it here, by the one estimator there is.

    Args:
        model: a directory, or a name of the registry; it need not be on this machine.
        batch_size: rows of a pass.
        max_seq_len: tokens of each row.
        lora_rank: rank of the update.
        backend: what trains, as of `ck train`; it need not be installed.
        world: the models; only read.

    Raises:
        SiteError: nothing is known of the model.
        SpecError: there is no such backend, or a number cannot be.
    """
    layers = _layers({"batch_size": batch_size, "max_seq_len": max_seq_len, "lora_rank": lora_rank})
    base = find_base(model, make=False, world=world)
    known = base.facts or base.entry
    if known is None:
        raise SiteError(f"nothing is known of `{model}`", hint="name a directory, or a name of `ck models list`")
    gpus = gpus_here(world)
    machine = this_machine(cuda=bool(gpus))
    chosen = choose_backend(backend, machine, architecture=known.architecture, needed=False)
    values = on_machine(layers, chosen.device, cpus=usable_cpus(), gpus=len(gpus), machine=machine)
    plain = {name: each.value for name, each in values.items()}
    memory = training_memory_here(gpus, wanted=plain["gpus"], shared=chosen.device == "mps")
    fit = fit_of(shape_of(known), plain, memory=memory, mlx=chosen.library == "mlx")
    return ModelNeeds(
        model=model,
        memory=fit.parts,
        batch_size=batch_size,
        max_seq_len=max_seq_len,
        lora_rank=lora_rank,
        dtype=plain["dtype"],
        backend=chosen.engine,
        formula=formula_of(chosen),
        limit=fit.limit,
        most_rows=fit.most_rows,
    )


def _layers(said: dict[str, int]) -> dict[str, TrainValue]:
    """Return the defaults of a training with what was said over them.

    Raises:
        SpecError: a number cannot be; lists them all.
    """
    layers = lay_over("start", TrainLayer("flag", said))
    problems = list(value_problems(layers))
    if problems:
        raise SpecError("memory cannot be estimated for that", problems=problems)
    return layers
