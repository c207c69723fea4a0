"""The direction of imports, who may load TensorFlow and Ray, and where threads and session state are named."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each room imports only from its own place in this list and from those before it; the longest name counts.
DIRECTION = (
    (
        "transfer_core",
        "transfer_core.errors",
        "transfer_core.language",
        "transfer_core.recipes",
        "transfer_core.types",
    ),
    (
        "transfer_core.files",
        "transfer_core.facts_file",
        "transfer_core.file_cache",
        "transfer_core.download",
        "transfer_core.locks",
        "transfer_core.schema",
    ),
    ("transfer_core.config", "transfer_core.events", "transfer_core.workspace"),
    ("transfer_core.data", "transfer_core.backbones"),
    ("transfer_core.training",),
    ("transfer_core.inference",),
    ("transfer_core.evaluation",),
    ("transfer_core.runs",),
    ("transfer_core.export", "transfer_core.projects"),
    ("transfer_core.work",),
    ("transfer_core.classroom",),
    ("transfer_core.cli",),
    ("transfer_core.__main__",),
    ("pages.ui",),
    ("pages",),
    ("app", "welcome"),
)
PLACES = {room: place for place, rooms in enumerate(DIRECTION) for room in rooms}
# What takes seconds to import. Only the one module that is itself imported late may name it at its top.
SLOW = ("tensorflow", "keras", "ray", "transfer_core.training.trainer")
MAY_BE_SLOW = "transfer_core.training.trainer"
MAY_USE_RAY = "transfer_core.work.cluster"
THREADS = ("threading", "_thread", "concurrent", "multiprocessing", "asyncio")
MAY_USE_THREADS = (
    "transfer_core.file_cache",
    "transfer_core.work",
    "transfer_core.runs.event_log",
    "transfer_core.data.parallel",
    "transfer_core.backbones.runtime",
    "pages.ui",
)
SESSION_FILE = Path("pages/ui/app/session.py")
# The server imports this room before it runs: Streamlit forgets caches and components that are declared so early.
SERVER_ROOM = "pages.ui.server"
DECLARED_IN_STREAMLIT = ("cache_data", "cache_resource", "component")


@dataclass(frozen=True)
class Import:
    """One module that another names, and whether it is loaded together with it."""

    name: str
    is_at_once: bool


def is_within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str | None:
    return max((room for room in PLACES if is_within(module, room)), key=len, default=None)


def source_files(root: Path) -> list[Path]:
    files = [
        *root.glob("transfer_core/**/*.py"),
        *root.glob("pages/**/*.py"),
        root / "app.py",
        root / "welcome.py",
    ]
    # What is put into exported bundles is no part of the app: it runs alone, with its format's own runtime.
    return sorted(path for path in files if path.is_file() and path.parent.name != "bundle_files")


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_in(node: ast.Import | ast.ImportFrom, module: str, root: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = ".".join(
        [*module.split(".")[: -node.level], *filter(None, [node.module])]
        if node.level
        else [node.module or ""]
    )
    for alias in node.names:
        below = f"{base}.{alias.name}"
        is_module = any(
            (root / below.replace(".", "/")).with_suffix(ending).exists() for ending in (".py", "")
        )
        yield below if is_module else base


@cache
def imports_of(path: Path, root: Path) -> tuple[Import, ...]:
    module = module_name(path, root)

    def visit(node: ast.AST, is_at_once: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (Import(name, is_at_once) for name in names_in(node, module, root))
        is_late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        )
        for child in ast.iter_child_nodes(node):
            yield from visit(child, is_at_once and not is_late)

    return tuple(visit(ast.parse(path.read_text("utf-8")), True))


def offences_of(path: Path, root: Path) -> Iterator[str]:
    module = module_name(path, root)
    room = room_of(module) or "app"
    for imported in imports_of(path, root):
        other = room_of(imported.name)
        if other and PLACES[other] > PLACES[room]:
            yield f"{module} imports {imported.name}, against the direction"
        if is_within(module, "transfer_core") and is_within(imported.name, "streamlit"):
            yield f"{module} imports streamlit"
        if (
            imported.is_at_once
            and module != MAY_BE_SLOW
            and any(is_within(imported.name, slow) for slow in SLOW)
        ):
            yield f"{module} imports {imported.name} at once"
        if is_within(imported.name, "ray") and not is_within(module, MAY_USE_RAY):
            yield f"{module} uses Ray"
        uses_threads = any(is_within(imported.name, name) for name in THREADS)
        if uses_threads and not any(is_within(module, allowed) for allowed in MAY_USE_THREADS):
            yield f"{module} uses threads"


def declares_in_streamlit(path: Path) -> bool:
    """Whether a module has a cache or a component of Streamlit's."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in DECLARED_IN_STREAMLIT
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


def offences_of_server(root: Path) -> Iterator[str]:
    """What the room of the server imports of the pages, and what it or `app.py` leads to that declares too early."""
    files = {module_name(path, root): path for path in source_files(root)}
    to_visit, reached = ["app", *(name for name in files if is_within(name, SERVER_ROOM))], set[str]()
    while to_visit:
        module = to_visit.pop()
        if module in reached or module not in files:
            continue
        reached.add(module)
        to_visit += [imported.name for imported in imports_of(files[module], root)]
        is_of_pages = is_within(module, "pages.ui") and not is_within(module, SERVER_ROOM)
        if is_of_pages and module != "pages.ui":
            yield f"{module} is imported by the server, which imports nothing of the pages"
        if declares_in_streamlit(files[module]):
            yield f"{module} declares a cache or component, and is imported by the server"


def offences(root: Path) -> list[str]:
    found = [offence for path in source_files(root) for offence in offences_of(path, root)]
    found += offences_of_server(root)
    naming = [
        path.relative_to(root) for path in source_files(root) if "session_state" in path.read_text("utf-8")
    ]
    found += [f"{path.as_posix()} names session_state" for path in naming if path != SESSION_FILE]
    return found


def cycle(imports: Mapping[str, set[str]]) -> list[str]:
    """Return names that import each other in a circle, the first again as the last, or nothing."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def module_imports(root: Path) -> dict[str, set[str]]:
    """Return what each module imports, at once or late, even for its types alone."""
    files = {module_name(path, root): path for path in source_files(root)}
    return {
        module: {imported.name for imported in imports_of(path, root)} - {module}
        for module, path in files.items()
    }


def room_imports(root: Path) -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {}
    for module, imported in module_imports(root).items():
        room = room_of(module) or "app"
        rooms.setdefault(room, set()).update(filter(None, map(room_of, imported)))
    return {room: imported - {room} for room, imported in rooms.items()}


def test_the_rules_hold() -> None:
    assert offences(ROOT) == []


def test_no_rooms_import_each_other() -> None:
    assert cycle(room_imports(ROOT)) == []


def test_no_modules_import_each_other() -> None:
    assert cycle(module_imports(ROOT)) == []


@pytest.mark.parametrize("find", [room_imports, module_imports])
def test_a_planted_circle_is_found(tmp_path: Path, find: Callable[[Path], dict[str, set[str]]]) -> None:
    for path, code in (
        ("export/bundle.py", "if TYPE_CHECKING:\n    import transfer_core.projects.save"),
        ("projects/save.py", "def save():\n    import transfer_core.export.bundle"),
    ):
        (tmp_path / "transfer_core" / path).parent.mkdir(parents=True)
        (tmp_path / "transfer_core" / path).write_text(code)
    assert len(cycle(find(tmp_path))) == 3


def test_every_module_has_a_room_and_every_room_a_module() -> None:
    modules = {module_name(path, ROOT) for path in source_files(ROOT)}
    assert {module for module in modules if room_of(module) in (None, "transfer_core")} == {"transfer_core"}
    assert {room_of(module) for module in modules} == set(PLACES)


@pytest.mark.parametrize("tree", ["transfer_core", "pages/ui"])
def test_no_two_modules_of_a_tree_have_the_same_name(tree: str) -> None:
    names = Counter(path.name for path in source_files(ROOT) if (ROOT / tree) in path.parents)
    assert [name for name, count in names.items() if count > 1] == ["__init__.py"]


def test_no_file_of_the_pages_is_named_like_a_test() -> None:
    assert not [path for path in (ROOT / "pages").rglob("*.py") if path.name.startswith("test_")]


@pytest.mark.parametrize(
    ("path", "code", "offence"),
    [
        (
            "transfer_core/errors.py",
            "from transfer_core.config import TrainingConfig",
            "transfer_core.errors imports transfer_core.config, against the direction",
        ),
        (
            "transfer_core/data/split.py",
            "def split():\n    from transfer_core.inference import predictor",
            "transfer_core.data.split imports transfer_core.inference.predictor, against the direction",
        ),
        (
            "transfer_core/data/split.py",
            "from ..training import train",
            "transfer_core.data.split imports transfer_core.training.train, against the direction",
        ),
        (
            "transfer_core/evaluation/metrics.py",
            "import transfer_core.work.queue as queue",
            "transfer_core.evaluation.metrics imports transfer_core.work.queue, against the direction",
        ),
        (
            "transfer_core/__main__.py",
            "from pages.ui.app.session import Session",
            "transfer_core.__main__ imports pages.ui.app.session, against the direction",
        ),
        (
            "pages/ui/app/session.py",
            "import app",
            "pages.ui.app.session imports app, against the direction",
        ),
        (
            "transfer_core/work/queue.py",
            "def work():\n    import streamlit.runtime",
            "transfer_core.work.queue imports streamlit",
        ),
        (
            "transfer_core/inference/predictor.py",
            "try:\n    import keras.ops\nfinally:\n    pass",
            "transfer_core.inference.predictor imports keras.ops at once",
        ),
        (
            "pages/4_Train.py",
            "class Page:\n    from tensorflow import data",
            "pages.4_Train imports tensorflow at once",
        ),
        ("app.py", "if True:\n    import keras", "app imports keras at once"),
        (
            "transfer_core/work/execute.py",
            "from transfer_core.training.trainer import Trainer",
            "transfer_core.work.execute imports transfer_core.training.trainer at once",
        ),
        (
            "transfer_core/training/train.py",
            "from concurrent.futures import Future",
            "transfer_core.training.train uses threads",
        ),
        ("pages/4_Train.py", "def run():\n    import threading", "pages.4_Train uses threads"),
        (
            "transfer_core/work/service.py",
            "def run():\n    from ray.util import state",
            "transfer_core.work.service uses Ray",
        ),
        (
            "transfer_core/work/cluster/nodes.py",
            "import ray",
            "transfer_core.work.cluster.nodes imports ray at once",
        ),
        (
            "pages/ui/train/charts.py",
            "st.session_state['a'] = 1",
            "pages/ui/train/charts.py names session_state",
        ),
        ("app.py", "from streamlit import session_state", "app.py names session_state"),
        (
            "pages/ui/server/join.py",
            "def show():\n    from pages.ui import words",
            "pages.ui.words is imported by the server, which imports nothing of the pages",
        ),
        (
            "pages/ui/server/join.py",
            "@st.cache_data(ttl=1)\ndef read(): ...",
            "pages.ui.server.join declares a cache or component, and is imported by the server",
        ),
        (
            "pages/ui/server/join.py",
            "from streamlit import components\nshow = components.v2.component('a')",
            "pages.ui.server.join declares a cache or component, and is imported by the server",
        ),
    ],
)
def test_a_planted_offence_is_found(tmp_path: Path, path: str, code: str, offence: str) -> None:
    for folder in ("transfer_core/training", "transfer_core/inference", "pages/ui"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("config", "inference/predictor", "training/train", "training/trainer"):
        (tmp_path / "transfer_core" / f"{name}.py").write_text("")
    (tmp_path / "pages/ui/words.py").write_text("")
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(code)
    assert offences(tmp_path) == [offence]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("transfer_core/inference/predictor.py", "def load():\n    import keras"),
        ("transfer_core/inference/predictor.py", "if TYPE_CHECKING:\n    import keras"),
        ("transfer_core/inference/predictor.py", "if typing.TYPE_CHECKING:\n    import tensorflow as tf"),
        ("transfer_core/training/trainer.py", "import keras"),
        ("transfer_core/work/queue.py", "import threading"),
        ("transfer_core/work/cluster/nodes.py", "def watch():\n    import ray.util.state"),
        ("transfer_core/data/parallel.py", "from concurrent.futures import Future"),
        (
            "transfer_core/data/split.py",
            "import keras_like\nimport ray_like\nimport streamlit_like\nimport threading_like",
        ),
        ("transfer_core/work/queue.py", "from transfer_core.errors import IngestError"),
        ("pages/ui/app/session.py", "import streamlit as st\nst.session_state"),
        ("app.py", "import streamlit\nfrom pages.ui.app.page import run_page"),
    ],
)
def test_what_is_allowed_is_not_found(tmp_path: Path, path: str, code: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(code)
    assert offences(tmp_path) == []


def test_the_whole_engine_is_imported_without_tensorflow() -> None:
    modules = [module_name(path, ROOT) for path in source_files(ROOT)]
    modules = [name for name in modules if is_within(name, "transfer_core") and name != MAY_BE_SLOW]
    script = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        "slow = {'tensorflow', 'keras', 'streamlit', 'sklearn', 'ray'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & slow))"
    )
    finished = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (finished.stdout, finished.stderr) == ("[]\n", "")
