"""The page about faults names a test for each of them."""

from __future__ import annotations

from .pages import ROOT, is_held, prose, tables

PAGE = ROOT / "docs/reliability.md"


def test_every_fault_is_held_by_a_test_that_exists() -> None:
    found = list(tables(prose(PAGE)))
    assert found
    for head, lines in found:
        assert head == ["fault", "what aqueue does", "proved by"]
        assert [row[0] for row in lines if not is_held(PAGE, row[-1])] == []
