"""Everything this library asks of Lightning's strategies that shard a module over processes.

Read off Lightning 2.6 and torch 2.13; `tests/test_lightning_access.py` fails loudly when a private name
changes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.distributed.tensor import DTensor

from .commits import Checkpoints
from .errors import TrainerError


def shards(trainer: Trainer) -> bool:
    """Whether each process has a part of the module's parameters only."""
    return isinstance(trainer.strategy, ModelParallelStrategy)


def writes_folders(trainer: Trainer) -> bool:
    """Whether its checkpoints are folders, into which each process writes its part."""
    strategy = trainer.strategy
    return isinstance(strategy, ModelParallelStrategy) and strategy._save_distributed_checkpoint


def refuse_other_policies(trainer: Trainer, keep: Checkpoints) -> None:
    """See that checkpoints can be made as they are wanted.

    Raises:
        TrainerError: If they are folders, and one process would have to have them whole.
    """
    wanted = [name for name in ("asynchronous", "save_weights_only_best", "copy_to") if getattr(keep, name)]
    if not wanted or not writes_folders(trainer):
        return
    raise TrainerError(
        f"Checkpoints({wanted[0]}=...): ModelParallelStrategy writes checkpoints as folders, each process "
        f"its part, and this is there for checkpoints that one process writes. Leave it out, or have one "
        f"file: ModelParallelStrategy(save_distributed_checkpoint=False)."
    )


def part_of_checkpoint(trainer: Trainer) -> dict[str, Any]:
    """What this process has of a full checkpoint; all have to ask."""
    return trainer._checkpoint_connector.dump_checkpoint(weights_only=False)


def write_folder(trainer: Trainer, part: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint into a folder that is there; all have to, each with its part.

    What is neither weights nor optimizers is written by the first process, of its part.
    """
    trainer.strategy.save_checkpoint(part, folder)


def load_in_place(trainer: Trainer, path: Path) -> dict[str, Any]:
    """Load weights and optimizers from a checkpoint of this run, on all processes; tell the rest of it."""
    try:
        return trainer.strategy.load_checkpoint(path, weights_only=True)
    except pickle.UnpicklingError:
        return trainer.strategy.load_checkpoint(path, weights_only=False)


def reshard(trainer: Trainer) -> None:
    """Have the module's parameters be those that the optimizer has.

    After a validation the root's are still the whole ones, put together for the pass forward: what is
    done to them is lost.
    """
    if not shards(trainer):
        return
    from torch.distributed.fsdp import FSDPModule  # here, for it takes long

    for part in trainer.lightning_module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def with_states(trainer: Trainer, module: LightningModule) -> list[str]:
    """The parameters of which optimizers have a state."""
    known = {id(parameter) for optimizer in trainer.optimizers for parameter in optimizer.state}
    return [name for name, parameter in module.named_parameters() if id(parameter) in known]


@contextmanager
def room_for_states(trainer: Trainer, module: LightningModule, names: list[str] | None) -> Iterator[None]:
    """Have torch load the states of optimizers that a checkpoint has, no others, in the ``with`` block.

    It looks for one of each parameter that trains, which a parameter that was frozen until then has not; and
    it leaves out those of parameters that do not train now, which may have been trained before.

    Args:
        trainer: The trainer.
        module: The module in training.
        names: What `with_states` told when the checkpoint was written; ``None`` where it was by a strategy
            that does not shard, and all that trains is taken to have one.
    """
    if names is None:
        yield
        return
    known, parameters = set(names), dict(module.named_parameters())
    trained = {name for name, parameter in parameters.items() if parameter.requires_grad}
    for optimizer in trainer.optimizers:
        optimizer.state.clear()
        optimizer.zero_grad()
    try:
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in known)
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in trained)


def refuse_without_states(trainer: Trainer, content: dict[str, Any]) -> None:
    """See that a checkpoint which is put together on the first process can be gone on from.

    Raises:
        TrainerError: If an optimizer has no state: neither Lightning nor torch can load one from such a file.
    """
    for optimizer, states in zip(trainer.optimizers, content.get("optimizer_states", []), strict=False):
        if not states["state"]:
            raise TrainerError(
                f"ModelParallelStrategy(save_distributed_checkpoint=False): {type(optimizer).__name__} has "
                f"no state, and Lightning cannot load one from a file that is put together. Leave the "
                f"argument out, so that each process writes its part, or use an optimizer that has one, as "
                f"SGD with momentum does."
            )


def own_weights(trainer: Trainer) -> dict[str, Any]:
    """A copy of this process's part of the weights."""
    from torch.distributed.checkpoint.state_dict import get_model_state_dict  # here, for it takes long

    weights = get_model_state_dict(_model(trainer))
    return {name: v.clone() if isinstance(v, Tensor) else v for name, v in weights.items()}


def put_weights(trainer: Trainer, weights: dict[str, Any], *, whole: bool = False) -> None:
    """Put weights into the module, on all processes.

    Args:
        trainer: The trainer.
        weights: What `own_weights` gave, on each process.
        whole: Whether they are whole ones instead, the same on each.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    strict = trainer.lightning_module.strict_loading
    set_model_state_dict(
        _model(trainer), weights, options=StateDictOptions(full_state_dict=whole, strict=strict)
    )


def load_weights(trainer: Trainer, folder: Path) -> None:
    """Put the weights of a checkpoint into the module, on all processes; each reads its part."""
    from torch.distributed.checkpoint.state_dict import get_model_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load

    weights = {"state_dict": get_model_state_dict(_model(trainer))}
    load(weights, checkpoint_id=folder)
    put_weights(trainer, weights["state_dict"])


def local_part(tensor: Tensor) -> Tensor:
    """What this process has of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def part_like(local: Tensor, parameter: Tensor) -> Tensor:
    """A tensor that is distributed as a parameter is, of what this process has of it."""
    if not isinstance(parameter, DTensor):
        return local
    mesh, placements = parameter.device_mesh, parameter.placements
    return DTensor.from_local(
        local, mesh, placements, run_check=False, shape=parameter.shape, stride=parameter.stride()
    )


def _model(trainer: Trainer) -> Any:
    return trainer.strategy.model


def restores_late(trainer: Trainer) -> bool:
    """Whether a checkpoint is loaded only after the module and its optimizers are set up."""
    return bool(trainer.strategy.restore_checkpoint_after_setup)


class LateRestore:
    """A checkpoint that can be loaded only once the strategy has set the module up.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._connector: Any = trainer._checkpoint_connector

    def prepare(self, load: Callable[[], None]) -> None:
        """Have a checkpoint loaded where Lightning loads the one that ``fit`` is given.

        Args:
            load: Loads it. It is not called where ``fit`` is given one.
        """
        resume_start = self._connector.resume_start

        def load_ours(checkpoint_path: Any = None, weights_only: bool | None = None) -> None:
            self.end()
            if checkpoint_path is None:
                load()
            resume_start(checkpoint_path, weights_only=weights_only)

        self._connector.resume_start = load_ours

    def end(self) -> None:
        """Leave the trainer as it was."""
        self._connector.__dict__.pop("resume_start", None)
