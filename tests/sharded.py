"""A training whose module is sharded over processes: for the tests."""

import hashlib
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from itertools import count

import torch
from digits import DigitNet
from forks import tell
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.strategies import ModelParallelStrategy
from ranked import QUIET, Happens, Training, fitted
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard

from burr_lightning import BurrCallback
from burr_lightning.commits.folders import remove_checkpoint

_TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}


class ShardedNet(DigitNet):
    """Each process has a part of each layer."""

    def configure_model(self):
        mesh = self.device_mesh["data_parallel"]
        for layer in (self.network[0], self.network[-1]):
            fully_shard(layer, mesh=mesh)
        fully_shard(self, mesh=mesh)

    def training_step(self, batch, batch_idx):
        torch.rand(self.global_rank)  # from here on each rank draws numbers of its own
        return super().training_step(batch, batch_idx)


def train_sharded(training, in_parts):
    """Train on this rank, and tell how that ended.

    Args:
        training: What is trained.
        in_parts: Whether checkpoints are folders that each rank writes into.
    """
    seed_everything(5, verbose=False)
    configured = training.callback() if training.callback else {}
    burr = BurrCallback(training.run_id, **{"monitor": "val_loss", "tracker": False, **configured})
    size = int(os.environ["WORLD_SIZE"])
    strategy = ModelParallelStrategy(
        data_parallel_size=size, tensor_parallel_size=1, save_distributed_checkpoint=in_parts
    )
    callbacks = [*([Happens(*training.event)] if training.event else []), burr]
    trainer = Trainer(
        max_epochs=training.epochs,
        callbacks=callbacks,
        **{"strategy": strategy, "accelerator": "cpu", "devices": size, **QUIET, **(training.trainer or {})},
    )
    tell("ended", ending(fitted(training, trainer), trainer, burr))


def train_and_die(training, in_parts, rank, last):
    """Train, and have one rank die by SIGKILL at its n-th touch of what is not whole yet, 1-based."""
    touches = count(1)

    def touched(event, arguments):
        ours = event in _TOUCHES and "/checkpoints/." in str(arguments[0])
        if ours and next(touches) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    if os.environ["RANK"] == str(rank):
        sys.addaudithook(touched)
    train_sharded(training, in_parts)


def remove_and_die(folder):
    """Remove a checkpoint, and die by SIGKILL as the first of its files goes."""

    def touched(event, arguments):
        if event == "os.remove":
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)
    remove_checkpoint(folder)


def ending(module, trainer, burr):
    """How a training has ended, weights and optimizers put together from all ranks."""
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return {
        "weights": digest_of(get_model_state_dict(module, options=whole)),
        "optimizer": digest_of(get_optimizer_state_dict(module, trainer.optimizers[0], options=whole)),
        "random": hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        "epoch": burr.state["epoch"],
        "history": {name: [repr(value) for value in burr.history[name]] for name in burr.history.names},
    }


def digest_of(content):
    """Of tensors to the last bit, and whatever else is there."""
    digest = hashlib.sha256()

    def add(name, value):
        if isinstance(value, (list, tuple)):  # torch makes one of the other, reading a file for all ranks
            value = dict(enumerate(value))
        if isinstance(value, dict):
            for key in sorted(value, key=str):
                add(f"{name}/{key}", value[key])
        elif isinstance(value, torch.Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode() + value.numpy().tobytes())
        else:
            digest.update(f"{name} {value!r}".encode())

    add("", content)
    return digest.hexdigest()


def spread(case, in_parts):
    """A script as it is, with its module sharded over two processes."""

    def write():
        script = case.write()
        module = script.module

        def configure_model():
            mesh = module.device_mesh["data_parallel"]
            for part in module.children():
                for layer in part.children():
                    _shard(layer, mesh)
                _shard(part, mesh)

        module.configure_model = configure_model
        strategy = ModelParallelStrategy(2, 1, save_distributed_checkpoint=in_parts)
        script.trainer |= {"strategy": strategy, "devices": 2}
        log = module.log
        # A schedule that looks at a metric needs the same one on each rank, with Lightning alone too.
        module.log = lambda *given, **options: log(*given, **{"sync_dist": True, **options})
        return script

    return replace(case, write=write)


def _shard(part, mesh):
    if any(True for _ in part.parameters()):
        fully_shard(part, mesh=mesh)


spread_in_parts = partial(spread, in_parts=True)
spread_in_one_file = partial(spread, in_parts=False)

SHARDED = Training(module=ShardedNet)
