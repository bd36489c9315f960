"""From the word APP to an application: every accepted spelling, and an honest line for everything else."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .shell import ENVIRONMENT

if TYPE_CHECKING:
    from .conftest import Here
    from .shell import Shell

HUEY = "from aqueue import Huey\n"


def failure(here: Here, spec: str, code: int = 78) -> str:
    """The one line that is said about `spec`, by the cheapest command that has to find the application."""
    ran = here("info", spec)
    assert (ran.code, ran.out) == (code, ""), ran
    assert ran.err.count("\n") == 1, ran.err
    return ran.err


@pytest.mark.parametrize("spec", ["app:huey", "app.huey", "app", "app:create_huey", "app:deep.inside"])
def test_an_application_is_found_by(shell: Shell, here: Here, spec: str) -> None:
    shell.write(
        "app.py",
        HUEY
        + "huey = alias = Huey('shop')\n"
        + "def create_huey():\n    return Huey('shop')\n"
        + "class deep:\n    inside = huey\n",
    )
    ran = here("info", spec)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("shop: ")


def test_a_module_in_a_package_is_found(shell: Shell, here: Here) -> None:
    shell.write("pkg/__init__.py", "")
    shell.write("pkg/tasks.py", HUEY + "huey = Huey('inner')")
    for spec in ("pkg.tasks", "pkg.tasks.huey", "pkg.tasks:huey"):
        assert here("info", spec).out.startswith("inner: ")


def test_an_application_in_the_environment_is_found(here: Here) -> None:
    assert here("info", AQUEUE_APP="app:huey").out.startswith("shop: ")
    assert here("info", "--app", "app:huey", AQUEUE_APP="nosuch").out.startswith("shop: ")


def test_a_blank_variable_is_an_unset_one(here: Here) -> None:
    assert here("info", AQUEUE_APP=" ", AQUEUE_URL="").code == 2


@pytest.mark.parametrize(
    "spec", ["", " ", ":app", "app:", "app:a:b", "1app:huey", "app:hu ey", "-", "x" * 10_000 + "!"]
)
def test_a_malformed_name_says_the_form(here: Here, spec: str) -> None:
    said = failure(here, spec, code=2)
    assert "APP must be module:name, as in app:huey" in said
    assert len(said) < 500


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("app.py", "use app:huey"),
        ("./app.py", "use app:huey"),
        ("shop/app.py:queue", "use shop.app:queue"),
        ("../other/app", "use app:huey in the directory ../other"),
    ],
)
def test_a_path_is_told_its_module(here: Here, spec: str, hint: str) -> None:
    said = failure(here, spec, code=2)
    assert "not a file" in said
    assert hint in said


def test_a_module_that_does_not_exist_is_named(here: Here) -> None:
    assert "cannot import 'nosuch'" in failure(here, "nosuch.module:app")
    assert "cannot import 'nosuch'" in failure(here, "nosuch.module")
    assert "did you mean 'app'?" in failure(here, "aap:huey")
    assert "cannot import 'app.inner'" in failure(here, "app.inner:huey")


def test_a_name_that_does_not_exist_is_told_the_nearest(here: Here) -> None:
    assert "'app' has no 'hueyy'; did you mean 'huey'?" in failure(here, "app:hueyy")
    assert "'app' has no 'celery'; did you mean 'huey'?" in failure(here, "app.celery")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("klass", "is a class"),
        ("nothing", "is None, a NoneType"),
        ("number", "is 5, a int"),
        ("task", "is a task"),
        ("needs", "takes arguments"),
        ("wrong", "returned 5"),
        ("awaited", "is a coroutine function"),
        ("Huey", "is a class"),
    ],
)
def test_what_is_no_application_is_told_so(shell: Shell, here: Here, name: str, said: str) -> None:
    shell.write(
        "app.py",
        HUEY
        + "class klass: pass\n"
        + "nothing = None\n"
        + "number = 5\n"
        + "huey = Huey('shop')\n"
        + "@huey.task\ndef task(): pass\n"
        + "def needs(settings): pass\n"
        + "def wrong(): return 5\n"
        + "async def awaited(): return huey\n",
    )
    line = failure(here, f"app:{name}")
    assert line.startswith(f"aqueue: app:{name}")
    assert said in line


def test_a_module_with_no_or_several_applications_is_told_so(shell: Shell, here: Here) -> None:
    shell.write("none.py", "")
    shell.write("several.py", HUEY + "one = Huey('one')\ntwo = Huey('two')\n")
    assert "'none' has no Huey object" in failure(here, "none")
    assert "2 Huey objects, say which: several:one, several:two" in failure(here, "several")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1 / 0\n", "ZeroDivisionError"),
        ("def broken(:\n", "SyntaxError"),
        ("import nosuch\n", "ModuleNotFoundError"),
        (HUEY + "huey = Huey('shop')\n@huey.task(retires=3)\ndef f(): pass\n", "TypeError"),
        (HUEY + "huey = Huey('a b')\n", "ValueError"),
        ("raise BaseExceptionGroup('both', [ValueError(1), KeyError(2)])\n", "ExceptionGroup"),
    ],
)
def test_a_module_that_raises_shows_the_users_own_traceback(shell: Shell, here: Here, text: str, error: str) -> None:
    shell.write("broken.py", text)
    ran = here("info", "broken:huey")
    assert (ran.code, ran.out) == (78, "")
    assert error in ran.err
    assert 'broken.py", line' in ran.err
    assert "loader.py" not in ran.err
    assert "importlib" not in ran.err
    assert "<frozen" not in ran.err
    assert ran.err.splitlines()[-1].startswith("aqueue: 'broken' ")


def test_a_factory_that_raises_shows_the_users_own_traceback(shell: Shell, here: Here) -> None:
    shell.write("app.py", "def create():\n    return 1 / 0\n")
    ran = here("info", "app:create")
    assert ran.code == 78
    assert "return 1 / 0" in ran.err
    assert ran.err.endswith("aqueue: app:create raised ZeroDivisionError\n")


def test_a_module_that_ends_the_program_is_told_the_remedy(shell: Shell, here: Here) -> None:
    shell.write("script.py", "import sys\nsys.exit(3)\n")
    assert 'if __name__ == "__main__"' in failure(here, "script")


def test_a_store_in_memory_is_refused(shell: Shell) -> None:
    shell.write("app.py", "from aqueue import MemoryHuey\nhuey = MemoryHuey('shop')\n")
    for command in (["worker", "app"], ["info", "app"], ["info", "--url", "memory://"], ["demo", "--url", "memory://"]):
        ran = shell.run(*command)
        assert (ran.code, ran.err.count("\n")) == (78, 1), ran
        assert "memory of one process" in ran.err


def test_help_and_version_need_no_application(shell: Shell) -> None:
    shell.write("app.py", "1 / 0")
    for words in (["worker", "app:huey", "--help"], ["--help"], ["--version"], ["version"], ["enqueue", "-h"]):
        ran = shell.run(*words, AQUEUE_APP="app:huey", AQUEUE_URL="redis://localhost:1")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out


def test_a_deleted_directory_is_no_obstacle(shell: Shell) -> None:
    gone = shell.directory / "gone"
    gone.mkdir()
    leave = ["sh", "-c", 'rmdir "$PWD" && exec "$0" -m aqueue info nosuch', sys.executable]
    done = subprocess.run(leave, cwd=gone, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (78, 1), done.stderr
    assert done.stderr.startswith("aqueue: cannot import 'nosuch'")


def test_ctrl_c_while_the_application_is_imported_ends_with_130(shell: Shell) -> None:
    shell.write("slow.py", "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(600)\n")
    for command in ("info", "worker"):
        running = shell.start(command, "slow")
        shell.wait_for_file("importing")
        running.send(signal.SIGINT)
        assert running.wait() == 130
        assert "Traceback" not in running.said
        (shell.directory / "importing").unlink()
