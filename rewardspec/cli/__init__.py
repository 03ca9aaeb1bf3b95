"""The command `rewardspec`: what each group of commands is called and in which order they are listed.

Commands import what they need when they run, so that `rewardspec --help` is there at once. An error that
rewardspec raises on purpose becomes its message on stderr and exit status 1; a usage error gives 2.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rewardspec.cli import (
    asking,
    auditing,
    blending,
    checking,
    comparing,
    formalising,
    labelling,
    looking,
    searching,
    solving,
    starting,
    training,
)
from rewardspec.cli.printing import STYLES, disk_trouble, say, say_error
from rewardspec.errors import RewardSpecError


class _Commands(TyperGroup):
    """The group of all commands; it turns the library's errors into messages."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except RewardSpecError as error:
            say_error(error)
            raise typer.Exit(1) from None
        except (typer.BadParameter, typer.Exit, typer.Abort):  # said by the command itself
            raise
        except Exception as error:
            trouble = disk_trouble(error)
            if trouble is None:
                raise
            say(("error", STYLES["error"]), f": {trouble}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="rewardspec",
    cls=_Commands,
    help="Declare what an agent should want; check it, test it, look at it, train on it.",
    epilog="Start with `rewardspec new CartPole-v1 -o cartpole.yaml`, then `rewardspec check cartpole.yaml`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    # Panels are for people: what is piped to a file or another program stays plain.
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from rewardspec import __version__

        typer.echo(f"rewardspec {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for command in (
    starting.new,
    checking.check,
    checking.test,
    looking.show,
    looking.draw,
    looking.explain,
    training.train,
    training.watch,
    labelling.label,
    searching.search,
    blending.freeze,
    comparing.compare,
    auditing.audit,
    formalising.formalisms,
    solving.equilibrium,
    starting.convert,
    checking.schema,
):
    app.command()(command)
app.add_typer(asking.app)


def main() -> None:
    """Run the command line; the entry point of the installed program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # a name in Greek must not stop a terminal that knows Latin letters only
            stream.reconfigure(errors="replace")
    app()
