from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .pages import PAGES, ROOT, anchors, links, name_of, rows, section

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for _, target in links(page):
        address = urlsplit(target)
        if address.scheme:
            continue
        file = (page.parent / address.path).resolve() if address.path else page
        if not file.exists() or (address.fragment and address.fragment not in anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"`((?:src|tests|docs|examples)/[\w./-]*)`", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_promise_of_the_readme_names_the_tests_that_hold_it() -> None:
    promises = rows(section(ROOT / "README.md", "What it promises"))
    assert promises
    for promise, *_, held_by in promises:
        held = re.findall(r"\[`(\w+)`\]\(([^)]+)\)", held_by)
        assert held, f"no test holds the promise {promise!r}"
        for test, file in held:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), (
                f"{file} has no {test}, which is to hold the promise {promise!r}"
            )
