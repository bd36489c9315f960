"""``aqueue doctor``: proof that every task is in exactly one place."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from ..tables import counted, printable, table
from ..target import find_store, store_options
from .info import json_option

if TYPE_CHECKING:
    from ... import Diagnosis, Huey


@click.command(epilog="Exit codes: 0 every task is in exactly one place; 1 at least one is not.")
@click.argument("word", metavar="[APP]", required=False)
@store_options
@json_option
def doctor(as_json: bool, **target: Any) -> int:
    """Prove that every task is in exactly one place, or list those that are not.

    It reads in small steps and changes nothing, so you can run it while workers run.
    """
    huey = find_store(**target)
    diagnosis = asyncio.run(_examine(huey))
    click.echo(_json(diagnosis) if as_json else _page(huey, diagnosis))
    return 0 if diagnosis.is_healthy else 1


async def _examine(huey: Huey) -> Diagnosis:
    async with huey:
        return await huey.doctor()


def _json(diagnosis: Diagnosis) -> str:
    return json.dumps(
        {
            "examined": diagnosis.examined,
            "findings": [finding._asdict() for finding in diagnosis.findings],
            "warnings": diagnosis.warnings,
        }
    )


def _page(huey: Huey, diagnosis: Diagnosis) -> str:
    rows = [(finding.what, finding.id or "-", finding.text) for finding in diagnosis.findings]
    lines = [*table(("FAULT", "TASK", "WHAT IT IS"), rows), *(f"warning: {text}" for text in diagnosis.warnings)]
    verdict = "each in exactly one place" if diagnosis.is_healthy else counted(len(diagnosis.findings), "fault")
    lines.append(f"{huey.name}: {counted(diagnosis.examined, 'task')} examined, {verdict}")
    return "\n".join(map(printable, lines))
