"""Examine a design: every check there is, all problems in one answer, nothing written."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cruijff_kit.data.yaml_text import Marks, load_yaml
from cruijff_kit.errors import PlanError, Problem, SpecError
from cruijff_kit.planning.api_models import sending_problems
from cruijff_kit.planning.data_checks import wanted_columns
from cruijff_kit.planning.design_policy import policy_problems
from cruijff_kit.planning.detectable import power_estimates
from cruijff_kit.planning.estimates import Basis, estimate_costs, priced
from cruijff_kit.planning.fits import Limit, memory_limit
from cruijff_kit.planning.grid import Variant
from cruijff_kit.planning.kind_words import dimensions, kind_words
from cruijff_kit.planning.plan_warnings import memory_warnings, plan_warnings
from cruijff_kit.planning.run_ids import canonical_json
from cruijff_kit.planning.settings import site_gpu_memory
from cruijff_kit.planning.site_checks import site_problems
from cruijff_kit.planning.spec_checks import check_spec, said
from cruijff_kit.planning.spec_parse import parse_spec, placed
from cruijff_kit.ports import World
from cruijff_kit.rendering.summary import parse_summary
from cruijff_kit.rendering.summary_body import Checked, PriorSearch
from cruijff_kit.schema.evaluation import Evaluation
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.proof import MaskProof
from cruijff_kit.schema.spec import ExperimentSpec, Tools
from cruijff_kit.workflow.basis import basis_of, gpu_limit
from cruijff_kit.workflow.datasets import read_datasets
from cruijff_kit.workflow.design_consent import consent_warnings, unsent
from cruijff_kit.workflow.hook_checks import check_hooks
from cruijff_kit.workflow.plan import Planned, design_hash, plan_with_data
from cruijff_kit.workflow.recipes import recipe_hash
from cruijff_kit.workflow.roots import outside_problems
from cruijff_kit.workflow.row_checks import check_rows
from cruijff_kit.workflow.token_checks import TokenFindings, check_tokens

__all__ = ["DRAFT", "examine"]

DRAFT = "design.yaml"
"""What a design is called that was handed over as text."""


class _Survey(NamedTuple):
    """What looking at the world for a design found."""

    planned: Planned | None
    """The plan, where there can be one."""
    problems: list[Problem]
    """All that stands in its way."""
    warnings: list[str]
    """What is worth a second look."""
    proofs: tuple[MaskProof, ...] = ()
    """What was proven of masks."""
    prior: PriorSearch = PriorSearch()
    """Earlier runs that times were told from."""


def examine(text: str, *, name: str = DRAFT, world: World) -> Checked:
    """Return a design with what it implies and what was found on disk.

    Args:
        text: YAML, or a whole summary whose front matter is taken.
        name: what its file is called in problems.
        world: the experiment and its surroundings; only read.

    Raises:
        SpecError: lists every problem with its line and path.
    """
    summary = parse_summary(text)
    if name == DRAFT and summary.first_line > 1:
        name = ExperimentLayout.summary
    document = load_yaml(summary.front, name=name, first_line=summary.first_line)
    parsed = parse_spec(document.value, document.marks)
    survey = _survey(parsed.spec, world) if parsed.spec else _Survey(None, [], [])
    problems = _merged(parsed.problems, survey.problems, marks=document.marks)
    if problems or parsed.spec is None or survey.planned is None:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SpecError(f"the design has {count}; nothing was written", problems=problems)
    return _checked(parsed.spec, survey.planned, survey=survey, world=world)


def _merged(form: Sequence[Problem], further: Iterable[Problem], *, marks: Marks) -> list[Problem]:
    """Join problems of form with later ones, leaving out what a wrong form alone has caused.

    Later ones often come once a run: of those with one place and one remedy the first
    is told and the others are counted.
    """
    known = list(form)
    told = {problem.message for problem in known}
    alike: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in dict.fromkeys(further):
        caused = any(_related(problem.path, wrong.path) for wrong in form)
        if problem.message not in told and not caused:
            told.add(problem.message)
            alike.setdefault((problem.path, problem.place, problem.hint), []).append(problem)
    return placed([*known, *(_counted(group) for group in alike.values())], marks)


def _counted(group: list[Problem]) -> Problem:
    first, more = group[0], len(group) - 1
    return first._replace(message=f"{first.message} (and {more} more like it)") if more else first


def _related(path: str, wrong: str) -> bool:
    """Return whether one path leads to, or through, the other."""
    return path == wrong or path.startswith((f"{wrong}.", f"{wrong}[")) or wrong.startswith((f"{path}.", f"{path}["))


def _survey(spec: ExperimentSpec, world: World) -> _Survey:
    outside = outside_problems(spec, world)
    if outside:
        # Nothing else is looked at: every further check reads what the design names.
        return _Survey(None, [*check_spec(spec), *outside], [])
    problems = [*check_spec(spec), *check_hooks(spec, world), *site_problems(spec.resources, world.site)]
    problems += policy_problems(spec.policy, world.site)
    # A seed named twice is one problem, not one a run.
    seeds = tuple(dict.fromkeys(spec.controls.seeds))
    spec = spec.model_copy(update={"controls": spec.controls.model_copy(update={"seeds": seeds})})
    try:
        planned = plan_with_data(spec, world=world)
    except (PlanError, SpecError) as err:
        return _Survey(None, [*problems, *_problems_of(err), *_look_on(spec, world)], [])
    problems += check_rows(spec, planned, world=world)
    problems += sending_problems(spec, unsent(spec, planned.plan, world=world))
    # A prompt that cannot be filled would be found again in every row.
    unfit = any("prompt" in problem.path for problem in problems)
    tokens = TokenFindings([], []) if unfit else check_tokens(spec, planned, world=world)
    warnings = [
        *consent_warnings(spec, planned.plan, world=world),
        *_place_warnings(spec, world),
        *plan_warnings(spec, planned.plan),
        *tokens.warnings,
    ]
    basis = basis_of(spec, planned, world=world)
    costs = priced(estimate_costs(planned.plan.runs, basis), world.site.gpu_hour_price)
    planned = planned._replace(plan=planned.plan.model_copy(update={"estimates": costs}))
    problems += _disk_problems(spec, planned.plan, world=world)
    warnings += memory_warnings(planned.plan.runs, basis, limits=_limits(planned, basis, world=world))
    prior = PriorSearch(basis.searched, tuple(each.run_id for each in basis.measured))
    return _Survey(planned, [*problems, *tokens.problems], warnings, tokens.proofs, prior)


def _limits(planned: Planned, basis: Basis, *, world: World) -> dict[str, Limit]:
    """Return the memory that training of each model has, where somebody says so."""
    found, site = {}, site_gpu_memory(basis.resources, world.site)
    for run in planned.plan.runs:
        registry = gpu_limit(run, planned.models[run.model.name], world=world)
        limit = memory_limit(basis.resources, asked=None, site=site, registry=registry)
        if limit is not None:
            found[run.model.name] = limit
    return found


def _problems_of(err: PlanError | SpecError) -> list[Problem]:
    return list(err.problems) or [Problem(str(err).partition("\n")[0], hint=err.hint)]


def _look_on(spec: ExperimentSpec, world: World) -> list[Problem]:
    """Look at models and data one by one, so that one answer tells of all of them."""
    plain = {"factors": {}, "runs": (), "evaluation": Evaluation(), "tools": Tools(evaluation="none"), "design": "full"}
    problems: list[Problem] = []
    for index, ref in enumerate(spec.models):
        try:
            plan_with_data(spec.model_copy(update={**plain, "models": (ref,)}), world=world)
        except (PlanError, SpecError) as err:
            found = [each for each in _problems_of(err) if each.path.startswith("models[0]")]
            problems += [each._replace(path=f"models[{index}]{each.path.removeprefix('models[0]')}") for each in found]
    problems += _unfound_recipes(spec, world)
    training = spec.data.training
    if not any(name.startswith("data.") for name in spec.factors):
        variant = Variant(training.path, training.generator, canonical_json(training.arguments))
        try:
            read_datasets([variant], training, columns=wanted_columns(spec), world=world)
        except SpecError as err:
            problems += _problems_of(err)
    return problems


def _unfound_recipes(spec: ExperimentSpec, world: World) -> Iterator[Problem]:
    for path, name in said(spec, "recipe"):
        if name is None:
            continue
        try:
            recipe_hash(str(name), root=world.store.root)
        except SpecError as err:
            yield Problem(str(err).partition("\n")[0], path, hint=err.hint)


def _disk_problems(spec: ExperimentSpec, plan: Plan, *, world: World) -> list[Problem]:
    """Compare free space with the estimate, where checkpoints lie beside the experiment."""
    if spec.output.output_dir_base or world.site.output_dir_base:
        return []
    sizes = [each.high or 0.0 for each in plan.estimates if each.unit == "GB" and "disk" in each.name]
    needed, free = max(sizes, default=0.0), world.store.disk().free / 1e9
    if needed <= free:
        return []
    fact = f"checkpoints need up to {needed:.3g} GB; {free:.3g} GB are free"
    hint = "keep fewer epochs with `epochs_to_save: last`, or set `output.output_dir_base`"
    return [Problem(fact, "controls.epochs_to_save", hint=hint)]


def _place_warnings(spec: ExperimentSpec, world: World) -> list[str]:
    folder = world.store.root.name
    return [] if folder == spec.name else [f"the experiment is called `{spec.name}` and lies in a folder `{folder}`"]


def _checked(spec: ExperimentSpec, planned: Planned, *, survey: _Survey, world: World) -> Checked:
    facts = {run.model.name: planned.models[run.model.name] for run in planned.plan.runs}
    refs = tuple(
        ref.model_copy(update={"sha256": facts[ref.name].sha256}) if ref.name in facts else ref for ref in spec.models
    )
    full = spec.model_copy(update={"models": refs})
    plan = planned.plan.model_copy(update={"spec_sha256": design_hash(full)})
    day = world.clock.now().date().isoformat()
    power, disk = power_estimates(spec, plan), world.store.disk()
    found = tuple(survey.warnings), survey.proofs, survey.prior
    return Checked(full, plan, facts, power, disk, day, *found, dimensions(full, plan), kind_words(full))
