"""No test fails because the machine is busy."""

import ast
from pathlib import Path

from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent.parent


def test_generated_examples_have_no_deadline() -> None:
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


def test_no_test_sets_a_deadline_of_its_own() -> None:
    """Hypothesis takes it over the profile."""
    own = [
        f"{path.relative_to(TESTS)}:{word.value.lineno}"
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "settings"
        for word in node.keywords
        if word.arg == "deadline" and ast.unparse(word.value) != "None"
    ]
    assert own == []
