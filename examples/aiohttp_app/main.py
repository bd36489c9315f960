"""POST a text and get 202 with the id of a job; GET the job for the most frequent words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from tasks import count_words, huey

from aqueue import ResultNotFound, ResultTimeout, TaskException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

routes = web.RouteTableDef()


@routes.post("/texts")
async def post_text(request: web.Request) -> web.Response:
    result = await count_words.enqueue(await request.text())
    return web.json_response({"id": result.id}, status=202, headers={"Location": f"/jobs/{result.id}"})


@routes.get("/jobs/{job_id}")
async def get_job(request: web.Request) -> web.Response:
    try:
        result = huey.result(request.match_info["job_id"])
        words = await result.get(timeout=10)
    except ResultTimeout:
        return web.json_response({"state": await result.status()}, status=202)
    except (ResultNotFound, ValueError) as error:
        raise web.HTTPNotFound(text=str(error)) from None
    except TaskException as error:
        return web.json_response({"state": error.state, "error": str(error)})
    return web.json_response({"state": "done", "words": words})


async def connections(_: web.Application) -> AsyncIterator[None]:
    async with huey:
        yield


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(connections)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), port=8080)
