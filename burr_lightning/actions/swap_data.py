"""Train on other data from the next epoch on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from burr.core import State

from ..errors import ArgumentError
from ..state import survives
from .ordinary import OrdinaryAction, Training


class SwapData(OrdinaryAction):
    """Change settings of the datamodule, or the loaders, from the next epoch on.

    The loaders are made anew when the next epoch begins. A resumed run makes the same ones. The
    fingerprint of the data is taken again.

    Reads: `data_settings`. Writes: `data_settings`; `data`, which is taken when the loaders are made.

    Args:
        train_dataloader: A function that returns the training loaders; ``None`` asks who made them before.
        val_dataloader: The same for validation.
        settings: Attributes of the datamodule, or of the module where there is none, that
            ``train_dataloader()`` and ``val_dataloader()`` read; values that JSON can hold.

    Raises:
        ArgumentError: If nothing is given, or it is none of these.

    Example:
        >>> SwapData(batch_size=128)
        SwapData(batch_size=128)
    """

    READS = ("data_settings",)
    WRITES = ("data_settings", "data")

    def __init__(
        self,
        train_dataloader: Callable[[], Any] | None = None,
        val_dataloader: Callable[[], Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        for name, loader in (("train_dataloader", train_dataloader), ("val_dataloader", val_dataloader)):
            if loader is not None and not callable(loader):
                raise ArgumentError(
                    f"SwapData({name}={loader!r}): give a function that returns it, so that a resumed run "
                    f"can make the same one: SwapData({name}=lambda: ...)."
                )
        if train_dataloader is None and val_dataloader is None and not settings:
            raise ArgumentError("SwapData(): give a setting, as batch_size=128, or a loader.")
        changed = [
            f"{name}={value!r}" for name, value in settings.items() if not survives("data_settings", value)
        ]
        if changed:
            raise ArgumentError(
                f"SwapData({', '.join(changed)}): settings are kept in the rows of the run, which would give "
                f"back another value. Use numbers, texts, lists, and dicts with texts as keys."
            )
        self.train_dataloader, self.val_dataloader = train_dataloader, val_dataloader
        self.settings = settings

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Swap the data, and tell its settings."""
        training: Training = inputs["training"]
        training.swap_data(self.settings, self.train_dataloader, self.val_dataloader)
        before = state["data_settings"] or {"settings": {}, "train": None, "validation": None}
        return {
            "data_settings": {
                "settings": {**before["settings"], **self.settings},
                "train": self.name if self.train_dataloader is not None else before["train"],
                "validation": self.name if self.val_dataloader is not None else before["validation"],
            },
            "data": None,
        }

    def __repr__(self) -> str:
        loaders = {"train_dataloader": self.train_dataloader, "val_dataloader": self.val_dataloader}
        given = {name: loader for name, loader in loaders.items() if loader is not None} | self.settings
        return f"SwapData({', '.join(f'{name}={value!r}' for name, value in given.items())})"
