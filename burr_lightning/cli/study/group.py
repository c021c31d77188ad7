"""The group of the commands about studies."""

from __future__ import annotations

import click

from .best import best
from .deletion import delete
from .listing import listing
from .plot import plot
from .show import show
from .watch import watch


@click.group()
def study() -> None:
    """Look at studies: hyperparameter searches whose trials are runs, and delete them.

    To be looked at they are opened to be read, without a lock, also while another process runs them.
    """


study.add_command(best)
study.add_command(delete)
study.add_command(listing)
study.add_command(plot)
study.add_command(show)
study.add_command(watch)
