"""Everything this library asks of Burr's application, tracker and streams, private names included.

Read off apache-burr 0.43; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from burr.core import Application, ApplicationBuilder, State
from burr.core.action import FunctionBasedAction
from burr.core.application import PRIOR_STEP
from burr.core.graph import Graph
from burr.core.persistence import BaseStateLoader, PersistedStateData
from burr.core.validation import BASE_ERROR_MESSAGE
from burr.lifecycle.base import LifecycleAdapter
from burr.lifecycle.internal import LifecycleAdapterSet
from burr.tracking import LocalTrackingClient

from .actions import PhaseFeed
from .graphs import entrypoint
from .live_tracker import LiveTracker
from .state import PhaseReport


def build_application(
    graph: Graph,
    run_id: str,
    project: str,
    state: State[Any],
    position: str | None,
    sequence_id: int | None,
    tracker: LifecycleAdapter | None,
    hooks: Sequence[LifecycleAdapter],
    parent: Mapping[str, Any] | None = None,
    spawned_by: Mapping[str, Any] | None = None,
) -> Application[Any]:
    """The application of a run, standing behind ``position``, at its entry point where that is None.

    That of a fork is forked from its ``parent``, and that of a trial spawned by its study, as Burr does it,
    so that trackers know how they are related.
    """
    builder: ApplicationBuilder[Any] = (
        ApplicationBuilder()
        .with_graph(graph)
        .with_identifiers(app_id=run_id, partition_key=project)
        .with_hooks(*hooks)
    )
    if parent is not None and position is not None and sequence_id is not None:
        builder = builder.initialize_from(
            _Standing(state, position, sequence_id),
            resume_at_next_action=True,
            default_state={},
            default_entrypoint=entrypoint(graph),
            fork_from_app_id=parent["run_id"],
            fork_from_partition_key=project,
            fork_from_sequence_id=parent["sequence_id"],
        )
    else:
        stands = {PRIOR_STEP: position} if position is not None else {}
        builder = builder.with_state(state.update(**stands)).with_entrypoint(entrypoint(graph))
    if spawned_by is not None:
        builder = builder.with_spawning_parent(spawned_by["run_id"], spawned_by["sequence_id"], project)
    if sequence_id is not None:
        builder = builder.with_identifiers(sequence_id=sequence_id)
    if tracker is not None:
        builder = builder.with_tracker(tracker)  # type: ignore[arg-type]
    app = builder.build()
    app._adapter_set = RunHooks(*app._adapter_set.adapters)
    return app


class _Standing(BaseStateLoader):
    """Gives Burr where a fork stands: its own newest row, which is a copy of its parent's where it begins."""

    def __init__(self, state: State[Any], position: str, sequence_id: int) -> None:
        self._state, self._position, self._sequence_id = state, position, sequence_id

    def list_app_ids(self, partition_key: str, **kwargs: Any) -> list[str]:
        """Burr asks for none."""
        return []

    def load(
        self, partition_key: str, app_id: str | None, sequence_id: int | None = None, **kwargs: Any
    ) -> PersistedStateData:
        """Where it stands, whatever Burr asks for."""
        return {
            "partition_key": partition_key,
            "app_id": str(app_id),
            "sequence_id": self._sequence_id,
            "position": self._position,
            "state": self._state,
            "created_at": "",
            "status": "completed",
        }


class RunHooks(LifecycleAdapterSet):
    """The hooks of a run, called as Burr calls them, but for two things that Burr 0.43 does around them.

    It swallows what a hook raises for a stream item, and goes on with partial data: so it is not let see
    that, and `OpenPhase` raises it. And it writes a banner into the log when an action fails.

    Args:
        adapters: The hooks, Burr's own included.
    """

    def __init__(self, *adapters: LifecycleAdapter) -> None:
        super().__init__(*adapters)
        self.raised: Exception | None = None
        """What a hook raised for a stream item, until it is raised again."""
        self._no_banner = _NoBanner()

    def call_all_lifecycle_hooks_sync(self, hook_name: str, **kwargs: Any) -> None:
        """Call the hooks of a kind."""
        if hook_name == "post_run_step":
            _BURRS_LOG.removeFilter(self._no_banner)
        try:
            super().call_all_lifecycle_hooks_sync(hook_name, **kwargs)
        except Exception as error:
            if hook_name != "post_stream_item":
                raise
            self.raised = error
        if hook_name == "pre_run_step" and not kwargs["action"].streaming:
            self._no_banner.action = kwargs["action"].name
            _BURRS_LOG.addFilter(self._no_banner)


class _NoBanner(logging.Filter):
    """Drops Burr's record of an ordinary action that failed: a banner, the whole state, the traceback.

    The exception goes on to the user, and this library says which action failed. It is on Burr's logger
    only while an ordinary action runs, and knows only that action: other applications keep theirs.
    """

    action = ""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        return not (BASE_ERROR_MESSAGE in said and f"> Action: `{self.action}` " in said)


_BURRS_LOG = logging.getLogger("burr.core.application")


def written_function(action: FunctionBasedAction) -> Callable[..., Any]:
    """The function that a user wrote; Burr's pydantic actions run one of their own around it."""
    function: Callable[..., Any] = action._originating_fn
    return function


def position_of(app: Application[Any]) -> str | None:
    """The action that ran last, ``None`` before the first."""
    position: str | None = app.state.get(PRIOR_STEP)
    return position


def hears_items(app: Application[Any]) -> bool:
    """Whether one of an application's hooks is for the items of a stream."""
    return "post_stream_item" in app._adapter_set.sync_hooks


class OpenPhase:
    """A phase action that is open: its stream, held while Lightning is inside the phase.

    Args:
        app: The application, whose next action is the phase action.
        name: That action.
    """

    def __init__(self, app: Application[Any], name: str) -> None:
        self.feed = PhaseFeed()
        assert isinstance(app._adapter_set, RunHooks)
        self._hooks = app._adapter_set
        self.action, container = app.stream_result(halt_after=[name], inputs={"phase": self.feed})
        self._items: Iterator[Any] = iter(container)
        self._started = False

    def streamed(self, batch_idx: int, outputs: Any) -> None:
        """Let the stream have an item; Burr looks one item ahead, so it gives out the one before.

        Raises:
            Exception: What a hook raised for that one; the action has then failed with it.
        """
        self.feed.waiting.append({"batch": batch_idx, "outputs": outputs})
        if self._started or len(self.feed.waiting) > 1:
            self._started = True
            next(self._items)
            self._raise_what_a_hook_raised()

    def close(self, report: PhaseReport) -> None:
        """End the action with its result; the machine's state is then the one after it.

        Raises:
            Exception: What a hook raised for one of the last items; the action has then failed with it.
        """
        self.feed.report = report
        self._started = True
        for _ in self._items:
            self._raise_what_a_hook_raised()

    def _raise_what_a_hook_raised(self) -> None:
        error, self._hooks.raised = self._hooks.raised, None
        if error is not None:
            self.fail(error)
            raise error

    def fail(self, error: BaseException) -> None:
        """End the action with the exception that ended the phase; the machine's state stays as it was.

        Burr 0.43 swallows an exception raised inside a streaming action after its first item and goes
        on with partial data. Thrown into the iterator instead, it reaches the hooks and nothing else.
        """
        if not self._started:
            next(self._items)
        traceback = error.__traceback__
        try:
            self._items.throw(error)  # type: ignore[attr-defined]
        except BaseException as raised:
            if raised is not error:
                raise
        error.__traceback__ = traceback


def local_tracker(project: str) -> LocalTrackingClient:
    """Burr's own tracker in Burr's own place, where ``burr`` shows it with no configuration."""
    return LiveTracker(project)
