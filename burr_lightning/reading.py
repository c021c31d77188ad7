"""What a user reads of a run through the callback that drives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from burr.core import Application, State
from lightning.pytorch import LightningModule

from .burr_access import position_of
from .errors import RunNotFoundError
from .history import MetricHistory
from .opening import OpenRun
from .persisters import Place
from .runs import Run


class RunReader:
    """The reading side of `BurrCallback`: the application while it runs, the run as it is stored."""

    run_id: str | None
    project: str
    root: Path
    _persister: Place | None
    _opened: OpenRun | None
    _trained_elsewhere: str | None = None
    """The run that processes have trained which ``fit`` has started and which are gone."""

    @property
    def app(self) -> Application[Any]:
        """The Burr application of the newest ``fit``.

        Raises:
            RuntimeError: Before the first one; and where it ran in processes of its own, as with
                ``strategy="ddp_spawn"``, whose application has ended with them.
        """
        if self._opened is not None:
            return self._opened.driver.app
        if self._trained_elsewhere is not None:
            raise RuntimeError(
                "trainer.fit has trained in processes of its own, and the application has ended with them. "
                "What they have left is in callback.run, callback.state and callback.history."
            )
        raise RuntimeError("There is no application before trainer.fit has begun.")

    @property
    def state(self) -> State[Any]:
        """The state of the machine; see ``burr_lightning.state`` for its keys.

        Where ``fit`` trained in processes of its own it is that of the run's newest commit.

        Raises:
            RuntimeError: Before the first ``fit``.
        """
        stored = self.run.state if self._trained_elsewhere is not None else None
        return stored if stored is not None else self.app.state

    @property
    def position(self) -> str | None:
        """The action that ran last, ``None`` before the first.

        Raises:
            RuntimeError: Before the first ``fit``.
        """
        return self.run.position if self._trained_elsewhere is not None else position_of(self.app)

    @property
    def history(self) -> MetricHistory:
        """The metrics so far.

        Raises:
            RuntimeError: Before the first ``fit``.
        """
        history: MetricHistory = self.state["history"]
        return history

    @property
    def folder(self) -> Path | None:
        """Where the files of the newest ``fit``'s run are; ``None`` where it leaves none."""
        if self._trained_elsewhere is not None:
            return self.run.folder
        folder = self._opened.folder if self._opened is not None else None
        return folder.path if folder is not None else None

    @property
    def opened(self) -> bool:
        """Whether there was a ``fit``, in this process or in some that it has started."""
        return self._opened is not None or self._trained_elsewhere is not None

    def trained(self, module: LightningModule) -> bool:
        """Whether the newest ``fit`` was that of a module."""
        return self._opened is not None and self._opened.module is module

    @property
    def paused(self) -> bool:
        """Whether the newest ``fit`` ended because the run waits for a human: see ``state["review"]``."""
        if self._trained_elsewhere is not None:
            return self.run.status == "paused"
        return self._opened is not None and self._opened.driver.asking.paused is not None

    @property
    def run(self) -> Run:
        """The run as it is stored.

        Raises:
            RunNotFoundError: If nothing is stored of it, as after a ``fast_dev_run``.
            RuntimeError: Before the first ``fit``, where no ``run_id`` was given.
        """
        run_id = self.run_id or self._trained_elsewhere or self.app.uid
        return Run.open(run_id, self.project, root_dir=self.root, persister=self._persister)

    @property
    def best_model_path(self) -> str:
        """The best checkpoint's path, empty while there is none: ``ckpt_path="best"`` asks for it."""
        run = self._stored()
        return str(run.best_checkpoint or "") if run else ""

    @best_model_path.setter
    def best_model_path(self, path: str) -> None:
        """Lightning's way to say that processes which it had started have trained, and what they found."""
        run_id = self.run_id or Path(path).parent.parent.name
        if not run_id or self._stored_as(run_id) is None:
            return  # nothing was trained that leaves anything, as by fast_dev_run
        self._opened, self._trained_elsewhere = None, run_id
        self.trained_elsewhere()

    def trained_elsewhere(self) -> None:
        """Processes that ``fit`` has started have trained, and are gone."""

    @property
    def last_model_path(self) -> str:
        """The newest checkpoint's path, empty while there is none."""
        run = self._stored()
        return str(run.last_checkpoint or "") if run else ""

    def _stored(self) -> Run | None:
        if self.run_id is None and not self.opened:
            return None
        return self._stored_as(self.run_id or self._trained_elsewhere or self.app.uid)

    def _stored_as(self, run_id: str) -> Run | None:
        try:
            return Run.open(run_id, self.project, root_dir=self.root, persister=self._persister)
        except RunNotFoundError:
            return None
