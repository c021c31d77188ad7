"""The contract of an ordinary action: what a run that has it in its machine relies on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from burr.core.graph import Graph, GraphBuilder
from lightning.pytorch import Callback, LightningModule, Trainer

from ..actions import BestModel, ProcessData, TrainEpoch, Validate
from ..callback import BurrCallback
from ..commits.rng import rng_state, set_rng_state
from ..machines import FINISHED, VALIDATION_DUE
from .holding import hold
from .scripted import ScriptedModule, scripted_loader

_EPOCHS, _INTERRUPTED = 4, 2


def check_action(
    action: Any, module: Callable[[], LightningModule] | None = None, **initial_state: Any
) -> dict[str, Any]:
    """Hold an ordinary action to what a run relies on that has it after each validation.

    A machine with it is trained for four epochs twice: at one go, and interrupted after the second epoch and
    gone on with. What the action wrote, and the weights, have to be the same: an action that keeps something
    to itself, beside the state, the module and the trainer, loses it at a resume.

    Args:
        action: An ordinary action, or a function that Burr's ``@action`` has made one.
        module: Makes the module that is trained; ``None`` takes a `ScriptedModule` whose ``val_loss`` falls.
        initial_state: Keys of your own that are there from the start, as in
            ``BurrCallback(initial_state=...)``.

    Returns:
        What the action has written in the end, by key.

    Raises:
        AssertionError: If the run that was gone on with is another one.
        BurrLightningError: If the machine is refused, or what the action writes cannot be kept in a row.

    Example:
        >>> from burr.core import action
        >>> @action(reads=["seen"], writes=["seen"])
        ... def count(state, trainer):
        ...     return state.update(seen=state["seen"] + [trainer.global_step])
        >>> check_action(count, seen=[])
        {'seen': [4, 8, 12, 16]}
    """
    make = module if module is not None else lambda: ScriptedModule(val_loss=[0.9, 0.7, 0.5, 0.4])
    with tempfile.TemporaryDirectory() as folder:
        whole, weights = _trained(action, make, f"{folder}/whole", initial_state, [])
        interrupts = _Interrupts()
        with suppress(_InterruptedError):
            _trained(action, make, f"{folder}/parts", initial_state, [interrupts])
        hold(interrupts.came, "The run has ended before its third epoch, so nothing was interrupted.")
        parts, other_weights = _trained(action, make, f"{folder}/parts", initial_state, [])
    for key, value in whole.items():
        hold(
            repr(parts[key]) == repr(value),
            f"The run that was interrupted and gone on with has {key}={parts[key]!r}; at one go it is "
            f"{value!r}. An action may keep nothing beside the state, the module and the trainer.",
        )
    differing = [name for name, value in weights.items() if not torch.equal(value, other_weights[name])]
    hold(not differing, f"The run that was interrupted and gone on with has other weights in {differing}.")
    return whole


def _trained(
    action: Any,
    make: Callable[[], LightningModule],
    root_dir: str,
    initial_state: dict[str, Any],
    others: list[Callback],
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What the action has written, and the weights."""
    graph = _machine(action)
    burr = BurrCallback(
        "checked", machine=graph, initial_state=initial_state, root_dir=root_dir, tracker=False
    )
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    before = rng_state()
    try:
        torch.manual_seed(0)
        module = make()
        trainer = Trainer(max_epochs=_EPOCHS, callbacks=[burr, *others], **quiet)
        trainer.fit(module, scripted_loader(), scripted_loader())
    finally:
        set_rng_state(before)
    hold(not burr.paused, "The run waits for a human, so that nothing could be compared.")
    [checked] = [each for each in graph.actions if each.name == "checked"]
    return {key: burr.state[key] for key in checked.writes}, module.state_dict()


def _machine(action: Any) -> Graph:
    return (
        GraphBuilder()
        .with_actions(
            process_data=ProcessData(),
            train_epoch=TrainEpoch(),
            validate=Validate(),
            checked=action,
            best_model=BestModel(),
        )
        .with_transitions(
            ("process_data", "train_epoch"),
            ("train_epoch", "validate", VALIDATION_DUE),
            ("train_epoch", "best_model", FINISHED),
            ("train_epoch", "train_epoch"),
            ("validate", "checked"),
            ("checked", "best_model", FINISHED),
            ("checked", "train_epoch"),
        )
        .build()
    )


class _InterruptedError(Exception):
    """The training was interrupted on purpose."""


class _Interrupts(Callback):
    """Ends the training when its third epoch begins."""

    came = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epochs before are over."""
        if trainer.current_epoch == _INTERRUPTED:
            self.came = True
            raise _InterruptedError
