from __future__ import annotations

from pathlib import Path

from .processes import environment, program, run, running

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_quickstart_gets_its_sums_from_a_worker(store: str) -> None:
    env = environment(AQUEUE_URL=store)
    with running(program("aqueue", "worker", "quickstart:huey"), EXAMPLES, env):
        said = run(program("python", "quickstart.py"), EXAMPLES, env)
    assert said.splitlines() == ["1 + 2 = 3", "and so on: [2, 4, 6]"]


def test_a_worker_that_is_pointed_at_the_main_module_knows_every_task(store: str) -> None:
    env = environment(AQUEUE_URL=store)
    with running(program("aqueue", "worker", "main.huey"), EXAMPLES / "layout", env) as worker:
        said = run(program("python", "main.py"), EXAMPLES / "layout", env)
    assert said == "1 + 2 = 3\n"
    assert "+ tasks.add" in worker.said


def test_every_example_is_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    programs = {path.relative_to(EXAMPLES).parts[0] for path in EXAMPLES.rglob("*.py")}
    assert [name for name in programs if f"[{name}" not in listed] == []
