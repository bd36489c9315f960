"""Applications on one kind of store: how a server and a file are named."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import ConfigurationError, Huey, RedisHuey, SqliteHuey
from aqueue.app.flavours import HueyKeywords

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AQUEUE_URL", raising=False)


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ({}, "redis://localhost:6379/0"),
        ({"port": 7000}, "redis://localhost:7000/0"),
        ({"db": 5}, "redis://localhost:6379/5"),
        ({"host": "a", "port": 1, "db": 2}, "redis://a:1/2"),
        ({"password": "@:/%# ?"}, "redis://:%40%3A%2F%25%23%20%3F@localhost:6379/0"),
        ({"username": "me@x", "password": "p"}, "redis://me%40x:p@localhost:6379/0"),
    ],
    ids=str,
)
def test_a_server_can_be_named_by_its_parts(arguments: dict[str, Any], url: str) -> None:
    assert RedisHuey("shop", **arguments)._url == url


def test_a_server_is_named_in_one_way() -> None:
    with pytest.raises(ConfigurationError, match="give url=, or host=, port="):
        RedisHuey("shop", url="redis://a", port=5)


async def test_any_file_name_will_do(tmp_path: Path) -> None:
    file = tmp_path / "a b#c?d%41&e=f.db"
    huey = SqliteHuey("shop", filename=file)
    add = huey.task(name="add")(lambda a, b: a + b)
    async with huey:
        await add.enqueue(1, 2)
    assert file.name in os.listdir(tmp_path)  # noqa: PTH208 - as text
    assert [name for name in os.listdir(tmp_path) if name.endswith(".db")] == [file.name]  # noqa: PTH208


def test_type_checkers_see_the_options_that_every_application_has() -> None:
    parameters = inspect.signature(Huey).parameters.values()
    assert {*HueyKeywords.__optional_keys__} == {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
