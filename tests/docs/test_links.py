from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .pages import PAGES, ROOT, anchors, is_held, links, name_of, rows, section

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
    readme = ROOT / "README.md"
    promises = rows(section(readme, "What it promises"))
    assert promises
    assert [promise for promise, *_, held_by in promises if not is_held(readme, held_by)] == []
