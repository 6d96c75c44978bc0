"""Model directories on this machine, and the small one made here."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import cruijff_kit
from cruijff_kit.adapters.file_lock import hold_lock
from cruijff_kit.adapters.model_check import check_files
from cruijff_kit.adapters.model_pull import pull_model, pulled_from
from cruijff_kit.adapters.state_dir import cache_dir
from cruijff_kit.adapters.tokenizers import known_tokenizer
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Inference, Progress, Tokenizer
from cruijff_kit.runtime.files import file_sha256, write_aside
from cruijff_kit.runtime.model_files import model_config, model_files, model_sha256, weight_files, weight_headers
from cruijff_kit.schema.backend import Library
from cruijff_kit.schema.registry import ConvertedModel, ModelTrait, PullReceipt
from cruijff_kit.schema.site import ModelFacts

__all__ = ["LocalHub"]

_RECIPE = "cruijff_kit.recipes.tiny_llama"
_STEP = re.compile(r"step (\d+)/(\d+)")
_TINY = "tiny"
_LONGEST_BUILD = 1800.0
_INSTALL = "install the extra: pip install 'cruijff-kit[torchtune]'"


class LocalHub:
    """Models as directories of local disks; only `pull` ever reaches for the network."""

    def __init__(self, *, models_dir: str | None = None, cache: Path | None = None) -> None:
        """Take the places models lie in.

        Args:
            models_dir: where relative paths start; the current directory where None.
            cache: where small models and file hashes are kept; the user's cache where None.
        """
        self._models = Path(models_dir).expanduser() if models_dir else Path()
        self._cache = cache or cache_dir()

    def facts(self, path: str) -> ModelFacts:
        """Read a model directory's configuration, size and content hash.

        Raises:
            SiteError: the directory or a part of it is missing or unreadable.
        """
        folder = self._folder(path)
        config = model_config(folder)
        sizes = _dimensions(config, folder)
        headers = weight_headers(folder)
        kinds = {header.dtype for header in headers.values()}
        newest = max(file.stat().st_mtime for file in model_files(folder))
        return ModelFacts(
            path=str(folder),
            architecture=str((config.get("architectures") or ["unknown"])[0]),
            parameters=sum(header.elements for header in headers.values()),
            bytes=sum(file.stat().st_size for file in weight_files(folder)),
            sha256=model_sha256(folder, digest=_CachedDigests(self._cache / "digests", folder)),
            has_chat_template=_has_chat_template(folder),
            modified=datetime.fromtimestamp(newest, UTC).date().isoformat(),
            dtype=kinds.pop() if len(kinds) == 1 else None,
            **pulled_from(folder),
            **sizes,
        )

    def tokenizer(self, path: str) -> Tokenizer:
        """Load a model directory's tokenizer; no code of the directory is run.

        Raises:
            SiteError: there is none, or the extra that reads it is not installed.
        """
        folder = self._folder(path)
        model_config(folder)
        if find_spec("transformers") is None:
            raise SiteError("reading tokenizers needs `transformers`, which is not installed", hint=_INSTALL)
        try:
            return known_tokenizer(folder, cache=self._cache)
        except (OSError, ValueError, ImportError) as err:
            fact = str(err).splitlines()[0]
            raise SiteError(f"the tokenizer in `{folder}` cannot be loaded: {fact}", hint="download it again") from err

    def inference(self, path: str, *, adapter: str | None = None, backend: Library = "torch") -> Inference:
        """Load a base model, with an adapter unmerged on it, for spot checks.

        Raises:
            SiteError: the directory is unreadable, or the extra that computes is not installed.
        """
        from cruijff_kit.adapters.inference import load_inference

        folder = self._folder(path)
        model_config(folder)
        return load_inference(str(folder), adapter=adapter, backend=backend)

    def make_tiny(self, *, force: bool = False, progress: Progress | None = None) -> ModelFacts:
        """Train the small base model of the demo, or return the cached one.

        It lies in the cache under the hash of its recipe, so a changed recipe is another
        model. Two callers at once make it once.

        Raises:
            SiteError: the extra that trains is not installed, or a known answer was missed.
        """
        folder = self._tiny
        with hold_lock(folder.with_name(f"{folder.name}.lock"), name=folder.name, wait=_LONGEST_BUILD):
            if force or not (folder / "recipe.json").is_file():
                self._build_tiny(folder, progress)
        return self.facts(str(folder))

    def present(self) -> dict[str, dict[str, str]]:
        """Return the model directories in the models directory: path to repository and commit, where known."""
        if not self._models.is_dir():
            return {}
        folders = sorted(entry.parent for entry in self._models.glob("*/config.json"))
        return {str(folder.absolute()): pulled_from(folder) for folder in folders if not folder.name.startswith(".")}

    def check(self, path: str) -> tuple[ModelTrait, ...]:
        """Check a model directory part by part; what is wrong is told, not raised."""
        return check_files(self._folder(path), tokenizer=lambda: self.tokenizer(path))

    def pull(self, repo: str, *, revision: str | None = None) -> PullReceipt:
        """Pull a model from the hub into the models directory, or find it there.

        Raises:
            SiteError: this machine is offline, the hub refuses, or the directory is another model's.
        """
        return pull_model(repo, revision=revision, into=self._models.absolute())

    def convert(self, path: str, output: str, *, to: Literal["mlx", "hf"], bits: int | None = None) -> ConvertedModel:
        """Write a model in another form to a new directory, whole or not at all.

        Raises:
            SiteError: the output is taken, the model cannot be converted, or MLX is not installed.
        """
        folder, target = self._folder(path), Path(output).expanduser().absolute()
        model_config(folder)
        try:
            from cruijff_kit.runtime.mlx_convert import convert_model
        except ImportError as err:
            hint = "pip install 'cruijff-kit[mlx]' in an environment of its own"
            raise SiteError(f"converting models needs `{err.name}`, which is not installed", hint=hint) from err
        convert_model(folder, target, to=to, bits=bits)
        size, digest = self.size(str(target)), model_sha256(target)
        return ConvertedModel(source=str(folder), path=str(target), form=to, bits=bits, bytes=size, sha256=digest)

    def size(self, path: str) -> int:
        """Return the bytes that a model directory takes on disk; a link counts as itself."""
        return sum(file.lstat().st_size for file in self._folder(path).rglob("*") if not file.is_dir())

    def remove(self, path: str) -> None:
        """Remove a directory of the models directory: first out of sight, then from disk.

        Raises:
            SiteError: it does not lie there, or is a link to somewhere else.
        """
        folder = self._folder(path)
        inside = folder.parent == self._models.absolute() and folder.name not in {"", ".", ".."}
        if not inside or folder.is_symlink() or not (folder / "config.json").is_file():
            fact = f"`{folder}` is no model directory of `{self._models.absolute()}`"
            raise SiteError(fact, hint="`ck models list --here` shows those that are; others are yours to remove")
        gone = folder.with_name(f".{folder.name}.removed")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone)

    def _folder(self, path: str) -> Path:
        folder = (self._models / Path(path).expanduser()).absolute()
        return self._tiny if path == _TINY and not folder.exists() and self._tiny.is_dir() else folder

    @property
    def _tiny(self) -> Path:
        return self._cache / "models" / f"tiny-{_recipe_hash()}"

    def _build_tiny(self, folder: Path, progress: Progress | None) -> None:
        aside = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        _run_recipe(aside, progress)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)


class _CachedDigests:
    """File hashes kept beside size and time of change, one small file a model."""

    def __init__(self, cache: Path, folder: Path) -> None:
        self._path = cache / f"{sha256(str(folder).encode()).hexdigest()[:32]}.json"
        self._known = self._read()

    def __call__(self, file: Path) -> str:
        stat = file.stat()
        key = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = self._known.get(file.name)
        if known is None or known["key"] != key:
            known = {"key": key, "sha256": file_sha256(file)}
            self._known[file.name] = known
            self._write()
        return known["sha256"]

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _write(self) -> None:
        try:
            write_aside(self._path, json.dumps(self._known))
        except OSError:
            # A cache that cannot be written only costs the time of hashing again.
            return


def _dimensions(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    # Models of several parts keep the language model's own numbers in a block of their own.
    inner = config.get("text_config", config)
    found = {name: _number(inner, keys) for name, keys in _KEYS.items()}
    missing = [_KEYS[name][0] for name in _NEEDED if found[name] is None]
    if missing:
        raise SiteError(
            f"`{folder / 'config.json'}` lacks {', '.join(f'`{key}`' for key in missing)}",
            hint="name the directory of a causal language model in Hugging Face format",
        )
    return {**found, "tied": bool(inner.get("tie_word_embeddings", config.get("tie_word_embeddings", False)))}


_NEEDED = ("hidden_size", "layers", "vocab_size", "max_positions")
# Under the name that most architectures use, then under those of GPT-2's and of ChatGLM's kind.
_KEYS = {
    "hidden_size": ("hidden_size", "n_embd"),
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "max_positions": ("max_position_embeddings", "n_positions", "seq_length"),
    "heads": ("num_attention_heads", "n_head"),
    "kv_heads": ("num_key_value_heads", "multi_query_group_num"),
    "head_dim": ("head_dim", "kv_channels"),
    "mlp_width": ("intermediate_size", "n_inner", "ffn_hidden_size"),
}


def _number(config: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    values = (config.get(key) for key in keys)
    return next((value for value in values if isinstance(value, int)), None)


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    settings = folder / "tokenizer_config.json"
    try:
        return bool(json.loads(settings.read_text(encoding="utf-8")).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False


def _recipe_hash() -> str:
    """Return what the small model is made of, as 12 digits: its recipe and the words."""
    package = Path(cruijff_kit.__file__).parent
    sources = (package / "recipes" / "tiny_llama.py", package / "data" / "words" / "english.txt")
    return sha256("".join(file_sha256(source) for source in sources).encode()).hexdigest()[:12]


def _run_recipe(output: Path, progress: Progress | None) -> None:
    """Run the recipe in a child and relay its steps; its last words are the error.

    Raises:
        SiteError: it ended with anything but 0.
    """
    # The child's standard output must not reach this process's own: a face may speak a protocol on it.
    with subprocess.Popen(
        [sys.executable, "-m", _RECIPE, "--output", str(output)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    ) as child:
        try:
            last = _relay(child.stderr or (), progress)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        shutil.rmtree(output, ignore_errors=True)
        missing = any("ModuleNotFoundError" in line for line in last)
        words = "\n".join(last)
        hint = _INSTALL if missing else f"run it by hand: {sys.executable} -m {_RECIPE} --output DIR --seed 8"
        raise SiteError(f"the small model could not be made; its recipe said:\n{words}", hint=hint)


def _relay(lines: Iterable[str], progress: Progress | None) -> list[str]:
    """Report the steps that the recipe's lines tell and return its last other lines."""
    last: deque[str] = deque(maxlen=8)
    for line in lines:
        step = _STEP.match(line)
        if step is None:
            last.append(line.rstrip())
        elif progress is not None:
            progress(int(step[1]), int(step[2]), "pretraining the base model")
    return list(last)
