"""A laptop and a cluster: two projects on one disk, of which each side's paths name one only."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.bit_design import bit_design
from tests.random_model import random_base
from tests.slurm.remote.login import Login

__all__ = ["Laptop", "far_variables"]

_RECIPE = Path(__file__).parents[2] / "e2e" / "quick_recipe.py"
_NAME = "far away"


def far_variables(far: Path) -> dict[str, str]:
    """Return what a login on the far side has."""
    return {
        "XDG_CONFIG_HOME": str(far / "config"),
        "CRUIJFF_STATE_DIR": str(far / "state"),
        "CRUIJFF_CACHE_DIR": str(far / "cache"),
        "HF_HOME": str(far / "hf"),
    }


class Laptop:
    """A project here whose site keeps experiments on a login host, and somebody who types commands."""

    def __init__(self, root: Path, far: Path, *, login: Login) -> None:
        self.root, self.far, self.login = root, far, login
        self.copy, self.home = root / _NAME.split(maxsplit=1)[0], far / ".pro ject" / _NAME.split(maxsplit=1)[0]
        program = far / "bin" / "ck"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cruijff_kit.cli.main "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        self.home.parent.mkdir()
        (far / "config" / "cruijff-kit").mkdir(parents=True)
        there = far / "config" / "cruijff-kit" / "site.yaml"
        there.write_text("scheduler: slurm\nallow_unattended: true\n", encoding="utf-8")
        (root / "inputs").mkdir(parents=True)
        (root / "TIER").write_text("green\n", encoding="utf-8")
        self.site = root / "site.yaml"
        self.site.write_text(
            f'login_host: {login.name}\nremote: {{dir: "{self.home.parent}", program: "{program}"}}\n', encoding="utf-8"
        )

    def write_design(self, *, seeds: tuple[int, ...] = (1,)) -> None:
        """Put a design and a recipe of one's own among the inputs, and a model on the far side."""
        shutil.copy(_RECIPE, self.root / "inputs" / "quick.py")
        model = random_base(self.far / "models" / "base")
        text = bit_design(self.copy.name, model=model, recipe="../inputs/quick.py", seeds=seeds)
        (self.root / "inputs" / "design.yaml").write_text(text, encoding="utf-8")

    def ck(self, *words: str, code: int = 0) -> str:
        """Run a command here and return what it printed; with another code, its complaint."""
        done = self.start(*words)
        out, err = done.communicate(timeout=300)
        assert done.returncode == code, f"ck {' '.join(words)}: {done.returncode}\n{out}{err}"
        return err if code else out

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command here."""
        command = (sys.executable, "-m", "cruijff_kit.cli.main", "-C", self.copy.name, *words)
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def _environment(self) -> Mapping[str, str]:
        given = {"CRUIJFF_SSH_CONFIG": str(self.login.config), "PYTHONPATH": str(Path(__file__).parents[3])}
        return {**os.environ, **given}
