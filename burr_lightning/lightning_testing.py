"""Lightning's test loop, run while a training waits.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer import call as hooks
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.model_helpers import is_overridden

from .errors import TrainerError

_LOGGED = ("_callback_metrics", "_logged_metrics", "_progress_bar_metrics")
_PLACE = ("_first_loop_iter", "_current_fx")


def evaluate(trainer: Trainer, module: LightningModule, call: str) -> dict[str, float]:
    """Run the test loop, and give what it logged.

    Args:
        trainer: The trainer, at a boundary of its training.
        module: The module in training.
        call: Who asks, for the error.

    Raises:
        TrainerError: If the module has no ``test_step``, or there is no test data.
    """
    loop = trainer.test_loop
    if not is_overridden("test_step", module):
        raise TrainerError(f"{call}: {type(module).__name__} has no test_step, which says what is measured.")
    if not loop._data_source.is_defined():
        raise TrainerError(
            f"{call}: there is no test data. Give the datamodule, or the module, a test_dataloader."
        )
    datamodule = getattr(trainer, "datamodule", None)
    if datamodule is not None:
        hooks._call_lightning_datamodule_hook(trainer, "setup", stage="test")
    verbose, loop.verbose = loop.verbose, False
    with testing(trainer):
        try:
            logged = loop.run()
        finally:
            loop.verbose = verbose
    return {name: float(value) for of_loader in logged for name, value in of_loader.items()}


@contextmanager
def testing(trainer: Trainer) -> Iterator[None]:
    """Have a trainer test, and train on as if it had not."""
    connector: Any = trainer._logger_connector
    fn, stage = trainer.state.fn, trainer.state.stage
    place = {name: getattr(connector, name) for name in _PLACE}
    logged = {name: dict(getattr(connector, name)) for name in _LOGGED}
    trainer.state.fn, trainer.testing = TrainerFn.TESTING, True
    try:
        yield
    finally:
        trainer.state.fn, trainer.state.stage = fn, stage
        for name, value in {**place, **logged}.items():
            setattr(connector, name, value)
