"""The steps of the machine on the console, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from ..errors import MissingExtraError
from .flattened import flattened
from .trainer_hook import TrainerHook


class ConsoleHook(TrainerHook):
    """Prints one line per step: the epoch, the action, how long it took, and what came of it.

    That is what a phase logged, or its batches where it logged nothing; and of an ordinary action, the
    numbers and texts that it gave. The line goes through the trainer's progress bar, which stays whole.

    Raises:
        MissingExtraError: Without rich, which the extra ``cli`` brings.

    Example:
        >>> from burr_lightning import BurrCallback
        >>> burr = BurrCallback(hooks=[ConsoleHook()])
    """

    def __init__(self) -> None:
        try:
            from rich.console import Console
        except ModuleNotFoundError as error:
            raise MissingExtraError("ConsoleHook()", "rich", "cli") from error
        self._console = Console()

    def step_ended(
        self, trainer: Trainer, action: str, seconds: float, result: dict[str, Any], state: Any
    ) -> None:
        """Print the step."""
        is_phase = "first_batch" in result
        epoch = result["epoch"] if is_phase else state["epoch"]
        said = _in_short(result["metrics"] if is_phase else flattened(result))
        if is_phase and not said:
            said = f"batches {result['first_batch']} to {result['last_batch']}"
        self._print(trainer, f"epoch {epoch:>3}  {action:<14} {seconds:8.2f} s  {said}".rstrip())

    def _print(self, trainer: Trainer, line: str) -> None:
        bar = trainer.progress_bar_callback
        if isinstance(bar, RichProgressBar) and bar.progress is not None:
            bar.progress.console.print(line, markup=False, highlight=True, soft_wrap=True)
        elif isinstance(bar, TQDMProgressBar):
            Tqdm.write(line)  # its own print writes nothing while none of its bars is shown
        elif bar is not None:
            bar.print(line)
        else:
            self._console.print(line, markup=False, soft_wrap=True)


def _in_short(values: Mapping[str, Any]) -> str:
    return "  ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
