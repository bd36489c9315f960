"""Programs that run beside a test, as a user would start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE_SECONDS = 60

PROGRAMS = {
    "python": [sys.executable],
    "aqueue": [sys.executable, "-m", "aqueue"],
    "huey_consumer": [sys.executable, "-m", "huey.bin.huey_consumer"],
}


def program(*words: str) -> list[str]:
    """The command line that runs `words`, the first of which is one of `PROGRAMS`, with this interpreter."""
    return [*PROGRAMS[words[0]], *words[1:]]


def environment(**settings: str) -> dict[str, str]:
    """This environment, with no other settings of aqueue than `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AQUEUE_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


class Running:
    """A program that runs, or ran."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self._said: str | None = None

    @property
    def said(self) -> str:
        """What it has written so far."""
        return self._log.read_text("utf-8", "replace") if self._said is None else self._said

    def end(self) -> None:
        """Kill it, with all that it started, if it still runs; keep what it has said."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._said = self.said


@contextmanager
def running(
    command: Sequence[str],
    directory: Path,
    env: dict[str, str],
    *,
    fds: Sequence[int] = (),
    ends_with: int = 0,
) -> Iterator[Running]:
    """Run `command` in `directory` meanwhile. Then it is asked to stop, and has to end with the status `ends_with`."""
    with tempfile.TemporaryDirectory(prefix="aqueue-test-") as place:
        log = Path(place, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=fds,
                start_new_session=True,
            )
        ran = Running(process, log)
        try:
            yield ran
            process.terminate()
            status = process.wait(PATIENCE_SECONDS)
            assert status == ends_with, f"it ended with {status}"
        except BaseException as error:
            error.add_note(f"$ {' '.join(command)}\n{ran.said}")
            raise
        finally:
            ran.end()


def run(command: Sequence[str], directory: Path, env: dict[str, str], typed: str = "") -> str:
    """What `command` writes where `typed` is typed; it has to end well."""
    ended = subprocess.run(
        command, cwd=directory, env=env, input=typed.encode(), capture_output=True, timeout=PATIENCE_SECONDS
    )
    said = ended.stdout.decode("utf-8", "replace")
    assert ended.returncode == 0, f"{' '.join(command)}\n{said}{ended.stderr.decode('utf-8', 'replace')}"
    return said
