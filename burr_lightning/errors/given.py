"""Errors about what a user has given or has installed."""

from __future__ import annotations

from collections.abc import Iterable

from .base import BurrLightningError


class RunIdError(BurrLightningError, ValueError):
    """A run id or a project name that cannot name a folder and a row.

    Attributes:
        value: What was given.
    """

    def __init__(self, value: object, call: str, rule: str) -> None:
        self.value = value
        super().__init__(f"{call}: {rule}")


class ArgumentError(BurrLightningError, TypeError):
    """An argument of another kind than it has to be."""


class NotDrawnError(BurrLightningError, ValueError):
    """There is too little that could be drawn.

    Attributes:
        missing: What there is too little of, in words.
    """

    def __init__(self, call: str, missing: str, advice: str) -> None:
        self.missing = missing
        super().__init__(f"{call}: {missing}. {advice}")


class MissingExtraError(BurrLightningError, ImportError):
    """A package is not installed that an optional part of this library needs.

    Attributes:
        package: The package.
        extra: The extra of this library that brings it.
    """

    def __init__(self, call: str, package: str, extra: str, instead: str = "") -> None:
        self.package, self.extra = package, extra
        needed = f"{call}: this needs the package {package}: pip install 'burr-lightning[{extra}]'."
        super().__init__(f"{needed} {instead}" if instead else needed)


class TrainerError(BurrLightningError, TypeError):
    """The callback was put into something that is not a `lightning.pytorch.Trainer`."""


class ExpressionError(BurrLightningError, ValueError):
    """A text that stands for no stop condition.

    Attributes:
        text: What was given.
        available: The functions that a text may call, sorted.
    """

    def __init__(self, text: str, why: str, available: Iterable[str]) -> None:
        self.text = text
        self.available = sorted(available)
        super().__init__(
            f"{text!r} stands for no stop condition: {why.rstrip('.')}. Write calls such as "
            f'plateau("val_loss", patience=3), combined with &, |, ~ and brackets. The functions are '
            f"{', '.join(self.available)}."
        )


class ListenError(BurrLightningError, OSError):
    """The web page cannot, or must not, listen on an address.

    Attributes:
        host: The address.
        port: The port.
    """

    def __init__(self, host: str, port: int, why: str) -> None:
        self.host, self.port = host, port
        super().__init__(f"burr-lightning ui --host {host} --port {port}: {why.rstrip('.')}.")
