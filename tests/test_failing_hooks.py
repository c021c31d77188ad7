"""What a hook raises reaches the user, and Burr's log stays short."""

import logging

import pytest
from burr.core import ApplicationBuilder, Condition, State, action
from burr.core.validation import BASE_ERROR_MESSAGE
from burr.lifecycle.base import DoLogAttributeHook, PostRunStepHook, PostStreamItemHook, PreRunStepHook
from exact_machines import with_actions

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import Call
from burr_lightning.testing import ScriptedModule, scripted_loader

BURRS_LOG = logging.getLogger("burr.core.application")


def fit(trainer):
    trainer.fit(ScriptedModule(val_loss=[0.5, 0.25]), scripted_loader(), scripted_loader(batches=2))


class Breaks(PostStreamItemHook, PostRunStepHook, DoLogAttributeHook):
    """Raises for one batch of one phase of the second epoch, or for the attributes of its validation."""

    def __init__(self, where):
        self.where, self.epoch, self.seen = where, 0, []

    def post_stream_item(self, *, item, action, **future_kwargs):
        self._reached(action, item["batch"])

    def do_log_attributes(self, *, action, **future_kwargs):
        self._reached("attributes", None)

    def post_run_step(self, *, action, exception, **future_kwargs):
        self.seen.append((action.name, exception))
        self.epoch += action.name == "validate"

    def _reached(self, *where):
        if self.epoch == 1 and where == self.where:
            raise ValueError("hook broke item")


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize(
    ("where", "failed"),
    [
        (("train_epoch", 1), "train_epoch"),
        (("train_epoch", 3), "train_epoch"),
        (("validate", 1), "validate"),
        (("attributes", None), "validate"),
    ],
)
def test_what_a_hook_raises_in_a_phase_fails_the_step_and_the_run_goes_on(
    make_trainer, caplog, where, failed, every
):
    hook = Breaks(where)
    burr = BurrCallback("a", hooks=[hook], stream_every_n_batches=every)
    with pytest.raises(ValueError, match="hook broke item") as raised:
        fit(make_trainer(burr, max_epochs=3))
    assert raised.value.__cause__ is None
    assert hook.seen[-1] == (failed, raised.value)
    done = "train_epoch -> " if failed == "validate" else ""
    assert str(burr.run.path) == f"process_data -> train_epoch -> validate -> {done}{failed} (failed)"
    assert (burr.run.status, burr.run.error) == ("failed", "ValueError: hook broke item")
    assert burr.state["epoch"] == 0
    assert list(burr.history["val_loss"]) == [0.5]
    assert "TypeError" not in caplog.text
    assert "partial data" not in caplog.text
    fit(make_trainer(BurrCallback("a"), max_epochs=3))
    assert Run.open("a").status == "finished"
    assert list(Run.open("a").history["val_loss"]) == [0.5, 0.25, 0.25]


def test_a_hook_that_raises_for_the_first_validation_batch_is_heard_of_at_the_second(make_trainer):
    hook = Breaks(("validate", 0))
    with pytest.raises(ValueError, match="hook broke item"):
        fit(make_trainer(BurrCallback("a", hooks=[hook]), max_epochs=3))
    assert hook.seen[-1][0] == "validate"
    assert Run.open("a").epoch == 0


def test_attributes_of_a_phase_without_items_may_fail_too(make_trainer):
    burr = BurrCallback("a", hooks=[Breaks(("attributes", None))], stream_every_n_batches=9)
    with pytest.raises(ValueError, match="hook broke item"):
        fit(make_trainer(burr, max_epochs=3))
    assert burr.state["epoch"] == 0


def test_the_hooks_after_one_that_raised_do_not_get_the_item(make_trainer):
    class Later(PostStreamItemHook):
        items = 0

        def post_stream_item(self, **future_kwargs):
            self.items += 1

    later = Later()
    burr = BurrCallback(hooks=[Breaks(("train_epoch", 0)), later])
    with pytest.raises(ValueError, match="hook broke item"):
        fit(make_trainer(burr, max_epochs=2))
    assert later.items == 4 + 2


def fails():
    raise ValueError("the action broke")


def failing_application(name):
    @action(reads=[], writes=[])
    def broken(state: State) -> State:
        fails()

    actions = ApplicationBuilder().with_actions(**{name: broken}).with_state(a=1)
    return actions.with_transitions((name, name, Condition.expr("a == 2"))).with_entrypoint(name).build()


def banners(caplog):
    return [record.getMessage() for record in caplog.records if "discord" in record.getMessage()]


def test_burr_writes_the_banner_that_is_filtered(caplog):
    """Fails when Burr changes what the filter looks for."""
    with pytest.raises(ValueError, match="the action broke"):
        failing_application("note").step()
    [record] = [record for record in caplog.records if record.name == BURRS_LOG.name]
    assert BASE_ERROR_MESSAGE in record.getMessage()
    assert "> Action: `note` " in record.getMessage()


def test_an_ordinary_action_that_fails_is_not_announced_by_burrs_banner(make_trainer, caplog):
    graph = with_actions(note=(Call(fails), (0,)))
    with pytest.raises(ValueError, match=r"^the action broke$") as raised:
        fit(make_trainer(BurrCallback("a", machine=graph), max_epochs=2))
    assert banners(caplog) == []
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    assert str(Run.open("a").path).endswith("note (failed)")
    assert BURRS_LOG.filters == []


def test_another_application_keeps_its_banner_also_within_an_action(make_trainer, caplog):
    def runs_another():
        with pytest.raises(ValueError, match="the action broke"):
            failing_application("theirs").step()

    graph = with_actions(note=(Call(runs_another), (0,)))
    fit(make_trainer(BurrCallback(machine=graph), max_epochs=2))
    assert len(banners(caplog)) == 1
    assert BURRS_LOG.filters == []


class RaisesAround(PreRunStepHook, PostRunStepHook):
    def __init__(self, when):
        self.when = when

    def pre_run_step(self, *, action, **future_kwargs):
        self._reached("before", action)

    def post_run_step(self, *, action, **future_kwargs):
        self._reached("after", action)

    def _reached(self, when, action):
        if (when, action.name) == (self.when, "note"):
            raise ValueError("the hook broke")


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_filter_does_not_outlive_an_action_whose_hook_raises(make_trainer, when):
    graph = with_actions(note=(Call(lambda: None), (0,)))
    burr = BurrCallback(machine=graph, hooks=[RaisesAround(when)])
    with pytest.raises(ValueError, match="the hook broke"):
        fit(make_trainer(burr, max_epochs=2))
    assert BURRS_LOG.filters == []


def test_no_filter_is_there_while_lightning_trains(make_trainer):
    filters = []

    class Looks(ScriptedModule):
        def training_step(self, batch, batch_idx):
            filters.extend(BURRS_LOG.filters)
            return super().training_step(batch, batch_idx)

    make_trainer(BurrCallback(), max_epochs=1).fit(Looks(val_loss=[0.5]), *[scripted_loader()] * 2)
    assert filters == []
