"""The ordinary actions of a run: they run at boundaries, while Lightning waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from burr.core import Application, Condition
from lightning.pytorch import LightningModule, Trainer

from . import hparams
from .acting import LiveTraining
from .actions import OrdinaryAction
from .asking import Asking
from .burr_access import position_of
from .committing import RunCommits
from .errors import MachineError
from .fingerprint import fingerprint
from .following import follow_together, reason_together
from .graphs import asked_inputs, is_phase, leaves_training
from .lightning_ddp import Wrapping
from .lightning_sharding import reshard
from .ranks import Ranks
from .state import initial_state, short, survives, written_since

_TOUCHING = frozenset({"trainer", "pl_module", "datamodule"})
"""An action that asks for one of these may change what a checkpoint holds."""
_KEYS_OF_EVERY_RUN = frozenset(initial_state({}, None, None))
_MOST_STEPS = 1000
"""Ordinary actions at one boundary; with more, the machine is taken to be lost among them."""


class OrdinaryActions:
    """Runs the ordinary actions that are due.

    Args:
        trainer: The trainer.
        module: The module in training.
        app: The run's application.
        commits: Told of every action that ran.
        training: What ready-made actions act on.
        asking: Gets from a human what an action waits for.
        ranks: The processes that train: each runs every action, and goes on with what the first one wrote.
        wrapping: What exchanges gradients between them.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        app: Application[Any],
        commits: RunCommits,
        training: LiveTraining,
        asking: Asking,
        ranks: Ranks,
        wrapping: Wrapping,
    ) -> None:
        self._trainer, self._module, self._training = trainer, module, training
        self._asking, self._ranks, self._wrapping = asking, ranks, wrapping
        self._app, self._commits = app, commits
        self.running: str | None = None
        """The action that is under way."""

    @property
    def paused(self) -> bool:
        """Whether one of them waits for a human, and the run with it."""
        return self._asking.paused is not None

    def run(self) -> str | None:
        """Run all that are due, up to the next phase, or to one that a human is waited for.

        Returns:
            The phase; ``None`` where a human is waited for, and where the machine ends.

        Raises:
            MachineError: If no phase comes.
        """
        graph = self._app.graph
        steps, said, leaves = 0, None, False
        name, condition = self._next()
        while name is not None and not is_phase(graph, name):
            steps += 1
            said = reason_together(self._ranks, condition, self._app.state) or said
            if not leaves and leaves_training(graph, name):
                leaves = True
                self._give_reason(said, condition)
            if steps > _MOST_STEPS:
                raise MachineError(
                    f"The machine has run {_MOST_STEPS} ordinary actions at one boundary, the last of them "
                    f"{position_of(self._app)!r}, and goes on to {name!r}. Have its transitions lead back to "
                    f"a TrainEpoch action, or to one that no transition leaves."
                )
            self.running = name
            given = self._asking.inputs_of(name, said)
            if given is None:
                self.running = None
                return None
            asked = asked_inputs(graph, name)
            provided = self._inputs()
            self._step({**given, **{key: provided[key]() for key in asked & provided.keys()}})
            self.running = None
            self._asking.action_ran()
            changed = self._change_hparams(given)
            self._refuse_what_rows_change(name)
            self._commits.stepped()
            self._commits.action_ran(touched=changed or self._touched(name, asked))
            name, condition = self._next()
        return name

    def _next(self) -> tuple[str | None, Condition | None]:
        return follow_together(self._ranks, self._app.graph, position_of(self._app), self._app.state)

    def _step(self, inputs: dict[str, Any]) -> None:
        """Run an action on every rank; all of them have the state then that the first one has."""
        before = self._app.state
        reshard(self._trainer)
        self._ranks.together(lambda: self._app.step(inputs=inputs))
        if self._ranks.size > 1:
            written = self._ranks.agreed(lambda: written_since(before, self._app.state))
            self._app.update_state(self._app.state.update(**written))
        self._wrapping.may_differ()

    def _change_hparams(self, given: dict[str, Any]) -> bool:
        """Where a human gave hyperparameters other values, tell the module; say whether they did."""
        changed = hparams.changes(self._module, given)
        if changed:
            hparams.change(self._module, changed, self._training)
            state = self._app.state
            all_changed = {**(state["changed_hparams"] or {}), **changed}
            now = short({**state["hparams"], **changed})
            self._app.update_state(state.update(hparams=now, changed_hparams=all_changed))
        return bool(changed)

    def _give_reason(self, said: str | None, condition: Condition | None) -> None:
        """The training is left: its state says why, but where Lightning's own limits already say it."""
        state = self._app.state
        own = reason_together(self._ranks, condition, state) is not None
        if said is not None and (own or not state["finished"]):
            self._app.update_state(state.update(stop_reason=said))

    def _refuse_what_rows_change(self, name: str) -> None:
        action = self._app.graph.get_action(name)
        assert action is not None
        for key in sorted({*action.writes} - _KEYS_OF_EVERY_RUN & {*self._app.state.keys()}):
            if not survives(key, self._app.state[key]):
                raise MachineError(
                    f"The action {name!r} wrote {key}={self._app.state[key]!r}, and a row of the run would "
                    f"give back another value when the run goes on. Use numbers, texts, lists, and dicts "
                    f"with texts as keys."
                )

    def _touched(self, name: str, asked: set[str]) -> bool:
        action = self._app.graph.get_action(name)
        ready_made = isinstance(action, OrdinaryAction) and action.changes_training
        return ready_made or bool(asked & _TOUCHING)

    def _inputs(self) -> dict[str, Callable[[], Any]]:
        return {
            "training": lambda: self._training,
            "trainer": lambda: self._trainer,
            "pl_module": lambda: self._module,
            "datamodule": lambda: getattr(self._trainer, "datamodule", None),
            "fingerprint": lambda: fingerprint(self._ranks, self._trainer),
        }
