"""Adapters that are told: which base each names, and what checking it finds."""

import hashlib
from collections.abc import Sequence

from cruijff_kit.errors import SiteError
from cruijff_kit.schema.adapter import (
    AdapterCheck,
    AdapterForm,
    AdapterLimits,
    ConvertReceipt,
    MergeReceipt,
    PortedFile,
)

__all__ = ["FakeAdapters"]


class FakeAdapters:
    """Adapter folders by path, each a base by name; an update moves perplexity by its size."""

    def __init__(self, bases: dict[str, str] | None = None, *, effect: float = 1.0) -> None:
        self.bases = dict(bases or {})
        self.effect = effect
        self.merged: list[str] = []

    def plan_port(self, folder: str, *, base: str | None = None, repo_id: str | None = None) -> tuple[PortedFile, ...]:
        before, after = self._base(folder), base or repo_id or self._base(folder)
        if before == after:
            return ()
        return (PortedFile(path=folder, before=_sha256(before), after=_sha256(after), text=after),)

    def write_port(self, files: Sequence[PortedFile]) -> None:
        for file in files:
            self.bases[file.path] = file.text

    def check(self, folder: str, *, base: str | None, prompt: str, limits: AdapterLimits) -> AdapterCheck:
        effect = self.effect >= limits.ppl_threshold
        return AdapterCheck(
            adapter=folder,
            base=base or self._base(folder),
            prompt=prompt,
            tokens=len(prompt),
            base_ppl=2.0,
            adapter_ppl=2.0 + self.effect,
            logit_mse=0.0,
            logit_max=0.0,
            changed_tokens=0,
            limits=limits,
            untouched=not self.effect,
            effect=effect,
            verdict="told",
        )

    def merge(self, folder: str, output: str, *, base: str | None) -> MergeReceipt:
        self._base(folder)
        if output in self.merged:
            raise SiteError(f"`{output}` exists already", hint="name a directory that is not there yet")
        self.merged.append(output)
        return MergeReceipt(adapter=folder, base=base or self._base(folder), output=output, layers=1, files=())

    def convert(self, folder: str, output: str, *, to: AdapterForm, base: str | None) -> ConvertReceipt:
        self.merge(folder, output, base=base)
        self.bases[output] = base or self._base(folder)
        return ConvertReceipt(adapter=folder, form=to, output=output, layers=1)

    def _base(self, folder: str) -> str:
        if folder not in self.bases:
            raise SiteError(f"`{folder}` holds no adapter", hint="name a directory with `adapter_config.json`")
        return self.bases[folder]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
