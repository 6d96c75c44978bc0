"""LoRA adapter directories on this machine's disks."""

from collections.abc import Sequence
from pathlib import Path

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.adapter_convert import convert_adapter
from cruijff_kit.runtime.adapter_merge import merge_adapter
from cruijff_kit.runtime.adapter_port import BaseChoice, plan_port, write_port
from cruijff_kit.runtime.base_record import find_base
from cruijff_kit.schema.adapter import (
    AdapterCheck,
    AdapterForm,
    AdapterLimits,
    ConvertReceipt,
    MergeReceipt,
    PortedFile,
)

__all__ = ["LocalAdapters"]

_INSTALL = "pip install 'cruijff-kit[train]'"


class LocalAdapters:
    """Adapters as directories of local disks; nothing is ever downloaded."""

    def plan_port(self, folder: str, *, base: str | None = None, repo_id: str | None = None) -> tuple[PortedFile, ...]:
        """Return the new text of every file that names a base; the recorded repository where none is given.

        Raises:
            SiteError: there is no adapter, or the directory given is not its base.
            SpecError: no base is given or recorded, or its form is not known.
        """
        return plan_port(Path(folder), BaseChoice(base, repo_id))

    def write_port(self, files: Sequence[PortedFile]) -> None:
        """Write those texts, each aside and renamed."""
        write_port(files)

    def check(self, folder: str, *, base: str | None, prompt: str, limits: AdapterLimits) -> AdapterCheck:
        """Compare a base with and without an adapter on one text.

        Raises:
            ResultError: the adapter does not fit, or logits are not numbers.
            SiteError: either cannot be loaded, or the extra that loads them is not installed.
            SpecError: the text is too short.
        """
        adapter = Path(folder).absolute()
        model = find_base(adapter, named=base)
        try:
            from cruijff_kit.runtime.adapter_check import check_adapter
        except ImportError as err:
            raise SiteError(f"loading models needs `{err.name}`, which is not installed", hint=_INSTALL) from err
        return check_adapter(adapter, model, prompt=prompt, limits=limits)

    def merge(self, folder: str, output: str, *, base: str | None) -> MergeReceipt:
        """Write base and adapter as one model to a new directory, whole or not at all.

        Raises:
            SiteError: the output is taken or lies in the adapter or base, these cannot be
                merged, or the extra that reads them is not installed.
        """
        adapter, target = Path(folder).absolute(), Path(output).absolute()
        model = find_base(adapter, named=base)
        try:
            layers = merge_adapter(adapter, target, base=model)
        except ImportError as err:
            raise SiteError(f"merging needs `{err.name}`, which is not installed", hint=_INSTALL) from err
        return MergeReceipt(
            adapter=str(adapter),
            base=str(model),
            output=str(target),
            layers=layers,
            files=tuple(sorted(path.name for path in target.iterdir())),
        )

    def convert(self, folder: str, output: str, *, to: AdapterForm, base: str | None) -> ConvertReceipt:
        """Write an adapter in another library's form to a new directory, whole or not at all.

        Raises:
            SiteError: the output is taken, the adapter is not of the other form, its base is
                another, or the extra that reads weights is not installed.
        """
        adapter, target = Path(folder).absolute(), Path(output).absolute()
        try:
            layers = convert_adapter(adapter, target, to=to, base=base)
        except ImportError as err:
            raise SiteError(f"converting needs `{err.name}`, which is not installed", hint=_INSTALL) from err
        return ConvertReceipt(adapter=str(adapter), form=to, output=str(target), layers=layers)
