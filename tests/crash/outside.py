"""Looks at a store from outside: what it holds of an application beyond results, dead letters and keys that stay."""

from __future__ import annotations

import contextlib
import sqlite3
from urllib.parse import urlsplit

import redis


def leftovers(url: str, name: str) -> list[str]:
    """One line for each thing that should not be there once every task has its verdict."""
    if url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(urlsplit(url).path)) as connection:
            return _in_file(connection, name)
    with redis.Redis.from_url(url) as server:
        return _on_server(server, f"{{aq:{name}}}")


def can_be_written(url: str) -> bool:
    """Whether nobody holds the lock on the file; a server has none."""
    if not url.startswith("sqlite:"):
        return True
    with contextlib.closing(sqlite3.connect(urlsplit(url).path, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


def _in_file(connection: sqlite3.Connection, name: str) -> list[str]:
    tasks = connection.execute(
        "SELECT task.id, place, at, length(payload) FROM task JOIN namespace ON namespace.id = task.namespace "
        "WHERE namespace.name = ?",
        (name,),
    )
    found = [str(task) for task in tasks if task[1] != "settled" or not task[2] or task[3]]
    for table in ("node", "edge", "revocation", "cancellation"):
        rows = connection.execute(
            f"SELECT * FROM {table} WHERE namespace = (SELECT id FROM namespace WHERE name = ?)", (name,)
        )
        found += [f"{table} {row}" for row in rows]
    return found


def _on_server(server: redis.Redis, tag: str) -> list[str]:
    found = []
    for key in server.scan_iter(f"{tag}:*", count=1000):
        match key.decode().removeprefix(tag).split(":")[1]:
            case "task":
                if server.pttl(key) <= 0:
                    found.append(f"record {key} never expires: {server.hgetall(key)}")
                if server.hexists(key, "p") or server.hexists(key, "j") or server.hexists(key, "n"):
                    found.append(f"record {key} has more than its verdict: {server.hgetall(key)}")
            case "stream":
                if entries := server.xlen(key):
                    found.append(f"stream {key} has {entries} entries")
                found += [f"group of {key}: {group}" for group in server.xinfo_groups(key) if group["pending"]]
            case "dead":
                if server.type(key) == b"hash" and server.pttl(key) <= 0:
                    found.append(f"dead letter {key} never expires")
            case "layout" | "lanes" | "leases" | "reclaimer" | "workers":
                pass
            case _:
                found.append(f"key {key}")
    return found
