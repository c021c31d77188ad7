"""The processes that train one run together: what the first of them decides, all of them do."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.pytorch import Trainer
from torch.distributed.distributed_c10d import _get_default_store

from .errors import BurrLightningError, RankFailedError, RankLostError

_Value = TypeVar("_Value")

_trainings = count()
"""Those of a process, which are as many on each rank."""
_PATIENCE = timedelta(days=365)

_Told = tuple[Any, BaseException | None]
"""What a rank tells the others: a value, or why it has none."""


class Ranks:
    """The ranks of a training, as one of them sees them.

    They speak over a group of their own, on the CPU: what Lightning says over its group, in the handler of a
    signal too, is never taken for what is said here. Where there is one rank, nothing is said at all.

    Every method has to be called by all of them, in the same order. One that has left, for it has failed in
    what they did together or its run is closed, is refused: RankFailedError or RankLostError.

    Args:
        trainer: The trainer, whose processes know each other already.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.rank, self.size = trainer.global_rank, trainer.world_size
        self._group: Any = None
        self._patient: Any = None
        self._note = f"burr_lightning/failed/{next(_trainings)}"
        self._left: BurrLightningError | None = None
        if self.size > 1:
            self._group = dist.new_group(backend="gloo")
            self._patient = dist.new_group(backend="gloo", timeout=_PATIENCE)

    @property
    def leads(self) -> bool:
        """Whether it is the first: it decides, and has the store, the tracker and the console."""
        return self.rank == 0

    def agreed(self, decide: Callable[[], _Value], *, patient: bool = False) -> _Value:
        """What the first one decides; the others are not asked.

        Args:
            decide: Gives what can be pickled.
            patient: Whether it may take days, as a human may.

        Raises:
            BurrLightningError: What the first one has raised, on all of them.
            RankFailedError: On the others, where that was no error of this library.
            RankLostError: If a process has ended.
        """
        if self.size == 1:
            return decide()
        if not self.leads:
            value, error = self._heard(None, patient)
            if error is not None:
                raise error
            return value  # type: ignore[no-any-return]
        try:
            value = decide()
        except BaseException as error:
            self._heard((None, error), patient)
            raise
        self._heard((value, None), patient)
        return value

    def together(self, act: Callable[[], _Value]) -> _Value:
        """Have all of them do something; where one fails, all do.

        The one that fails waits for nobody: the others may be in the middle of what they do together.

        Args:
            act: What each does.

        Returns:
            What this one has.

        Raises:
            RankFailedError: If another one has failed.
            RankLostError: If a process has ended.
        """
        if self.size == 1:
            return act()
        try:
            value = act()
        except BaseException as error:
            self._leave(f"{type(error).__name__}: {error}")
            raise
        self.of_all(None)
        return value

    def of_all(self, value: _Value) -> list[_Value]:
        """A small value of each, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _noticed(self):
            dist.all_gather_object(values, value, group=self._group)
        return values

    def any(self, *values: bool) -> list[bool]:
        """Of each value, whether it is so on one of them."""
        if self.size == 1:
            return [*values]
        found = torch.tensor([int(value) for value in values])
        with _noticed(self):
            dist.all_reduce(found, op=dist.ReduceOp.MAX, group=self._group)
        return [bool(value) for value in found.tolist()]

    def collected(self, value: Any) -> list[Any] | None:
        """What each of them has, by rank, its tensors in the memory of the CPU; ``None`` but on the first."""
        if self.size == 1:
            return [value]
        packed: list[Any] | None = [None] * self.size if self.leads else None
        stream = io.BytesIO()
        torch.save(value, stream)
        with _noticed(self):
            dist.gather_object(stream.getvalue(), packed, group=self._group)
        if packed is None:
            return None
        return [torch.load(io.BytesIO(each), map_location="cpu", weights_only=False) for each in packed]

    def _leave(self, why: str) -> None:
        """Write down why this one fails, where the others look once they hear that it has left."""
        with suppress(Exception):  # the process that keeps the notes may be the one that is gone
            _get_default_store().set(self._note, f"{self.rank} {why}")
        self._left = RankFailedError(self.rank, why)
        self.close()

    @property
    def left(self) -> BurrLightningError | None:
        """Why this one does not speak any more; ``None`` while it does."""
        return self._left

    def failed(self) -> RankFailedError | None:
        """What the one that has left has written down; ``None`` where it had no time to."""
        with suppress(Exception):
            if _get_default_store().check([self._note]):
                rank, why = _get_default_store().get(self._note).decode().split(" ", 1)
                return RankFailedError(int(rank), why)
        return None

    def close(self) -> None:
        """Speak no more; whoever still waits for this one hears that it has left."""
        self._left = self._left or RankLostError(self.rank, self.size, RuntimeError("its run is closed"))
        groups, self._group, self._patient = (self._group, self._patient), None, None
        for group in groups:
            if group is not None and dist.is_initialized():
                dist.destroy_process_group(group)

    def _heard(self, told: _Told | None, patient: bool) -> _Told:
        given = [None if told is None else (told[0], None if told[1] is None else _sent(told[1]))]
        with _noticed(self):
            dist.broadcast_object_list(given, src=0, group=self._patient if patient else self._group)
        heard = given[0]
        assert heard is not None
        return heard


@contextmanager
def _noticed(ranks: Ranks) -> Iterator[None]:
    """Say in words that a process has ended, where torch speaks of a connection.

    Without a group of ours torch would take its own, in which Lightning may be saying something else.
    """
    if ranks.left is not None:
        raise ranks.left
    try:
        yield
    except RuntimeError as error:
        raise ranks.failed() or RankLostError(ranks.rank, ranks.size, error) from error


def _sent(error: BaseException) -> BaseException:
    """An error as it is told to the others: of ours as it is, of another what it says."""
    if isinstance(error, BurrLightningError):
        try:
            pickle.dumps(error)
        except Exception:
            pass
        else:
            return error
    return RankFailedError(0, f"{type(error).__name__}: {error}")
