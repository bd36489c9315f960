"""Groups of commands."""

from __future__ import annotations

import difflib

import click

from .failures import shown


class Commands(click.Group):
    """A group that suggests the nearest name for an unknown command."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """The command with this name.

        Raises:
            click.UsageError: there is none; the message names the nearest, which not every version of click does.
        """
        command = super().get_command(ctx, cmd_name)
        if command is None:
            near = difflib.get_close_matches(cmd_name, self.commands, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(self.commands))}"
            raise click.UsageError(f"no command {shown(cmd_name)}; {hint}", ctx)
        return command
