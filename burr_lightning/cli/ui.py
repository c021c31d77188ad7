"""`burr-lightning ui`: the review desk and Burr's own page, in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from .options import persister_option, where_options

_PORT = 7242


@click.command()
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Listen there.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=_PORT, show_default=True, help="0 is any that is free."
)
@click.option(
    "--token",
    metavar="TEXT",
    envvar="BURR_LIGHTNING_TOKEN",
    help="What opens the page, 16 characters or more; any other address than this machine's own takes one. "
    "Better given in BURR_LIGHTNING_TOKEN of the environment than where others see it.",
)
@click.option(
    "--name",
    "names",
    metavar="NAME",
    multiple=True,
    help="A name of a proxy that stands before it, as desk.example.org; takes a token. "
    "May be given several times.",
)
@where_options
@persister_option
def ui(
    host: str,
    port: int,
    token: str | None,
    names: tuple[str, ...],
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
) -> None:
    """Show all runs in a web page, live, and answer there what they ask.

    Burr's own page is served beside it, below /burr. With a token, open the page once with ?token=TEXT
    behind its address; the browser then remembers it. The page is not encrypted: over a network that you
    do not trust, go through ssh, or through a proxy that encrypts, with --name.
    """
    from ..desk.serving import serve

    serve(
        host,
        port,
        token,
        names,
        root_dir=root_dir,
        project=project,
        persister=persister,
        say=click.echo,
    )
