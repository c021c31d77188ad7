"""The steps of the machine on the console, one line each."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar

from ..errors import MissingExtraError
from .trainer_hook import TrainerHook


class ConsoleHook(TrainerHook):
    """Prints one line per step: the epoch, the action, how long it took, and what was logged in it.

    The line goes through the trainer's progress bar, which stays whole.

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
        metrics = result.get("metrics", {})
        epoch = result.get("epoch", state["epoch"])
        said = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        if not metrics and "first_batch" in result:
            said = f"batches {result['first_batch']} to {result['last_batch']}"
        elif not metrics:
            said = "  ".join(_in_short(name, value) for name, value in result.items() if _is_short(value))
        self._print(trainer, f"epoch {epoch:>3}  {action:<14} {seconds:8.2f} s  {said}".rstrip())

    def _print(self, trainer: Trainer, line: str) -> None:
        bar = trainer.progress_bar_callback
        if isinstance(bar, RichProgressBar) and bar.progress is not None:
            bar.progress.console.print(line, markup=False, highlight=True, soft_wrap=True)
        elif bar is not None:
            bar.print(line)
        else:
            self._console.print(line, markup=False, soft_wrap=True)


def _is_short(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))


def _in_short(name: str, value: Any) -> str:
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
