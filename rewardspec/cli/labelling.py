"""The command that asks people: `label`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardspec.cli.printing import draw_without_a_screen, say


def label(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run folder of `rewardspec train`.", show_default=False)
    ],
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port of the page; 0 for any that is free.")
    ] = 8765,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; as it is, this machine alone.")
    ] = "127.0.0.1",
) -> None:
    """Ask which of two clips is better, for a run that people teach.

    For specs with `preferences: {labels: {file: ...}}`. A local web page shows two clips of the agent's own
    episodes side by side. The arrow keys say left or right, down says equal, S skips, Backspace takes the
    last answer back. Answers are on the disk at once; a run that is training reads them at its next refresh.
    Ctrl-C ends.

    \b
    Example:
      rewardspec label runs/comfort
      rewardspec label runs/comfort --port 9000
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.report.label_desk import Desk
    from rewardspec.report.label_server import LabelServer

    draw_without_a_screen()
    desk = Desk(run)
    try:
        with LabelServer(desk, host, port) as server:
            state = desk.state()
            say(("label at ", "bold"), (server.url, "bold"), "  (Ctrl-C ends)")
            say(f"{state['answered']} of {state['asked']} questions are answered", err=True)
            if state["finished"]:
                say(("the run has ended: it reads no more answers", "yellow"), err=True)
            if not server.is_local:
                say(("everybody who reaches this machine can answer", "yellow"), err=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                say(err=True)
        state = desk.state()
        files = ", ".join(dict.fromkeys(str(file) for file in desk.files.values()))
        say(f"{state['answered']} of {state['asked']} questions are answered, in {files}", err=True)
    finally:
        desk.close()
