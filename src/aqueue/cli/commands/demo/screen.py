"""Progress as text: in a terminal one line that changes, elsewhere one line per second."""

from __future__ import annotations

import os
import shutil
import sys
import time

import click

_BLOCKS = ("\u2588", "\u2591")
_ASCII = ("#", "-")


class Screen:
    """Prints lines, and progress between them."""

    def __init__(self) -> None:
        self._changes = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._interval = 0.1 if self._changes else 1.0
        self._full, self._empty = _BLOCKS if _can_show("".join(_BLOCKS)) else _ASCII
        self._columns = shutil.get_terminal_size().columns
        self._next = time.monotonic() + self._interval
        self._shown = False

    def line(self, text: str = "") -> None:
        """Print a line that stays."""
        self._clear()
        click.echo(text)

    @property
    def is_due(self) -> bool:
        """Whether it is time to show the progress again."""
        return time.monotonic() >= self._next

    def progress(self, text: str) -> None:
        """Show `text` in place of the previous progress."""
        self._next = time.monotonic() + self._interval
        if not self._changes:
            click.echo(text)
            return
        self._clear()
        click.echo(text[: self._columns - 1], nl=False)
        self._shown = True

    def bar(self, share: float) -> str:
        width = min(max(self._columns // 5, 5), 30)
        full = round(width * min(share, 1))
        return self._full * full + self._empty * (width - full)

    def _clear(self) -> None:
        if self._shown:
            # "\r" alone would leave the end of a longer old text.
            click.echo("\r\033[K", nl=False)
            self._shown = False


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
