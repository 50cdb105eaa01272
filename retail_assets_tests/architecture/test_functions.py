"""Functions are small: most fit a glance, none needs scrolling, and none takes a bag of arguments."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
MOST_LINES, MOST_ARGUMENTS = 60, 6
MEDIAN_LINES, LINES_OF_NINE_IN_TEN = 10, 30


class Function(NamedTuple):
    """`name` with its module and its class; self and cls count as no arguments, `*args` and `**kwargs` as one each."""

    name: str
    lines: int
    arguments: int

    @property
    def is_too_large(self) -> bool:
        return self.lines > MOST_LINES or self.arguments > MOST_ARGUMENTS


def functions_of(source: str, module: str) -> list[Function]:
    """Every function of a module, methods and inner ones too; decorators are not counted as lines."""
    return [_measured(node, f"{module}: {name}") for name, node in _named(ast.parse(source), "")]


def _named(parent: ast.AST, outer: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(parent):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        inner = f"{outer}{node.name}" if is_function or isinstance(node, ast.ClassDef) else ""
        if is_function:
            yield inner, node
        yield from _named(node, f"{inner}." if inner else outer)


def _measured(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> Function:
    given = node.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    arguments += [argument for argument in (given.vararg, given.kwarg) if argument]
    counted = [argument for argument in arguments if argument.arg not in ("self", "cls")]
    return Function(name, (node.end_lineno or node.lineno) - node.lineno + 1, len(counted))


def _ours() -> list[Function]:
    files = [file for folder in ("retail_assets", "dashboards") for file in sorted((ROOT / folder).rglob("*.py"))]
    named = ((file.read_text(encoding="utf-8"), str(file.relative_to(ROOT))) for file in files)
    return [function for source, module in named for function in functions_of(source, module)]


def test_most_functions_fit_a_glance() -> None:
    lines = [function.lines for function in _ours()]
    assert len(lines) > 1000
    assert median(lines) <= MEDIAN_LINES
    assert quantiles(lines, n=10)[-1] <= LINES_OF_NINE_IN_TEN


def test_no_function_is_long_or_takes_many_arguments() -> None:
    assert {function.name for function in _ours() if function.is_too_large} == set()


SAMPLE = """
class Shop:
    @cached(size=3)
    def sell(self, a, /, b, c=1, *rest, d, e=2, **more):
        def inner(f):
            return f
        return inner

    if True:
        @classmethod
        async def close(cls):
            pass
"""


def test_functions_are_found_and_measured_wherever_they_stand() -> None:
    assert functions_of(SAMPLE, "shop.py") == [
        Function("shop.py: Shop.sell", lines=4, arguments=7),
        Function("shop.py: Shop.sell.inner", lines=2, arguments=1),
        Function("shop.py: Shop.close", lines=2, arguments=0),
    ]
    assert [function.is_too_large for function in functions_of(SAMPLE, "shop.py")] == [True, False, False]
    long = "def serve():\n" + "    wait()\n" * 59
    assert not functions_of(long, "shop.py")[0].is_too_large
    assert functions_of(f"{long}    wait()\n", "shop.py")[0].is_too_large
