"""Import every module of the installed package; run by an interpreter that does not see the checkout.

python -I wheel_probe.py <folder the package must be installed in>
"""

import importlib
import pkgutil
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

__all__ = ["main"]


def main() -> int:
    """Import everything, say what did not import or came from elsewhere, and return how many."""
    home = Path(sys.argv[1]).resolve()
    faults = [fault for name in sorted(_names()) for fault in _faults(name, home)]
    for point in entry_points(group="inspect_ai", name="cruijff_kit"):
        point.load()
    importlib.import_module("torchtune")
    sys.stdout.write("\n".join([*faults, f"{len(list(_names()))} modules beside torchtune {version('torchtune')}\n"]))
    return len(faults)


def _names() -> list[str]:
    package = importlib.import_module("cruijff_kit")
    found = pkgutil.walk_packages(package.__path__, "cruijff_kit.", onerror=lambda _name: None)
    return ["cruijff_kit", *(module.name for module in found if not module.name.endswith("__main__"))]


def _faults(name: str, home: Path) -> list[str]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as err:
        # MLX has an environment of its own, where its tests import these modules.
        absent = (err.name or "").partition(".")[0] in {"mlx", "mlx_lm"}
        return [] if absent else [f"{name}: {type(err).__name__}: {err}"]
    except Exception as err:  # noqa: BLE001  every failure is listed, whatever it is
        return [f"{name}: {type(err).__name__}: {err}"]
    place = Path(module.__file__ or "").resolve()
    return [] if place.is_relative_to(home) else [f"{name}: imported from `{place}`"]


if __name__ == "__main__":
    sys.exit(main())
