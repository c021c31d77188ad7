"""A stored run, for tests of what looks at runs."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch import Trainer

from ..callback import BurrCallback
from ..runs import Run
from .scripted import ScriptedModule, scripted_loader


def scripted_run(burr: BurrCallback | str, **script: Sequence[float]) -> Run:
    """Train a `ScriptedModule` to the end of its script, and give the run as it is stored.

    Args:
        burr: The callback to train with, or the id of a run that monitors the first metric.
        script: For each metric, its value after each epoch, at least one.

    Returns:
        The run. One that has trained already is not trained again.

    Raises:
        ValueError: If there is no script, or one is empty.

    Example:
        >>> run = scripted_run("digits", val_loss=[0.9, 0.5, 0.7])
        >>> run.status, run.best["epoch"], list(run.history["val_loss"])
        ('finished', 1, [0.9, 0.5, 0.7])
    """
    if not script:
        raise ValueError("scripted_run(...): it needs the values of a metric, as val_loss=[0.9, 0.5].")
    module = ScriptedModule(**script)
    callback = BurrCallback(burr, monitor=next(iter(script))) if isinstance(burr, str) else burr
    trainer = Trainer(
        max_epochs=max(len(values) for values in script.values()),
        callbacks=[callback],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, scripted_loader(), scripted_loader())
    return callback.run
