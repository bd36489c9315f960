"""CI runs what we say that it runs."""

from __future__ import annotations

import re
import tomllib

from .package import ROOT

WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
NOXFILE = (ROOT / "noxfile.py").read_text("utf-8")


def test_ci_tests_every_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    (matrix,) = re.findall(r"python: \[(.+)\]", WORKFLOW)
    assert re.findall(r"3\.\d+", matrix) == named


def test_ci_runs_every_session_that_nox_runs_by_default() -> None:
    (sessions,) = re.findall(r"nox\.options\.sessions = \[(.+)\]", NOXFILE)
    commands = " ".join(re.findall(r"nox -s (.+)", WORKFLOW))
    assert [name for name in re.findall(r'"(\w+)"', sessions) if not re.search(rf"\b{name}\b", commands)] == []
