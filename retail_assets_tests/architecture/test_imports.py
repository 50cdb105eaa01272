"""Imports point one way, pure packages stay pure, and importing the package does nothing."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "retail_assets"
FILES = sorted(PACKAGE.rglob("*.py"))

# What a package or module of retail_assets may import of retail_assets, beside itself and LEAVES.
# `tables` <- `transforms`, `demand`, `inventory` <- `lake`, `resources` <- `engines` <- `as_of_day`, `io_managers`
# <- `checks`, `assets` <- `runs`, `nights`, `graph` <- `command_line`. `graph` and `nights` need each other's modules:
# jobs <- requests <- schedules <- due <- sensors, make_up <- build; that there is no circle is tested below.
LEAVES = {"addresses", "arrays", "database_errors", "failures", "record_batches", "windows"}
PURE = {"tables", "transforms", "demand", "inventory"}
ALLOWED = {
    "addresses": set(),
    "arrays": set(),
    "database_errors": set(),
    "failures": set(),
    "record_batches": set(),
    "windows": set(),
    "tables": set(),
    "transforms": {"tables", "demand", "inventory.sourcing"},
    "demand": {"tables"},
    "inventory": {"tables"},
    "demo": set(),
    "retailer": set(),
    "as_of_day": {"tables", "engines", "transforms", "demand", "inventory", "retailer"},
    "lake": {"tables", "settings"},
    "settings": {"resources.secrets"},
    "sources": {"tables"},
    "resources": {"tables", "sources", "settings", "demand", "lake"},
    "engines": {"tables", "transforms", "lake"},
    "io_managers": {"tables", "transforms.lineage", "engines", "lake"},
    "checks": {"tables", "transforms", "engines", "io_managers.chunks", "io_managers.described"},
    "assets": PURE | {"as_of_day", "engines", "io_managers", "lake", "resources", "retailer"},
    "runs": set(),
    "nights": {"graph.jobs", "graph.schedules", "runs", "settings", "tables", "transforms", "retailer", "resources"},
    "graph": PURE
    | {"as_of_day", "assets", "checks", "engines", "io_managers", "lake", "resources", "sources", "settings"}
    | {"retailer", "nights", "runs"},
    "definitions": {"graph", "settings"},
}

BANNED_IN_PURE = {
    "dagster",
    "mlflow",
    "streamlit",
    "pyspark",
    "os",
    "sqlalchemy",
    "deltalake",
    "retail_assets.settings",
}
ONLY_IN_STEPS = {
    "lightgbm",
    "matplotlib",
    "mlflow",
    "pmdarima",
    "scipy.ndimage",
    "scipy.stats",
    "sklearn",
    "skops",
    "statsmodels",
}
HOMES = {
    "pyspark": {
        "engines/spark/engine.py",
        "engines/spark/backend.py",
        "engines/spark/contract.py",
        "resources/spark.py",
    },
    "mlflow": {"resources/mlflow.py", "resources/served_model.py"},
    "streamlit": set(),
}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def _imports(file: Path) -> set[str]:
    """Modules imported anywhere in the file, also inside functions; `from a import b` counts as a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _own(file: Path) -> set[str]:
    """Imported modules of retail_assets that exist, without the package's name; the deepest name only."""
    names = {name.removeprefix("retail_assets.") for name in _imports(file) if name.startswith("retail_assets.")}
    return {name for name in names if _is_module(name)}


def _is_module(name: str) -> bool:
    path = PACKAGE / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _is_allowed(imported: str, allowed: set[str]) -> bool:
    return any(
        imported == name or imported.startswith(f"{name}.") or name.startswith(f"{imported}.") for name in allowed
    )


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_inwards(package):
    allowed = ALLOWED[package] | LEAVES | {package}
    files = [file for file in FILES if _name(file).split(".")[0] == package]
    assert files, f"{package} is gone: take it out of ALLOWED"
    wrong = [f"{_name(file)} imports {name}" for file in files for name in _own(file) if not _is_allowed(name, allowed)]
    assert wrong == []


def test_nothing_imports_the_command_line_and_nothing_else_is_without_a_rule():
    users = [_name(file) for file in FILES for name in _own(file) if name.split(".")[0] == "command_line"]
    assert {user.split(".")[0] for user in users} == {"command_line"}
    assert {_name(file).split(".")[0] for file in FILES} - {"", "__init__"} == {*ALLOWED, "command_line"}


def test_modules_form_no_circle():
    edges = {_name(file): {name for name in _own(file) if name != _name(file)} for file in FILES}
    # a secret is read through resources.secrets, which is imported inside a function for that reason
    edges["settings"] -= {"resources", "resources.secrets"}
    while edges:
        free = {name for name, imported in edges.items() if not (imported & set(edges))}
        assert free, f"a circle among {sorted(edges)}"
        edges = {name: imported for name, imported in edges.items() if name not in free}


@pytest.mark.parametrize("package", sorted(PURE))
def test_mathematics_knows_no_system(package):
    for file in FILES:
        if _name(file).split(".")[0] == package:
            roots = {name.split(".")[0] for name in _imports(file)}
            assert roots & BANNED_IN_PURE == set(), file


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_stays_in_its_home(library):
    users = {str(f.relative_to(PACKAGE)) for f in FILES if library in {name.split(".")[0] for name in _imports(f)}}
    assert users <= HOMES[library]


def test_only_settings_reads_the_environment():
    readers = {str(f.relative_to(PACKAGE)) for f in FILES if "os.environ" in f.read_text() or "getenv" in f.read_text()}
    assert readers == {"settings.py"}


def test_dagster_modules_keep_their_annotations():
    """Dagster looks at the annotation of the context argument, which a future import turns into text."""
    wrong = [_name(file) for file in FILES if {"dagster", "__future__"} <= _imports(file)]
    assert wrong == []


def test_packages_export_nothing():
    assert [_name(file) for file in FILES if file.name == "__init__.py" and file.read_text().strip()] == []


def test_importing_everything_leaves_no_trace(tmp_path, tmp_path_factory):
    """No file, no thread, no environment needed; the entry point builds its graph and still touches nothing."""
    fonts = str(tmp_path_factory.mktemp("fonts"))  # matplotlib, which LightGBM imports, keeps a list of fonts
    modules = [f"retail_assets.{_name(file)}" for file in FILES if file.name != "__init__.py"]
    optional = {name for name in modules if name.split(".")[-1].startswith("spark")}
    program = (
        "import importlib, os, sys, threading\n"
        "before = dict(os.environ)\n"
        f"for name in {sorted(set(modules) - optional)!r}: importlib.import_module(name)\n"
        "print(threading.active_count(), sorted(k for k in os.environ if k.startswith('RETAIL') or k not in before))\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "TMPDIR": str(home),
        "MPLCONFIGDIR": fonts,
        "PYTHONPATH": str(PACKAGE.parent),
    }
    python = [sys.executable, "-B", "-W", "ignore", "-c", program]
    done = subprocess.run(python, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left <= {"home/.config/mlflow/telemetry.json"}  # MLflow's own identifier, written when it is imported
    assert done.stdout.startswith("1 "), done.stdout


def test_the_definitions_load_no_library_that_only_some_steps_need():
    """Each run of the daemon is a process that loads the definitions first: these were half of the wait."""
    program = f"import sys, retail_assets.definitions; print({ONLY_IN_STEPS} & set(sys.modules))"
    python = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(python, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
