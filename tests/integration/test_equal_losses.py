"""The losses of a training are the same by torchtune, by peft, and by a loop written out here."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from cruijff_kit.data.tokens import Encoded
from cruijff_kit.recipes import lora_single_device, peft_lora
from cruijff_kit.runtime.batches import batches
from cruijff_kit.runtime.peft_lora import PeftLora
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.seeding import shuffled
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.trainee import Trainee
from cruijff_kit.runtime.training_job import Build, TrainingJob
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.config import TrainConfig
from tests.training_runs import metric_points, write_run

BUILDS: dict[str, Any] = {"torchtune": lora_single_device.build, "peft": peft_lora.build}
WORDS = ("a", "amber", "bricklayer", "cab", "determination", "ego", "fabulous", "go")


@pytest.fixture(scope="module")
def start(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Return one beginning for all three: an adapter's weights under peft's names, B zero."""
    torch.manual_seed(11)
    model = PeftLora.from_config(configuration(tmp_path_factory.mktemp("start"), base)[0])
    return {name: weight.detach().clone() for name, weight in model.adapter(trainable(model)).items()}


def configuration(folder: Path, base: Path, **changes: Any) -> tuple[TrainConfig, Path]:
    rows = [{"input": word, "output": word.capitalize()} for word in WORDS]
    splits = {"train": rows, "validation": rows[:3]}
    settings = {"batch_size": 2, "gradient_accumulation_steps": 2, "epochs": 4, "epochs_to_save": [3], **changes}
    path = write_run(folder, base, splits=splits, optimizer={"lr": 5e-3}, **settings)
    return load_train_config(path), path


def trainable(model: Trainee) -> dict[str, torch.nn.Parameter]:
    return {name: weight for name, weight in model.network.named_parameters() if weight.requires_grad}


def started(build: Build, start: dict[str, torch.Tensor], made: list[Trainee]) -> Build:
    """Return a builder of the same model with a given beginning; it notes what it made."""

    def builder(config: TrainConfig, ranks: Ranks) -> Trainee:
        model = build(config, ranks)
        with torch.no_grad():
            for name, weight in trainable(model).items():
                # Where B is zero, one weight at a time has the shape and order of the other backend's.
                (theirs,) = model.adapter({name: weight})
                weight.copy_(start[theirs])
        made.append(model)
        return model

    return builder


def logits(model: Trainee, ids: torch.Tensor) -> torch.Tensor:
    """Return the logits of one row's tokens but the last."""
    row = tuple(ids[0].tolist())
    (given,) = batches([Encoded(row, row, 0)], size=1, packed=False)
    model.network.eval()
    return model.logits(model.hidden(given))


def written_out(config: TrainConfig, start: dict[str, torch.Tensor]) -> tuple[list[float], Any]:
    """Train with transformers and peft alone and return the loss of every step, and the model."""
    lora = config.model
    wanted = LoraConfig(
        r=lora.lora_rank, lora_alpha=int(lora.lora_alpha), target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(config.base_model.path), wanted)
    model.load_state_dict(
        {name.replace("weight", "default.weight"): value for name, value in start.items()}, strict=False
    )
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=config.optimizer.lr, weight_decay=config.optimizer.weight_decay)
    rows, losses = load_rows(config).train, []
    for step in range(8):
        order = shuffled(rows, seed=config.seed, purpose=f"epoch {step // 2}")
        chosen = order[step % 2 * 4 : step % 2 * 4 + 4]
        width = max(len(row.ids) for row in chosen)
        ids = torch.tensor([[*row.ids, *[0] * (width - len(row.ids))] for row in chosen])
        labels = torch.tensor([[*row.labels, *[-100] * (width - len(row.labels))] for row in chosen])
        mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in chosen])
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        rise = step / 2 if step < 2 else 0.5 * (1 + math.cos(math.pi * (step - 2) / 6))
        optimizer.param_groups[0]["lr"] = config.optimizer.lr * rise
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, model.eval()


@pytest.mark.parametrize("packed", (False, True), ids=("padded", "packed"))
def test_three_ways_of_training_agree_on_the_loss_of_every_step(
    packed: bool, base: Path, start: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    losses, validation, made = {}, {}, {}
    ids = torch.randint(262, (1, 20), generator=torch.Generator().manual_seed(0))
    config, _ = configuration(tmp_path / "plain", base)
    expected, plain = written_out(config, start)
    for name, build in BUILDS.items():
        models: list[Trainee] = []
        config, path = configuration(tmp_path / name, base, packed=packed)
        TrainingJob(config, path).run(started(build, start, models), resume=False)
        losses[name] = [point.loss for point in metric_points(path)]
        validation[name] = [point.val_loss for point in metric_points(path) if point.val_loss]
        tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), f"{config.output_dir}/epoch_3")
        with torch.no_grad():
            made[name] = tuned.eval()(ids).logits[0, :-1]
            evaluated = ResidentModel(str(base)).logits(tuple(ids[0].tolist()), adapter=f"{config.output_dir}/epoch_3")[
                :-1
            ]
            torch.testing.assert_close(evaluated, made[name], atol=1e-5, rtol=0)
            if not packed:
                torch.testing.assert_close(logits(models[0], ids), made[name], atol=1e-5, rtol=0)
    assert len(expected) == 8
    assert expected[-1] < 0.95 * expected[0]
    assert losses["torchtune"] == pytest.approx(expected, rel=1e-4)
    assert losses["peft"] == pytest.approx(expected, rel=1e-4)
    assert validation["peft"] == pytest.approx(validation["torchtune"], rel=1e-4)
    with torch.no_grad():
        for found in made.values():
            torch.testing.assert_close(found, plain(ids).logits[0, :-1], atol=1e-3, rtol=1e-3)
