"""English that is understood at the first reading."""

from __future__ import annotations

import re

from .package import PACKAGE, ROOT

# What may stand between two words: the end of a line, with the mark of a comment on the next.
GAP = r"(?:\s|#|--)+"

# Each makes the reader turn the sentence round, or search for its subject.
HARD_TO_READ = {
    "is no number": rf"(?<!there )is{GAP}no{GAP}(?!longer\b|more\b|less\b|fewer\b|better\b|worse\b)\w",  # "is not a"
    "who waits": rf"who{GAP}waits\b",  # the name of the actor: "the caller", "a worker"
    "whoever": r"whoever\b",
    "those who": rf"those{GAP}who\b",
    "tell of": rf"tell{GAP}of\b",  # "report", "announce"
    "told of": rf"told{GAP}of\b",  # "notified about"
    "so many": rf"so{GAP}many\b",  # the name of the number
}
PATTERN = re.compile("|".join(rf"\b{pattern}" for pattern in HARD_TO_READ.values()), re.IGNORECASE)

TEXTS = sorted(
    [
        *(path for kind in ("py", "sql", "lua") for path in PACKAGE.rglob(f"*.{kind}")),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
    ]
)


def hard_to_read(text: str) -> list[tuple[int, str]]:
    """Each place that reads badly, with its line."""
    return [(text.count("\n", 0, found.start()) + 1, " ".join(found[0].split())) for found in PATTERN.finditer(text)]


def test_no_sentence_has_to_be_read_twice() -> None:
    offenders = [
        f"{path.relative_to(ROOT).as_posix()}:{line}: {words}"
        for path in TEXTS
        for line, words in hard_to_read(path.read_text("utf-8"))
    ]
    assert offenders == []


def test_what_is_hard_to_read_is_found_across_lines_and_in_comments() -> None:
    assert hard_to_read("It is no id.\nWhoever\n# Those\n# who\n-- so\n--   many") == [
        (1, "is no i"),
        (2, "Whoever"),
        (3, "Those # who"),
        (5, "so -- many"),
    ]


def test_plain_english_is_left_alone() -> None:
    assert hard_to_read("There is no such queue. It is no longer held. x is None. This is not a number.") == []
