"""The web applications of the examples: a server in one process, a worker in another, and requests over a socket."""

from __future__ import annotations

import signal
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from .processes import PATIENCE_SECONDS, environment, program, running

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"

AIOHTTP = "import socket, sys; from aiohttp import web; import main; "
AIOHTTP += "web.run_app(main.make_app(), sock=socket.socket(fileno=int(sys.argv[1])))"


@contextmanager
def serving(example: str, store: str) -> Iterator[httpx.Client]:
    """A client of the application in the directory `example`.

    The socket listens before the server starts, so that the first request waits for it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        if example == "aiohttp_app":
            command, ends_with = program("python", "-c", AIOHTTP, str(fd)), 0
        else:
            command, ends_with = program("python", "-m", "uvicorn", "main:app", "--fd", str(fd)), -signal.SIGTERM
        directory, env = EXAMPLES / example, environment(AQUEUE_URL=store)
        with (
            running(command, directory, env, fds=[fd], ends_with=ends_with),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as client,
        ):
            yield client


@contextmanager
def working(example: str, store: str) -> Iterator[None]:
    env = environment(AQUEUE_URL=store)
    with running(program("aqueue", "worker", "tasks:huey"), EXAMPLES / example, env):
        yield


def test_fastapi_answers_with_an_id_and_later_with_the_result(store: str) -> None:
    with serving("fastapi_app", store) as client:
        ordered = client.post("/reports", json={"rows": 5})
        assert ordered.status_code == 202
        job = ordered.json()["id"]
        waiting = client.get(f"/jobs/{job}", params={"wait": 0.1})
        assert (waiting.status_code, waiting.json()["state"]) == (200, "queued")
        with working("fastapi_app", store):
            done = client.get(f"/jobs/{job}", params={"wait": 30})
    assert done.json() == {"id": job, "state": "done", "value": {"rows": 5, "total": 15}, "error": None}

    with serving("fastapi_app", store) as client:
        again = client.get(f"/jobs/{job}")
    assert again.json() == done.json(), "a job outlives the process that ordered it"


def test_fastapi_streams_the_progress_of_a_job(store: str) -> None:
    with serving("fastapi_app", store) as client:
        job = client.post("/reports", json={"rows": 8}).json()["id"]
        with client.stream("GET", f"/jobs/{job}/progress") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            with working("fastapi_app", store):
                steps = [line.removeprefix("data: ") for line in stream.iter_lines() if line]
    assert steps[-1] == "8 of 8"
    assert set(steps) <= {f"{row} of 8" for row in range(1, 9)}


def test_fastapi_tells_what_went_wrong(store: str) -> None:
    with serving("fastapi_app", store) as client, working("fastapi_app", store):
        job = client.post("/reports", json={"rows": 0}).json()["id"]
        failed = client.get(f"/jobs/{job}", params={"wait": 30}).json()
        assert failed["state"] == "failed"
        assert "a report needs at least one row" in failed["error"]
        assert client.get("/jobs/0123456789abcdef").status_code == 404
        assert client.get("/jobs/no job").status_code == 404


def test_aiohttp_counts_words_in_a_worker(store: str) -> None:
    with serving("aiohttp_app", store) as client, working("aiohttp_app", store):
        posted = client.post("/texts", content="to be or not to be that is to ask")
        assert posted.status_code == 202
        done = client.get(posted.headers["location"])
        assert done.json() == {"state": "done", "words": {"to": 3, "be": 2, "or": 1}}
        assert client.get("/jobs/0123456789abcdef").status_code == 404


def test_a_worker_inside_the_application_serves_its_requests(store: str) -> None:
    with serving("embedded_worker", store) as client:
        assert client.get("/greetings/Ada").json() == {"greeting": "Hello, Ada!"}
