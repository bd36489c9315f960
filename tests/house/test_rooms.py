"""How large a room may be, and what must not lie about in it.

Each limit is near today's largest: lower one when you can, and think twice before you raise one.
"""

from __future__ import annotations

import ast

from .package import MODULES, PACKAGE, functions, nodes, relative

MOST_ROOMS = 14
MOST_LINES_OF_A_MODULE = 450
MOST_LINES_OF_A_FUNCTION = 55
MOST_PARAMETERS = 10  # as many as a row has columns where SQLite reads a dead letter

# One line and the docstring for each public method: users read it like a table of contents, not in one sitting.
TABLE_OF_CONTENTS = "app/huey.py"

# Their parameters are options, and users read them as such.
PUBLIC_DECORATORS = {"task", "context_task", "periodic_task"}


def test_the_packages_can_be_listed_in_one_breath() -> None:
    rooms = [path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert len(rooms) <= MOST_ROOMS, sorted(rooms)


def test_a_module_is_read_in_one_sitting() -> None:
    lines = {relative(path): path.read_text("utf-8").count("\n") for path in MODULES}
    del lines[TABLE_OF_CONTENTS]
    assert {path: count for path, count in lines.items() if count > MOST_LINES_OF_A_MODULE} == {}


def test_a_function_fits_on_a_screen() -> None:
    lines = {
        f"{relative(path)}:{function.lineno} {function.name}": (function.end_lineno or 0) - function.lineno + 1
        for path in MODULES
        for function in functions(path)
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FUNCTION} == {}


def test_a_function_is_given_what_one_can_keep_in_mind() -> None:
    counts = {
        f"{relative(path)}:{function.lineno} {function.name}": len(parameters(function))
        for path in MODULES
        for function in functions(path)
        if function.name not in PUBLIC_DECORATORS
    }
    assert {name: count for name, count in counts.items() if count > MOST_PARAMETERS} == {}


def test_a_module_says_what_it_is_for() -> None:
    written = [path for path in MODULES if path.read_text("utf-8").strip()]
    assert [relative(path) for path in written if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


def test_no_class_leaves_a_hole_for_another_to_fill() -> None:
    assert [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ] == []


def test_no_argument_is_passed_against_its_type() -> None:
    assert [
        f"{relative(path)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if "type: ignore[arg-type]" in line
    ] == []


def test_nothing_depends_on_an_assertion() -> None:
    """``python -O`` removes them."""
    assert [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        if "conformance" not in path.parts
        for node in nodes(path)
        if isinstance(node, ast.Assert)
    ] == []


def test_no_error_is_swallowed_unseen() -> None:
    """A handler of every error does something about it."""
    assert [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
        and caught(node) & {"", "Exception", "BaseException"}
        and isinstance(node.body[0], (ast.Pass, ast.Continue))
    ] == []


def test_one_module_says_how_long_a_storage_waits() -> None:
    """No other module gives a number of seconds a name, or waits for a number of seconds."""
    assert [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        if "storage" in path.parts
        for node in nodes(path)
        if (isinstance(node, ast.Assign | ast.AnnAssign) and is_number(node.value) and "SECONDS" in ast.unparse(node))
        or (isinstance(node, ast.Call) and any(map(is_number, limits(node))))
    ] == []


def is_number(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in {int, float} and node.value != 0


def limits(call: ast.Call) -> list[ast.expr]:
    """What a call that waits is given for its time."""
    function = ast.unparse(call.func).rpartition(".")[2]
    named = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
    return named + (call.args[:1] if function in {"sleep", "timeout", "call_later"} else [])


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """What a caller passes: all parameters but the object of a method."""
    given = function.args
    collecting = [parameter for parameter in (given.vararg, given.kwarg) if parameter]
    names = [parameter.arg for parameter in [*given.posonlyargs, *given.args, *given.kwonlyargs, *collecting]]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names of the exceptions that it handles; an empty one where it handles everything."""
    return {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {""}
