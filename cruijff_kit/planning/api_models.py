"""Models behind an API: what identifies them, and which data may be sent to them."""

import hashlib
from collections.abc import Iterator

from cruijff_kit.errors import Problem
from cruijff_kit.schema.consent import Closed
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["api_facts", "api_problems", "api_warnings", "sending_problems"]


def api_facts(api: str, *, path: str) -> ModelFacts:
    """Return what is known of a model behind an API: its name, whose hash stands for its content.

    The hash is SHA-256 of `api <provider>/<model>`. It tells apart what was asked, and
    proves nothing of what answered: a provider may change a model under its name.

    Args:
        api: provider and model.
        path: absolute directory of a local copy, or nothing.
    """
    return ModelFacts(
        path=path,
        architecture="behind an API",
        parameters=0,
        bytes=0,
        sha256=hashlib.sha256(f"api {api}".encode()).hexdigest(),
        hidden_size=0,
        layers=0,
        vocab_size=0,
        max_positions=0,
        has_chat_template=True,
        modified="",
        api=api,
    )


def api_problems(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield what a design says of models behind an API that they do not have."""
    for index, model in enumerate(spec.models):
        if model.api is not None and model.revision is not None:
            hint = "remove it; name the version in `api` where the provider has such names"
            fact = f"`{model.name}` answers behind an API, which has no revision"
            yield Problem(fact, f"models[{index}].api", hint=hint)


def sending_problems(spec: ExperimentSpec, shut: Closed | None) -> Iterator[Problem]:
    """Yield why the data of a design may not be sent to the models that answer behind an API."""
    for index, model in enumerate(spec.models):
        if model.api is not None and shut is not None:
            more = "; or declare `data.tier: green`" if shut.tier == "yellow" else ""
            fact = f"`{model.name}` answers behind an API, and {shut.fact}"
            yield Problem(fact, f"models[{index}].api", hint=f"{shut.hint}{more}")


def api_warnings(spec: ExperimentSpec, runs: tuple[PlannedRun, ...]) -> Iterator[str]:
    """Yield what asking models behind an API brings with it."""
    asked = [run for run in runs if run.model.api is not None]
    if not asked:
        return
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(run.model.name for run in asked))
    yield (
        f"{names} answer behind an API: evaluation needs the network and a key in its environment, which the "
        "scheduler built in hands on to no job (start `inspect.slurm` by `bash`), costs what the provider asks, and "
        "cannot prove which weights answered"
    )
    if any(run.settings["dataset_type"].value == "text_completion" for run in asked):
        yield f"{names} are asked in conversations, whatever `dataset_type: text_completion` says"
    if any(not run.model_path for run in asked):
        yield f"prompt parity of {names} stays unproven without a local copy: name it with `path` beside `api`"
