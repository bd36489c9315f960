"""Everything that CI checks, and the benchmarks: run ``nox``, or ``nox -s <session>``."""

from __future__ import annotations

import nox

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "lint", "types", "floors", "docs"]


def install(session: nox.Session, group: str) -> None:
    """Install the project as it is here, and a dependency group of ``pyproject.toml``."""
    session.install("-e", ".", *nox.project.dependency_groups(PROJECT, group))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The whole test suite, on every Python that is installed."""
    install(session, "test")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff's rules and its format."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict, on the package and on what users may write; pyright, on the latter."""
    install(session, "types")
    session.run("mypy")
    session.run("pyright")


@nox.session
def floors(session: nox.Session) -> None:
    """No module imports from its own floor or a higher one."""
    install(session, "floors")
    session.run("lint-imports", "--no-logo", "--no-cache")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation does what it says."""
    install(session, "test")
    session.run("pytest", "-n", "auto", "tests/docs", "tests/examples", *session.posargs)


@nox.session
def cases(session: nox.Session) -> None:
    """Hundreds of times as many random crontabs as a run of the tests tries."""
    install(session, "test")
    session.run(
        "pytest", "--timeout", "3600", "tests/unit/tasks/test_cron.py", *session.posargs, env={"AQUEUE_CASES": "80000"}
    )


@nox.session
def bench(session: nox.Session) -> None:
    """The figures that we promise ourselves, against their limits and the last release."""
    install(session, "test")
    session.run("python", "-m", "benchmarks.quick", *session.posargs)
