"""`BurrCallback`: Lightning's hooks, handed on to the driver of a run's machine."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from burr.core import Condition
from burr.core.graph import Graph
from burr.core.persistence import BaseStatePersister
from burr.lifecycle.base import LifecycleAdapter
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_info  # type: ignore[attr-defined]

from . import messages
from .acting.swapping import swap_again
from .commits import Checkpoints
from .errors import TrainerError
from .graph_checks import refuse_what_is_not_kept
from .hparams import change_again
from .layout import (
    DEFAULT_PROJECT,
    Outcome,
    checked_project,
    chosen_run_id,
    home,
    new_run_id,
)
from .leaving import LeavesPaused, end_paused
from .lightning_access import (
    allow_finished_epochs,
    drop_preloaded,
    explain_disabled_checkpointing,
    refuse_other_trainers,
    run_last,
)
from .lightning_leaving import tell_of_exceptions
from .lightning_sharding import refuse_other_policies
from .lightning_slurm import end_leaving_out, leave_out_own_choice
from .machines.chosen import chosen_machine
from .metric import Mode, checked_mode
from .module_hooks import hooks_of
from .opening import OpenRun
from .pausing import OnPause, Wait
from .pausing.pause import checked_on_pause
from .pausing.ways import checked_wait
from .persisters import PersisterUrl
from .phase_hooks import PhaseHooks
from .ranks import Ranks
from .reading import RunReader
from .replay.child import leave_out_loggers, replayed
from .restoring import Restoring
from .sending import CanBeSent
from .settings import RunSettings
from .shadow import checked_shadow
from .state import checked_keys

log = logging.getLogger(__name__)

_TERMINATED = 128 + signal.SIGTERM
"""What a process exits with that SIGTERM ended; Lightning would exit with 0, as if it had finished."""


class BurrCallback(RunReader, LeavesPaused, PhaseHooks, CanBeSent, Checkpoint):
    """Turns a training run into a Burr state machine.

    Every epoch becomes a Burr action that is committed to disk when it ends. The same script run
    again goes on with the run of the same ``run_id``; a finished run is not trained again.

    Args:
        run_id: The run's name, a folder's name. ``None`` takes the environment's
            ``BURR_LIGHTNING_RUN_ID``, else a new id for each ``fit``.
        project: The project that the run belongs to; Burr's UI lists runs by project.
        monitor: The metric that says which epoch is the best, ``None`` for none: then the last
            epoch is named.
        mode: ``"min"`` or ``"max"``; ``None`` takes the direction that the metric itself declares
            (a torchmetrics metric that was logged as an object does), else ``"min"``.
        stop_when: When to stop, a Burr condition on the state; ``None`` leaves that to Lightning's
            own limits, which are honoured in any case.
        review_when: When to ask a human whether to go on: a Burr condition, asked about what was logged
            since the last answer. ``None`` never asks.
        shadow: Conditions by name that are watched beside, and never obeyed: the state, the console and
            `burr-lightning show` say after which epoch each would have stopped the run.
        machine: A Burr graph, or a function that returns one, in place of the default machine.
        initial_state: Keys of your own machine's state and what they hold before the first action.
        checkpoints: Which checkpoints are kept.
        hooks: Burr lifecycle adapters.
        stream_every_n_batches: Every which batch is a stream item of its phase, 1 or more.
        persister: Where the rows are: a URL (``sqlite:///path``, ``postgresql://``, ``redis://``,
            ``mongodb://``), or any synchronous Burr persister, initialised; ``None`` is SQLite in
            ``root_dir``.
        tracker: ``True`` is Burr's own tracker in Burr's own place, so that ``burr`` shows the run;
            ``False`` is none; or any tracking client.
        root_dir: Where runs are kept. ``None`` takes the environment's ``BURR_LIGHTNING_HOME``, else
            ``./burr_runs``.
        wait: What ``fit`` does where a human is asked: ``"exit"`` returns, ``"block"`` waits, ``"prompt"``
            asks at the terminal; a `Block` waits for a time.
        on_pause: A function that is told of each `Pause`, as `post_to` gives one.

    Raises:
        RunIdError: If ``run_id`` or ``project`` cannot name a folder.
        MachineError: If ``machine`` cannot drive a training run.
        ArgumentError: If an argument is of another kind than it has to be.
        MissingExtraError: If the package that ``persister`` needs is not installed.
        ValueError: If ``mode`` is neither ``"min"`` nor ``"max"``.
        TrainerError: In ``fit``, if there is another one in the Trainer.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> burr = BurrCallback(run_id="digits", monitor="val_loss", stop_when=plateau("val_loss", 5))
        >>> [action.name for action in burr.machine.actions]
        ['process_data', 'train_epoch', 'validate', 'best_model']
    """

    only_for: LightningModule | None = None
    """The one module whose training it drives, which has brought it; ``None`` drives that of any."""

    def __init__(
        self,
        run_id: str | None = None,
        project: str = DEFAULT_PROJECT,
        *,
        monitor: str | None = None,
        mode: Mode | None = None,
        stop_when: Condition | None = None,
        review_when: Condition | None = None,
        machine: Graph | Callable[[], Graph] | None = None,
        initial_state: Mapping[str, Any] | None = None,
        shadow: Mapping[str, Condition] | None = None,
        checkpoints: Checkpoints | None = None,
        hooks: Sequence[LifecycleAdapter] = (),
        stream_every_n_batches: int = 1,
        persister: str | BaseStatePersister | None = None,
        tracker: bool | LifecycleAdapter = True,
        root_dir: str | os.PathLike[str] | None = None,
        wait: Wait = "exit",
        on_pause: OnPause | None = None,
    ) -> None:
        super().__init__()
        self.root, self.project = home(root_dir), checked_project(project)
        self.run_id = chosen_run_id(run_id, self.root / self.project)
        self.monitor = monitor
        self.mode = checked_mode(mode, "BurrCallback(mode=...)") if mode is not None else None
        self.initial_state = checked_keys(initial_state or {})
        self.machine = chosen_machine(machine, stop_when, review_when, self.initial_state)
        self.shadow = checked_shadow(shadow if shadow is not None else {})
        self.checkpoints = checkpoints or Checkpoints()
        self._hooks, self._tracker = hooks, tracker
        self._stream_every_n_batches = stream_every_n_batches
        self._persister = PersisterUrl.parse(persister) if isinstance(persister, str) else persister
        self._wait, self._on_pause = checked_wait(wait, self.machine), checked_on_pause(on_pause)
        self._settings()
        keep = self.checkpoints
        refuse_what_is_not_kept(self.machine, monitor, keep.keep_last, keep.keep_best)
        self._opened: OpenRun | None = None
        self._restoring: Restoring | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Open the run, and have Lightning restore it where it stopped."""
        if stage != "fit":
            return
        if not self.drives(pl_module):
            # The list is replaced, not changed: Lightning is walking through it.
            trainer.callbacks = [other for other in trainer.callbacks if other is not self]  # type: ignore[attr-defined]
            return
        refuse_other_trainers(trainer)
        refuse_other_policies(trainer, self.checkpoints)
        _refuse_two_machines(trainer, pl_module)
        run_last(trainer, self)
        self._restoring = None
        ranks, settings = Ranks(trainer), self._settings()
        run_id, hooks = ranks.agreed(lambda: settings.run_id), settings.hooks if ranks.leads else ()
        settings = replace(settings, run_id=run_id, hooks=[*hooks, *hooks_of(pl_module, run_id)])
        settings = replayed(settings, trainer, BurrCallback)
        self._opened = OpenRun(settings, trainer, pl_module, ranks)
        standing = self._opened.standing
        change_again(pl_module, standing.state["changed_hparams"] or {})
        for line in messages.opened(self._opened, leave_out_own_choice(trainer)):
            rank_zero_info(line)
        if standing.checkpoint is not None:
            self._restoring = Restoring(trainer, pl_module, self._opened, standing.checkpoint)
            allow_finished_epochs(trainer, standing.state["epoch"] + 1)
            if standing.state["data_settings"] is not None:
                swap_again(trainer, pl_module, self.machine, standing.state["data_settings"], settings.run_id)
        if standing.finished:
            trainer.should_stop = True

    def drives(self, pl_module: LightningModule) -> bool:
        """Whether it drives the training of a module; one that another module has brought does not."""
        return self.only_for is None or self.only_for is pl_module

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hear signals together; what goes on from a commit is restored after this."""
        tell_of_exceptions(trainer, lambda error: self.on_exception(trainer, pl_module, error))
        self._fitting.driver.sigterm.begin()
        if self._restoring is not None:
            self._restoring.fit_starts()

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take what is ours out of a commit of this run."""
        if self._restoring is not None and trainer.state.fn == "fit":
            self._restoring.loaded(checkpoint)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The machine starts, or goes on."""
        self.hear_what_is_needed()
        kept = self._restoring.kept if self._restoring is not None else None
        self._restoring = None
        self._fitting.driver.training_started(kept, self.hear_next_batch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What was not committed yet is."""
        self._fitting.driver.training_ends()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The machine ends with Lightning."""
        run = self._fitting
        if self._restoring is not None:
            self._restoring.nothing_was_left()
        run.driver.training_ended()
        if run.driver.asking.paused is not None:
            end_paused(run)
            return
        if not run.standing.finished:
            for line in messages.ended(run.settings.run_id, run.driver.state, run.folder):
                rank_zero_info(line)
        run.ended(Outcome("finished" if run.driver.ended else "interrupted"))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The open step fails with the exception, which goes on to the user unchanged."""
        self._leave_restoring(trainer)
        self.hear_all()
        run = self._opened
        if run is None or not run.is_open:
            return
        action = run.driver.open_action
        error = f"{type(exception).__name__}: {exception}"
        try:
            run.driver.failed(exception)
        except Exception:
            log.exception("While the run was told of %s:", error)
        run.ended(Outcome("failed" if isinstance(exception, Exception) else "interrupted", error, action))
        if isinstance(exception, SIGTERMException):
            exception.code = _TERMINATED
            run.driver.requeue.ask()
        rank_zero_info(messages.failed(run.settings.run_id, action, exception, run.driver.state))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of a run that Lightning leaves without an end, as its Tuner does."""
        self._leave_restoring(trainer)
        self.hear_all()
        run = self._opened
        if run is not None:
            run.driver.leave_loops()
            if run.is_open:
                run.driver.close()
                run.close()

    def _leave_restoring(self, trainer: Trainer) -> None:
        end_leaving_out(trainer)
        drop_preloaded(trainer)
        if self._restoring is not None:
            self._restoring.end()
            self._restoring = None

    def _settings(self) -> RunSettings:
        return RunSettings(
            run_id=self.run_id or new_run_id(),
            project=self.project,
            root=self.root,
            machine=self.machine,
            initial_state=self.initial_state,
            monitor=self.monitor,
            mode=self.mode,
            shadow=self.shadow,
            checkpoints=self.checkpoints,
            hooks=self._hooks,
            stream_every_n_batches=self._stream_every_n_batches,
            persister=self._persister,
            tracker=self._tracker,
            wait=self._wait,
            on_pause=self._on_pause,
        )


def _refuse_two_machines(trainer: Trainer, module: LightningModule) -> None:
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    drive = [each for each in callbacks if isinstance(each, BurrCallback) and each.drives(module)]
    if len(drive) > 1:
        named = ", ".join(f"BurrCallback(run_id={each.run_id!r})" for each in drive)
        raise TrainerError(
            f"The trainer has {named}, and a training has one machine. Leave one of them in "
            f"Trainer(callbacks=[...]); a module with BurrMixin returns its own from configure_burr."
        )


explain_disabled_checkpointing(BurrCallback)
leave_out_loggers(BurrCallback)
