"""The group of commands, and what they share: errors without a traceback, the version, the help.

No command module imports torch, Lightning or Burr when it is imported: the help must not wait.
"""

from __future__ import annotations

from typing import Any

import click

from ..errors import BurrLightningError
from .compare import compare
from .completion import completion
from .delete import delete
from .demo import demo
from .diff import diff
from .doctor import doctor
from .export import export
from .fork import fork
from .graph import graph
from .plot import plot
from .prune import prune
from .queue import cancel, queue
from .resume import resume
from .review import review
from .runs import runs
from .show import show
from .study import study
from .submit import submit
from .ui import ui
from .verify import verify
from .watch import watch
from .work import work

_INTERRUPTED = 130


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of this library is one line on stderr, and Ctrl-C a code of its own."""
        try:
            return super().invoke(ctx)
        except BurrLightningError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="burr-lightning", prog_name="burr-lightning")
def main() -> None:
    """Look at training runs that were driven by BurrCallback, and check them."""


main.add_command(cancel)
main.add_command(compare)
main.add_command(delete)
main.add_command(export)
main.add_command(completion)
main.add_command(demo)
main.add_command(diff)
main.add_command(doctor)
main.add_command(fork)
main.add_command(graph)
main.add_command(plot)
main.add_command(prune)
main.add_command(queue)
main.add_command(resume)
main.add_command(review)
main.add_command(runs)
main.add_command(show)
main.add_command(study)
main.add_command(ui)
main.add_command(submit)
main.add_command(verify)
main.add_command(watch)
main.add_command(work)
