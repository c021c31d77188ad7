"""Everything this library asks of Lightning about the loaders of a training: who makes them, and when.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden

from .lightning_order import SampleOrders


class LoadersMade:
    """With which random numbers the loaders in use were made; at a resume they are made with them again.

    Args:
        trainer: The trainer, before its loops set data up; they are changed until `remove`.
        state: Gives the state of the random number generators.
        set_state: Puts it back.
    """

    def __init__(self, trainer: Trainer, state: Callable[[], Any], set_state: Callable[[Any], None]) -> None:
        self.made_with: dict[str, Any] = {}
        self.to_swap = False
        """Whether all loaders are to be made anew, from other data, when the next epoch begins."""
        self._again: dict[str, Any] = {}
        self._trainer, self._state, self._set_state = trainer, state, set_state
        self._in_use = False
        train, validation = trainer.fit_loop, trainer.fit_loop.epoch_loop.val_loop
        self._loops: list[Any] = [train, validation]
        self._orders = SampleOrders(trainer)
        self._watch("train", train, lambda: bool(train._should_reload_train_dl))
        self._watch("validation", validation, lambda: bool(validation._should_reload_val_dl))

    @property
    def kept(self) -> dict[str, Any]:
        """What a commit holds of it."""
        return {"loaders_made": self.made_with, "swap": self.to_swap, "orders": self._orders.kept}

    def make_again(self, kept: dict[str, Any]) -> None:
        """Have the first loaders made as an earlier process made its last ones, and swapped as it would.

        Args:
            kept: What the process of before has kept.
        """
        self._again = dict(kept["loaders_made"])
        self.to_swap = kept.get("swap", False)
        self._orders.draw_again(kept.get("orders", {}))

    def swap(self) -> None:
        """Have all loaders made anew when the next epoch begins."""
        self.to_swap = True

    def training_started(self) -> None:
        """From here on, the next time that Lightning sees to its loaders is when an epoch begins."""
        self._in_use = True
        self._orders.training_started()

    def _watch(self, kind: str, loop: Any, is_due: Callable[[], bool]) -> None:
        set_up = loop.setup_data

        def note_and_set_up() -> None:
            if kind == "train" and self.to_swap and self._in_use:
                self.to_swap = False
                self._forget()
            is_new = loop._combined_loader is None or is_due()
            now = self._state() if is_new else None
            again = is_new and kind in self._again
            if again:
                self._set_state(self._again[kind])
            if is_new:
                self.made_with[kind] = self._again.pop(kind, now)
            set_up()
            if kind == "validation":
                self._orders.made(kind, loop)
            if again:
                # The earlier process made them at another time: here, none of its draws count.
                self._set_state(now)

        loop.setup_data = note_and_set_up

    def _forget(self) -> None:
        train, validation = self._loops
        train._combined_loader = None
        if validation._combined_loader is not None:
            validation._combined_loader = None
            self._trainer.validating = True
            validation.setup_data()
            self._trainer.training = True

    def remove(self) -> None:
        """Leave the loops as they were."""
        self._orders.remove()
        for loop in self._loops:
            loop.__dict__.pop("setup_data", None)
            loop._data_source.__dict__.pop("dataloader", None)


def take_data_from(
    trainer: Trainer, train: Callable[[], Any] | None, validation: Callable[[], Any] | None
) -> None:
    """Have loaders made by functions, until `LoadersMade.remove`; ``None`` leaves who makes them."""
    loop: Any = trainer.fit_loop
    for source, make in ((loop._data_source, train), (loop.epoch_loop.val_loop._data_source, validation)):
        if make is not None:
            source.dataloader = make


def train_loaders(trainer: Trainer) -> list[Any]:
    """The loaders of the training data."""
    combined = trainer.fit_loop._combined_loader
    return list(combined.flattened) if combined is not None else []


def validation_loaders(trainer: Trainer) -> list[Any]:
    """The loaders of the validation data, none where they are not set up yet."""
    combined = trainer.fit_loop.epoch_loop.val_loop._combined_loader
    return list(combined.flattened) if combined is not None else []


def goes_on_inside_epoch(trainer: Trainer) -> bool:
    """Whether the training data can be read on from the middle of an epoch in another process."""
    loaders = train_loaders(trainer)
    return bool(loaders) and all(
        callable(getattr(loader, name, None))
        for loader in loaders
        for name in ("state_dict", "load_state_dict")
    )


def loader_states(trainer: Trainer) -> list[dict[str, Any]]:
    """Where in its share of the training data this process is; empty where its loaders do not tell."""
    combined = trainer.fit_loop._combined_loader
    return combined._state_dicts() if combined is not None else []


def take_loader_states(checkpoint: dict[str, Any], states: list[dict[str, Any]]) -> None:
    """Have a checkpoint, which has been read and not been restored, hold what `loader_states` gave."""
    loop = checkpoint["loops"]["fit_loop"]["state_dict"]
    loop.pop("combined_loader", None)
    if states:
        loop["combined_loader"] = states


def workers_that_go_on(trainer: Trainer, *, inside_epoch: bool) -> list[Any]:
    """The training loaders whose workers' random number generators nobody can put back.

    Workers that live for one epoch are seeded at its beginning, so at the end of one all is known.
    """
    return [
        loader
        for loader in train_loaders(trainer)
        if getattr(loader, "num_workers", 0)
        and (inside_epoch or getattr(loader, "persistent_workers", False))
    ]


def reload_epochs(trainer: Trainer) -> list[float]:
    """The epochs that the training loaders and those for validation were made for."""
    loop = trainer.fit_loop
    return [loop._last_train_dl_reload_epoch, loop.epoch_loop.val_loop._last_val_dl_reload_epoch]


def set_reload_epochs(trainer: Trainer, epochs: list[float]) -> None:
    """Have loaders made again when they would be, had they been made for these epochs."""
    loop = trainer.fit_loop
    loop._last_train_dl_reload_epoch, loop.epoch_loop.val_loop._last_val_dl_reload_epoch = epochs


def lasting_workers(trainer: Trainer) -> list[int]:
    """The validation loaders with ``persistent_workers`` whose workers are there already."""
    loaders = validation_loaders(trainer)
    return [i for i, loader in enumerate(loaders) if getattr(loader, "_iterator", None) is not None]


def start_workers(trainer: Trainer, which: list[int]) -> None:
    """Start what `lasting_workers` told of: to start them later draws a number that was not drawn then."""
    for index, loader in enumerate(validation_loaders(trainer)):
        if index in which and getattr(loader, "_iterator", True) is None:
            iter(loader)


def has_settings(trainer: Trainer) -> bool:
    """Whether a datamodule or the module makes loaders, and not the user before ``fit``."""
    loop: Any = trainer.fit_loop
    sources = loop._data_source, loop.epoch_loop.val_loop._data_source
    return any(s.is_module() and is_overridden(s.name, s.instance) for s in sources)
