"""A worker of the tests says nothing of its own when it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAKING = """
import ctypes

import duckdb


def test_with_an_object_that_outlives_the_interpreter():
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(duckdb.connect()))


def test_that_fails():
    assert 1 + 1 == 3
"""
CONFTEST = "from retail_assets_tests.quiet_end import end_workers_at_once as pytest_configure"


@pytest.mark.parametrize(("conftest", "is_quiet"), [(CONFTEST, True), ("", False)], ids=["ours", "without it"])
def test_objects_of_duckdb_that_live_to_the_end_are_not_listed(tmp_path: Path, conftest: str, is_quiet: bool) -> None:
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_leaking.py").write_text(LEAKING, encoding="utf-8")
    options = ["-q", "-n", "1", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", str(tmp_path / "none.ini")]
    (tmp_path / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout and "assert (1 + 1) == 3" in done.stdout
    assert ("leaked" not in done.stderr) is is_quiet
