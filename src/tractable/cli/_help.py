"""Help that leads: options in groups, each under what its group is about."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from tractable.cli._spread import LAST_TITLE as LAST


def examples(*commands: str) -> str:
    """The end of a command's help.

    >>> examples("show asia.bif")
    '\\x08\\nExamples:\\n  tractable show asia.bif'
    """
    return "\b\nExamples:\n" + "\n".join(f"  tractable {command}" for command in commands)


class GroupedHelp(TyperCommand):
    """A command whose help has its options in the groups that they are declared in (`spread`)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, the command's own options, then each group, and last what every command takes."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            if (told := param.get_help_record(ctx)) is not None:
                argument = param.param_type_name == "argument"
                own = "Arguments" if argument else getattr(param, "rich_help_panel", None) or "Options"
                groups.setdefault(LAST if param.name == "help" else own, []).append(told)
        for name in sorted(groups, key=lambda name: name == LAST):
            if groups[name]:
                with formatter.section(name):
                    formatter.write_dl(groups[name])
