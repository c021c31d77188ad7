"""What a commit holds beside what Lightning keeps, so that a resumed run goes on to the last bit."""

from __future__ import annotations

from typing import Any

from burr.core import Application
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from . import lightning_access as access
from . import lightning_data as data
from . import lightning_loops as loops
from . import running_metrics as running
from .commits.rng import generator_states, rng_state, set_generator_states, set_rng_state
from .lightning_sharding import part_like
from .parameter_groups import layout_of

_ELSEWHERE = (Trainer, Logger, Application)
"""What leads away from the training."""

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
        "reload_epochs": data.reload_epochs(trainer),
        "frozen": frozen(module),
        "groups": layout_of(trainer, module),
        "lasting_workers": data.lasting_workers(trainer),
    }


def kept_of(kept: dict[str, Any], rank: int) -> dict[str, Any]:
    """What a rank has of its own in what a checkpoint holds of ours; the first one's where it has none."""
    others: list[dict[str, Any]] = kept.get("other_ranks", [])
    return others[rank - 1] if 0 < rank <= len(others) else kept


def ranks_of(kept: dict[str, Any]) -> int:
    """How many processes have made a checkpoint."""
    return 1 + len(kept.get("other_ranks", []))


def put_back(trainer: Trainer, module: LightningModule, kept: dict[str, Any]) -> None:
    """Put back what does not depend on the instant, once Lightning has restored everything else."""
    running.set_logged(trainer, kept["logged"])
    running.set_metric_states(module, kept["metric_states"])
    data.set_reload_epochs(trainer, kept["reload_epochs"])
    parameters = dict(module.named_parameters())
    for name, gradient in kept["gradients"].items():
        parameters[name].grad = part_like(gradient.to(parameters[name].device), parameters[name])


def frozen(module: LightningModule) -> dict[str, list[str]]:
    """What does not train: parameters, modules in evaluation mode, normalizations that count no data."""
    modules = list(module.named_modules())
    return {
        "parameters": [name for name, parameter in module.named_parameters() if not parameter.requires_grad],
        "evaluated": [name for name, part in modules if not part.training],
        "uncounted": [name for name, part in modules if getattr(part, "track_running_stats", True) is False],
    }


def set_frozen(module: LightningModule, kept: dict[str, list[str]]) -> None:
    """Freeze what `frozen` told of, and nothing else."""
    parameters, evaluated, uncounted = (set(kept[kind]) for kind in ("parameters", "evaluated", "uncounted"))
    for name, parameter in module.named_parameters():
        if parameter.requires_grad == (name in parameters):
            parameter.requires_grad_(name not in parameters)
    for name, part in module.named_modules():
        part.training = name not in evaluated
        if hasattr(part, "track_running_stats"):
            part.track_running_stats = name not in uncounted


def random_state(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
    """The state of every random number generator that can be found."""
    return {"global": rng_state(), "held": generator_states(_owners(trainer, module), _ELSEWHERE)}


def set_random_state(trainer: Trainer, module: LightningModule, state: dict[str, Any]) -> None:
    """Put the random number generators back."""
    set_rng_state(state["global"])
    set_generator_states(_owners(trainer, module), state["held"], _ELSEWHERE)


def optimization(trainer: Trainer) -> dict[str, list[str]]:
    """What kind of optimizers and schedulers there are: their states fit no others."""
    schedulers = [type(config.scheduler).__name__ for config in trainer.lr_scheduler_configs]
    if access.replaces_schedulers(trainer):
        schedulers = []
    return {
        "optimizers": [type(optimizer).__name__ for optimizer in trainer.optimizers],
        "schedulers": schedulers,
    }


def _owners(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
    return {
        "module": module,
        "datamodule": getattr(trainer, "datamodule", None),
        "train": data.train_loaders(trainer),
        "validation": data.validation_loaders(trainer),
        "callbacks": access.other_callbacks(trainer),
    }
