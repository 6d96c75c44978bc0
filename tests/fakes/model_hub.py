"""A hub whose models are facts told to it."""

from collections.abc import Mapping
from typing import Literal, TypeVar

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Inference, Progress, Tokenizer
from cruijff_kit.schema.backend import Library
from cruijff_kit.schema.registry import ConvertedModel, ModelTrait, PullReceipt
from cruijff_kit.schema.site import ModelFacts

__all__ = ["FakeHub", "model_facts"]

Value = TypeVar("Value")


def model_facts(path: str = "/models/tiny", *, sha256: str = "a" * 64, has_chat_template: bool = True) -> ModelFacts:
    """Return the facts of a small Llama at a path."""
    return ModelFacts(
        path=path,
        architecture="LlamaForCausalLM",
        parameters=329_088,
        bytes=1_318_000,
        sha256=sha256,
        hidden_size=128,
        layers=2,
        vocab_size=262,
        max_positions=131_072,
        has_chat_template=has_chat_template,
        modified="2026-01-01",
    )


class FakeHub:
    """Models by path, with the tokenizers and networks given for them."""

    def __init__(
        self,
        *models: ModelFacts,
        tokenizers: Mapping[str, Tokenizer] | None = None,
        inferences: Mapping[str, Inference] | None = None,
    ) -> None:
        self.models = {model.path: model for model in models}
        self.tokenizers = dict(tokenizers or {})
        self.inferences = dict(inferences or {})
        self.libraries = ("torch",)
        self.trained = 0

    def facts(self, path: str) -> ModelFacts:
        return _known(self.models, path)

    def tokenizer(self, path: str) -> Tokenizer:
        if not self.tokenizers and path in self.models:
            # Told of none at all it stands for a machine without the extra that reads them.
            raise SiteError("reading tokenizers needs `transformers`", hint="pip install 'cruijff-kit[train]'")
        return _known(self.tokenizers, path)

    def inference(self, path: str, *, adapter: str | None = None, backend: Library = "torch") -> Inference:
        if backend not in self.libraries:
            raise SiteError("answering in MLX needs `mlx`", hint="pip install 'cruijff-kit[mlx]'")
        return _known(self.inferences, adapter or path)

    def make_tiny(self, *, force: bool = False, progress: Progress | None = None) -> ModelFacts:
        tiny = model_facts("/cache/models/tiny")
        if force or tiny.path not in self.models:
            self.trained += 1
            self.models[tiny.path] = tiny
            for done in range(1, 4):
                (progress or (lambda *_: None))(done, 3, "pretraining the base model")
        return tiny

    def present(self) -> dict[str, dict[str, str]]:
        found = ({"repo": each.repo, "revision": each.revision} for each in self.models.values())
        sources = ({key: value for key, value in each.items() if value is not None} for each in found)
        return dict(zip(self.models, sources, strict=True))

    def check(self, path: str) -> tuple[ModelTrait, ...]:
        known = path in self.models
        found = self.models[path].architecture if known else f"model directory `{path}` does not exist"
        return (ModelTrait(name="configuration", ok=known, found=found),)

    def pull(self, repo: str, *, revision: str | None = None) -> PullReceipt:
        path = f"/models/{repo.rpartition('/')[2]}"
        facts = model_facts(path).model_copy(update={"repo": repo, "revision": revision or "f" * 40})
        self.models[path] = facts
        return PullReceipt(
            repo=repo, revision=facts.revision or "", path=path, files=3, bytes=facts.bytes, sha256=facts.sha256
        )

    def convert(self, path: str, output: str, *, to: Literal["mlx", "hf"], bits: int | None = None) -> ConvertedModel:
        facts = _known(self.models, path)
        if "mlx" not in self.libraries:
            raise SiteError("converting models needs `mlx_lm`", hint="pip install 'cruijff-kit[mlx]'")
        self.models[output] = facts.model_copy(update={"path": output})
        return ConvertedModel(source=path, path=output, form=to, bits=bits, bytes=facts.bytes, sha256=facts.sha256)

    def size(self, path: str) -> int:
        return _known(self.models, path).bytes

    def remove(self, path: str) -> None:
        if path not in self.models:
            raise SiteError(f"`{path}` is no model directory", hint="`ck models list --here`")
        del self.models[path]


def _known(held: Mapping[str, Value], path: str) -> Value:
    if path not in held:
        raise SiteError(f"model directory `{path}` does not exist", hint="mend the path")
    return held[path]
