"""Preflight: what a job's Python is, and whether its inputs resolve without a network.

    python -m cruijff_kit.runtime.preflight [--model DIR|--data PATH|--code FILE|--module NAME|--task EVAL_YAML]...

Prints one JSON object: the interpreter, versions, and a fault for each input, empty
where it resolved. Connections to other machines are refused while it runs, so what
would be looked up there fails here and not on the node. A model that resolved is not
loaded again while its files and the libraries are the same: that is kept in the user's cache.
"""

import ast
import hashlib
import json
import os
import platform
import socket
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import cruijff_kit
from cruijff_kit.errors import CruijffError
from cruijff_kit.runtime.files import write_aside
from cruijff_kit.runtime.model_files import expected_bytes, has_vocabulary, model_files, weight_files
from cruijff_kit.runtime.user_folders import cache_dir

__all__ = ["KINDS", "main", "preflight"]

KINDS = ("model", "data", "code", "module", "task")
"""What an input may be: a model directory, data, a Python file, a module, or a cell whose task brings its own."""

_PACKAGES = ("torch", "transformers", "peft", "torchtune", "inspect-ai")
_LOCAL_PROVIDERS = ("hf", "vllm", "sglang", "cruijff")


def preflight(inputs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what this Python is, and the fault of each input; empty where it resolved.

    Args:
        inputs: kind and name of each.
    """
    _refuse_network()
    faults = {
        "model": _known_model_fault,
        "data": _data_fault,
        "code": _code_fault,
        "module": _module_fault,
        "task": _task_fault,
    }
    return {
        "python": sys.executable,
        "python_version": platform.python_version(),
        "package": cruijff_kit.__version__,
        "package_path": str(Path(cruijff_kit.__file__).parent),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "inputs": {name: faults[kind](name) for kind, name in dict.fromkeys(inputs)},
    }


def _refuse_network() -> None:
    """Let no socket of this process reach another machine; nothing here listens either."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("a job has no network")

    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ[name] = "1"
    socket.socket.connect = refuse
    socket.socket.connect_ex = refuse
    socket.getaddrinfo = refuse


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _known_model_fault(path: str) -> str:
    """Return why a model directory does not load, from the cache where neither it nor the libraries changed."""
    mark = cache_dir() / "preflight" / _model_key(Path(path))
    if mark.is_file():
        return ""
    fault = _model_fault(path)
    if not fault:
        try:
            write_aside(mark, "")
        except OSError:
            # A cache that cannot be written only costs the time of loading again.
            return ""
    return fault


def _model_key(folder: Path) -> str:
    """Return a hash of all that decides whether a model directory loads."""
    try:
        files = [(path.name, stat.st_size, stat.st_mtime_ns) for path in model_files(folder) if (stat := path.stat())]
    except OSError:
        files = []
    libraries = {name: _version(name) for name in ("cruijff-kit", "transformers", "tokenizers", "huggingface-hub")}
    content = json.dumps([str(folder), files, libraries, sys.prefix], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _model_fault(path: str) -> str:
    """Return why a model directory does not load; its weights are measured, not read."""
    folder = Path(path)
    if not folder.is_dir():
        return "there is no such directory"
    if not (folder / "config.json").is_file():
        return "no `config.json`"
    if not list(folder.glob("*.safetensors")):
        return "no weights (`*.safetensors`)"
    if not has_vocabulary(folder):
        return "no tokenizer: there is no file with its vocabulary"
    try:
        short = [file.name for file in weight_files(folder) if file.stat().st_size != expected_bytes(file)]
        if short:
            return f"`{short[0]}` has another size than its header says, as after a copy that was cut off"
        return _unloaded(path)
    except (CruijffError, OSError, ValueError, KeyError) as err:
        return _first_line(err)


def _unloaded(name: str) -> str:
    """Return why configuration and tokenizer of a model do not load; nothing is fetched, no code of it is run."""
    try:
        from transformers import AutoConfig, AutoTokenizer

        AutoConfig.from_pretrained(name, local_files_only=True, trust_remote_code=False)
        AutoTokenizer.from_pretrained(name, local_files_only=True, trust_remote_code=False)
    except (ImportError, OSError, ValueError) as err:
        return _first_line(err)
    return ""


def _data_fault(path: str) -> str:
    try:
        if Path(path).is_dir():
            return "" if any(Path(path).iterdir()) else "the directory is empty"
        with Path(path).open("rb") as file:
            return "" if file.read(1) else "the file is empty"
    except OSError as err:
        return err.strerror or str(err)


def _code_fault(path: str) -> str:
    """Return why a Python file will not start: it is not there, is no Python, or imports what is not installed.

    What it imports of this package is looked into too: a recipe is ours, and stands on others' libraries.
    """
    beside, seen, missing, due = Path(path).parent, set[str](), list[str](), [Path(path)]
    while due:
        try:
            tree = ast.parse(due.pop().read_bytes())
        except OSError as err:
            return err.strerror or str(err)
        except (SyntaxError, ValueError) as err:
            return f"it is no Python: {_first_line(err)}"
        fresh = [name for name in dict.fromkeys(_imported(tree.body)) if name not in seen]
        seen.update(fresh)
        ours = [name for name in fresh if name.startswith(f"{cruijff_kit.__name__}.")]
        due += [source for name in ours if (source := _source(name))]
        missing += [name for name in fresh if name not in ours and not _found(name, beside)]
    lacking = ", ".join(f"`{name}`" for name in dict.fromkeys(missing))
    return f"it needs {lacking}, not to be found here" if missing else ""


def _module_fault(name: str) -> str:
    """Return why a module will not start, its own imports included."""
    source = _source(name)
    return "no such module in the environment of jobs" if source is None else _code_fault(str(source))


def _source(name: str) -> Path | None:
    """Return the file of a module, found and not run; the packages above it are imported."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _imported(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield what a module imports as it starts: packages of others, modules of ours; not what it only tries."""
    for node in body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        own = f"{cruijff_kit.__name__}."
        yield from (name if name.startswith(own) else name.partition(".")[0] for name in names)


def _found(name: str, beside: Path) -> bool:
    if name in sys.stdlib_module_names or (beside / f"{name}.py").is_file() or (beside / name).is_dir():
        return True
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _task_fault(path: str) -> str:
    """Return why the task of a cell cannot be built here, its own data and its judges included."""
    from cruijff_kit.runtime.eval_config import load_eval_config, place_of

    try:
        config = load_eval_config(Path(path))
        from cruijff_kit.runtime.inspect_task import find_task

        task = find_task(config, Path(path), place=place_of(config)).task
    except ImportError as err:
        return _first_line(err)
    except Exception as err:  # noqa: BLE001  # the task is somebody's own code: whatever it raises here, a job would raise
        return f"it cannot be built: {_first_line(err)}"
    faults = (f"judge `{name}`: {fault}" for name in _judges(task) if (fault := _judge_fault(name)))
    return "; ".join(faults)


def _judges(task: Any) -> Iterator[str]:
    """Yield the names of models that a task's scorers and roles ask, beside the one that is evaluated."""
    from inspect_ai._util.registry import registry_params

    asked = [registry_params(each).get("model") for each in task.scorer or ()]
    for each in (*asked, *(task.model_roles or {}).values()):
        for model in each if isinstance(each, list | tuple) else (each,):
            if model is not None:
                yield str(model)


def _judge_fault(name: str) -> str:
    from cruijff_kit.runtime.inspect_model import key_variable

    provider, _, model = name.partition("/")
    if provider in _LOCAL_PROVIDERS:
        return _unloaded(model)
    variable = key_variable(name)
    if variable is not None and not os.environ.get(variable):
        return f"it needs a network and a key, and a job has no `{variable}`"
    return ""


def _first_line(err: Exception) -> str:
    return str(err).strip().partition("\n")[0] or type(err).__name__


def main(arguments: list[str]) -> int:
    """Print the preflight of the inputs named on the command line."""
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    found = preflight([(option.removeprefix("--"), name) for option, name in pairs])
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
