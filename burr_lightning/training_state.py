"""What a commit holds beside what Lightning keeps, so that a resumed run goes on to the last bit."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer

from . import lightning_loops as loops
from . import running_metrics as running
from .commits.rng import generator_states, rng_state, set_generator_states, set_rng_state

KEY = "burr_lightning"
"""Where it is in the checkpoint."""


def training_state(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
    """What to keep at a commit, at the end of an epoch or between two batches."""
    inside = loops.is_inside_epoch(trainer)
    return {
        "random": random_state(trainer, module),
        "logged": running.logged_so_far(trainer),
        "metric_states": running.metric_states(trainer, module, inside_epoch=inside),
        "running_means": running.running_means(trainer) if inside else None,
        "gradients": loops.accumulated_gradients(trainer, module) if inside else {},
        "schedulers": [] if inside else loops.steps_to_come(trainer),
        "reload_epoch": loops.reload_epoch(trainer),
    }


def put_back(trainer: Trainer, module: LightningModule, kept: dict[str, Any]) -> None:
    """Put back what does not depend on the instant, once Lightning has restored everything else."""
    running.set_logged(trainer, kept["logged"])
    running.set_metric_states(module, kept["metric_states"])
    loops.set_reload_epoch(trainer, kept["reload_epoch"])
    parameters = dict(module.named_parameters())
    for name, gradient in kept["gradients"].items():
        parameters[name].grad = gradient.to(parameters[name].device)


def random_state(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
    """The state of every random number generator that can be found."""
    return {"global": rng_state(), "held": generator_states(_owners(trainer, module))}


def set_random_state(trainer: Trainer, module: LightningModule, state: dict[str, Any]) -> None:
    """Put the random number generators back."""
    set_rng_state(state["global"])
    set_generator_states(_owners(trainer, module), state["held"])


def optimization(trainer: Trainer) -> dict[str, list[str]]:
    """What kind of optimizers and schedulers there are: their states fit no others."""
    return {
        "optimizers": [type(optimizer).__name__ for optimizer in trainer.optimizers],
        "schedulers": [type(config.scheduler).__name__ for config in trainer.lr_scheduler_configs],
    }


def _owners(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
    return {
        "module": module,
        "datamodule": getattr(trainer, "datamodule", None),
        "train": loops.train_loaders(trainer),
        "validation": loops.validation_loaders(trainer),
    }
