"""Imports run one way: a room imports only rooms above it, wherever in a file the import stands."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tractable

SOURCE = Path(tractable.__file__).parent
ROOMS = ("kernels", "graph", "models", "formats", "plan", "posterior", "evaluate")
ROOMS += ("learning", "estimators", "plots", "view", "cli")
ABOVE = {room: frozenset(ROOMS[:i]) for i, room in enumerate(ROOMS)}
ABOVE["plots"] -= {"models"}

TRAINED = ("kernels/xla", "estimators/_base", "estimators/belief", "estimators/boltzmann")
TRAINED += tuple(f"evaluate/{name}" for name in ("annealed", "certified", "diagnostics", "pseudo", "rough"))
TRAINED += tuple(f"evaluate/{name}" for name in ("starts", "tracing"))
TRAINED += tuple(f"learning/{name}" for name in ("_base", "learner", "loop", "live", "checkpoints", "online"))
TRAINED += tuple(f"learning/{name}" for name in ("batches", "watch", "yardstick"))
TRAINED += ("estimators/classifier",)
TRAINED += (
    "learning/machines",
    "learning/layers",
    "learning/em/coordinates",
    "learning/em/table_coordinates",
    "learning/em/gradient_step",
)
TRAINED += tuple(f"models/{name}" for name in ("units", "boltzmann_machine", "clamping", "precision", "products"))
TRAINED += tuple(f"models/{name}" for name in ("layers", "sigmoid_belief", "deep_belief", "recognition"))
TRAINED += ("posterior/approximate", "posterior/tempering", "posterior/engines/machines", "posterior/engines/layers")
TRAINED += tuple(f"posterior/exact/{name}" for name in ("enumeration", "clamped", "chain_scan", "modes"))
"""Where jax may be imported: models that train on an accelerator, and what works on them; everything else is NumPy."""


def imports(code: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of all that a module of `package` imports, also late, relatively, or by a name in a string."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and str(node.value).startswith("tractable."):
            yield node.lineno, str(node.value)


BESIDE = (
    "tractable.families",
    "tractable.extras",
    "tractable._lazy",
    "tractable._cached",
    "tractable._html",
    "tractable._blocks",
)
"""Any room may read the tables of families and extras, list names that it loads late, keep what it has computed, and
show its records in a notebook."""


def room_of(name: str) -> str:
    """The room of a full name; empty for a name of the package itself, which may stand for any room."""
    room = name.split(".")[1] if "." in name else ""
    return room if room in ROOMS else ""


def wrong_arrows(code: str, package: str) -> list[tuple[int, str]]:
    """The imports in a room that lead neither to itself nor to a room above; only the last may use the front door."""
    room = room_of(package)
    allowed = ABOVE[room] | {room} | ({""} if room == ROOMS[-1] else set())
    ours = [(line, name) for line, name in imports(code, package) if name.partition(".")[0] == "tractable"]
    return [(line, name) for line, name in ours if room_of(name) not in allowed and not name.startswith(BESIDE)]


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def package_of(path: Path) -> str:
    return ".".join(["tractable", *path.relative_to(SOURCE).parent.parts])


def in_rooms() -> list[Path]:
    return [path for path in modules() if path.parent != SOURCE]


def shown(path: object) -> str:
    return path.relative_to(SOURCE).as_posix() if isinstance(path, Path) else ""


@pytest.mark.parametrize("path", in_rooms(), ids=shown)
def test_a_room_imports_only_rooms_above_it(path: Path) -> None:
    package = package_of(path)
    assert room_of(package) in ROOMS, f"{shown(path)} is in no room; the rooms are {', '.join(ROOMS)}"
    assert not wrong_arrows(path.read_text(encoding="utf-8"), package)


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_jax_stays_out_of_table_models_and_their_exact_answers(path: Path) -> None:
    names = {name.partition(".")[0] for _, name in imports(path.read_text(encoding="utf-8"), package_of(path))}
    assert shown(path).startswith(TRAINED) or names.isdisjoint({"jax", "jaxlib", "jaxtyping", "equinox", "optax"})


def test_only_the_front_door_and_the_command_stand_outside_the_rooms() -> None:
    assert {path.name for path in modules() if path.parent == SOURCE} <= {
        "__init__.py",
        "__main__.py",
        "_cached.py",
        "_blocks.py",
        "_html.py",
        "_lazy.py",
        "extras.py",
        "families.py",
    }


def test_importing_the_package_loads_no_room() -> None:
    code = "import sys, tractable; print([name for name in sys.modules if name.startswith(('tractable.', 'numpy'))])"
    assert _run(code) == "['tractable.extras', 'tractable._lazy']"


NETWORKS = ("graph", "plan", "posterior", "formats")


def test_every_public_name_is_there() -> None:
    assert all(hasattr(tractable, name) for name in tractable.__all__)


def test_names_that_networks_need_load_no_jax() -> None:
    names = [name for room in NETWORKS for name in tractable._NAMES[room]] + ["BayesianNetwork", "MarkovNetwork"]
    loaded = "print({'jax', 'networkx'} & {*sys.modules})"
    assert _run(f"import sys, tractable as t; [getattr(t, n) for n in {names}]; {loaded}") == "set()"


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("tractable.graph", "from tractable.models import ModelError"),
        ("tractable.graph", "def late():\n    import tractable.plan._base"),
        ("tractable.graph", "from tractable import posterior"),
        ("tractable.graph", "import tractable as tr"),
        ("tractable.plots", "from tractable import BayesianNetwork"),
        ("tractable.posterior.exact", "from ...cli import main"),
        ("tractable.posterior", "from ..learning import fit"),
        ("tractable.models", "importlib.import_module('tractable.formats')"),
        ("tractable.plots", "from tractable.models import BayesianNetwork"),
        ("tractable.kernels", "import tractable.graph"),
    ],
)
def test_an_arrow_that_runs_back_is_seen(package: str, code: str) -> None:
    assert wrong_arrows(code, package)


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("tractable.models", "from tractable.graph import Graph\nimport numpy as np"),
        (
            "tractable.posterior.exact",
            "from .elimination import run\nfrom ..exact import chain\nfrom ...plan import Plan",
        ),
        ("tractable.cli", "import tractable as tr\nfrom tractable import infer, posterior"),
        ("tractable.plots", "from tractable.plan import Plan"),
    ],
)
def test_an_arrow_that_runs_on_is_allowed(package: str, code: str) -> None:
    assert not wrong_arrows(code, package)
