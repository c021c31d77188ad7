"""A training on several processes is one machine: one decision, one set of rows, and an exact resume."""

import os
import shutil
import signal
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from burr.core import action
from digits import DigitNet
from exact_machines import with_actions
from forks import tell
from lightning.pytorch.strategies import DDPStrategy
from pools import by_and_by
from ranked import Ranked, Training, train

from burr_lightning import Checkpoints, Run
from burr_lightning.conditions import max_epochs, plateau
from burr_lightning.errors import RankFailedError, RankLostError
from burr_lightning.ranks import Ranks

TERMINATED = 128 + signal.SIGTERM


def trained(size, training):
    """Train to the end; how that was on each rank."""
    ranks = Ranked(size, train, training)
    statuses, told = ranks.ended()
    assert statuses == [0] * size, ranks.printed
    return [ending for _, ending in told]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """How trainings end that nothing happens to, each trained once."""
    known = {}

    def ends(size, training):
        with pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("undisturbed")
            patch.chdir(folder)
            patch.setenv("BURR_LIGHTNING_HOME", str(folder))
            key = (size, repr(training))
            if key not in known:
                known[key] = trained(size, training)
        return known[key]

    return ends


class OwnLoss(DigitNet):
    """Its ``val_loss`` is another on each rank: on the first it stops improving after epoch 1."""

    def validation_step(self, batch, batch_idx):
        epoch, rank = self.current_epoch, self.global_rank
        self.log("val_loss", float(-min(epoch, 1 + 7 * rank)))


def stops_early():
    return {"stop_when": plateau("val_loss", 2)}


class TestOneDecision:
    @pytest.mark.parametrize("size", [2, 4])
    def test_it_is_made_with_the_metrics_of_rank_0(self, size):
        training = Training(epochs=9, module=OwnLoss, callback=stops_early)
        endings = trained(size, training)
        assert [each["epoch"] for each in endings] == [3] * size
        assert len({each["stop_reason"] for each in endings}) == 1
        assert "plateau" in endings[0]["stop_reason"]
        run = Run.open("ranked")
        assert [float(value) for value in run.history["val_loss"]] == [0, -1, -1, -1]
        assert all(each["history"] == endings[0]["history"] for each in endings)
        assert [each.action for each in run.commits] == [
            "process_data",
            *["validate"] * 4,
            "best_model",
        ]
        assert len({each["weights"] for each in endings}) == 1


@action(reads=[], writes=["measured"])
def measure(state, trainer):
    return state.update(measured=10 + trainer.global_rank)


def measures():
    return {"machine": with_actions(measure=(measure, (1,))), "initial_state": {"measured": 0}}


def test_what_an_action_writes_on_rank_0_is_in_the_state_of_all():
    endings = trained(2, Training(callback=measures))
    assert [each["measured"] for each in endings] == [10, 10]


class TestGoingOn:
    @pytest.mark.parametrize("size", [2, 4])
    def test_from_the_end_of_an_epoch(self, size, undisturbed):
        trained(size, Training(epochs=2))
        assert trained(size, Training()) == undisturbed(size, Training())

    @pytest.mark.long
    def test_from_a_copy_of_what_is_gone_from_the_disk(self, undisturbed):
        trained(2, Training(epochs=2, callback=copies))
        shutil.rmtree(Run.open("ranked").folder)
        assert trained(2, Training(callback=copies)) == undisturbed(2, Training())


def copies():
    return {"checkpoints": Checkpoints(copy_to=f"file://{os.getcwd()}/copy")}


def saves_inside_epochs():
    return {"checkpoints": Checkpoints(every_n_steps=100)}


INSIDE = Training(callback=saves_inside_epochs, stateful=True, trainer={"accumulate_grad_batches": 2})
"""Gradients are accumulated, on each rank its own, where the training is told to end."""


class TestFaults:
    @pytest.mark.parametrize("told", [[0], [1], [0, 1]], ids=["the-first", "another", "all"])
    def test_sigterm_ends_all_between_the_same_two_batches(self, told, undisturbed):
        ranks = Ranked(2, train, INSIDE.but(event=(told, 1, 2, "SIGTERM")))
        statuses, _ = ranks.ended()
        assert statuses == [TERMINATED] * 2, ranks.printed
        run = Run.open("ranked")
        assert run.status == "interrupted"
        assert [path.name for path in (run.folder / "checkpoints").glob("epoch=00001-*-batch=0000003.ckpt")]
        assert trained(2, INSIDE) == undisturbed(2, INSIDE)

    @pytest.mark.parametrize("rank", [0, 1])
    def test_where_one_is_killed_the_others_end_and_the_run_goes_on(self, rank, undisturbed):
        training = Training()
        ranks = Ranked(2, train, training.but(event=([rank], 2, 1, "waits")))
        ranks[rank].waits_for("there")
        ranks[rank].kill()
        statuses, _ = ranks.ended()
        assert statuses[rank] == -signal.SIGKILL
        assert statuses[1 - rank] == 1, ranks.printed
        assert trained(2, training) == undisturbed(2, training)

    @pytest.mark.parametrize("rank", [0, 1])
    def test_where_one_fails_the_others_end_and_the_run_goes_on(self, rank, undisturbed):
        training = Training()
        ranks = Ranked(2, train, training.but(event=([rank], 2, 1, "raises")))
        statuses, _ = ranks.ended()
        assert statuses == [1, 1]
        assert "the disk of this one is full" in ranks[rank].printed
        assert trained(2, training) == undisturbed(2, training)


class CannotSave(DigitNet):
    """Fails on the second rank where a checkpoint is put together, which Lightning does on all of them."""

    def on_save_checkpoint(self, checkpoint):
        if self.global_rank == 1 and self.current_epoch == 1:
            raise ValueError("the disk of this one is full")


class ToldToEndEarly(DigitNet):
    """The second rank is told to end before the training begins, in the sanity check."""

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        if self.trainer.sanity_checking and self.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)


class TestFaultsInWhatAllDo:
    def test_where_one_fails_in_the_middle_of_it_the_others_hear_of_it(self):
        ranks = Ranked(2, train, Training(module=CannotSave))
        assert ranks.ended()[0] == [1, 1]
        assert "ValueError: the disk of this one is full" in ranks[1].printed
        assert Run.open("ranked").epoch == 0

    def test_sigterm_in_the_sanity_check_ends_all_of_them(self):
        ranks = Ranked(2, train, Training(module=ToldToEndEarly))
        assert ranks.ended()[0] == [TERMINATED] * 2, ranks.printed


def fail(rank):
    if rank == 1:
        raise ValueError("the disk of this one is full")


def speaks_after_it_has_failed():
    """Both ranks do something, in which the second fails; each speaks again, and after its run is closed."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    ranks = Ranks(SimpleNamespace(global_rank=rank, world_size=2))
    for speak in (partial(ranks.together, partial(fail, rank)), partial(ranks.any, True)):
        with pytest.raises((ValueError, RankFailedError)) as raised:
            speak()
        tell(raised.type.__name__, str(raised.value))
    ranks.close()
    with pytest.raises((RankFailedError, RankLostError)):
        ranks.of_all(rank)


def test_a_rank_that_has_left_is_not_heard_in_lightning_s_own_group():
    ranks = Ranked(2, speaks_after_it_has_failed)
    first, second = [child.rest() for child in ranks.children]
    assert [child.ended() for child in ranks.children] == [0, 0], ranks.printed
    there = (
        "Rank 1 failed, and the training ends on all of them. There: ValueError: the disk of this one is full"
    )
    assert first == [("RankFailedError", there)] * 2
    assert second == [("ValueError", "the disk of this one is full"), ("RankFailedError", there)]


class TestOtherNumbersOfRanks:
    @pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 2)])
    def test_a_run_goes_on_from_the_end_of_an_epoch_and_says_what_is_not_the_same(self, before, after):
        ranks = Ranked(before, train, INSIDE.but(event=([0], 1, 1, "SIGTERM")))
        assert ranks.ended()[0] == [TERMINATED] * before, ranks.printed
        ranks = Ranked(after, train, INSIDE)
        statuses, told = ranks.ended()
        assert statuses == [0] * after, ranks.printed
        assert len({ending["weights"] for _, ending in told}) == 1
        assert len(Run.open("ranked").history) == INSIDE.epochs
        said = ranks[0].printed
        assert f"it was made by {before} processes, which share an epoch otherwise than {after}" in said
        assert f"The run was trained by {before} processes and goes on with {after}" in said
        assert "goes on with" not in ranks[1].printed


class Alone(DigitNet):
    """Logs a metric that Lightning is asked to make one of, in a group of one."""

    def on_fit_start(self):
        groups = [torch.distributed.new_group([rank]) for rank in range(self.trainer.world_size)]
        self.own = groups[self.global_rank]

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        value = float(self.global_rank)
        self.log("by_rank", value, sync_dist=True, sync_dist_group=self.own)


def test_a_metric_that_differs_though_it_was_to_be_one_is_told_of_once():
    ranks = Ranked(2, train, Training(module=Alone))
    assert ranks.ended()[0] == [0, 0], ranks.printed
    told = "The metric 'by_rank' was logged with sync_dist=True, and differs between the ranks: 0.0 on rank 0"
    assert ranks.printed.count(told) == 1
    assert set(Run.open("ranked").history["by_rank"]) == {0.0}


class Sharded(DDPStrategy):
    """Writes its checkpoints itself, as those that shard a model do."""

    def save_checkpoint(self, checkpoint, filepath, storage_options=None):
        pass


def test_a_strategy_that_writes_checkpoints_of_its_own_is_refused_on_all_ranks():
    ranks = Ranked(2, train, Training(trainer={"strategy": Sharded()}))
    assert ranks.ended()[0] == [1, 1]
    for rank in range(2):
        assert "Trainer(strategy=Sharded): it writes checkpoints in a form of its own" in ranks[rank].printed


def asks_after_epoch_1():
    return {"review_when": max_epochs(2), "on_pause": lambda pause: tell("pause", pause.question.text)}


def waits_for_an_answer():
    return {"review_when": max_epochs(2), "wait": "block"}


class TestAHuman:
    def test_all_ranks_pause_and_go_on_with_the_answer_as_if_nobody_had_been_asked(self, undisturbed):
        training = Training(callback=asks_after_epoch_1)
        ranks = Ranked(2, train, training)
        told = [child.rest() for child in ranks.children]
        assert [[message[0] for message in of_rank] for of_rank in told] == [["pause", "ended"], ["ended"]]
        assert [of_rank[-1][1]["paused"] for of_rank in told] == [True, True]
        assert [child.ended() for child in ranks.children] == [0, 0]
        assert "would wait here" not in ranks.printed
        again = Ranked(2, train, training)  # nobody has answered: it goes on waiting
        assert [told[1]["paused"] for told in again.ended()[1]] == [True, True]
        Run.open("ranked").answer("go")
        assert trained(2, training) == undisturbed(2, Training())

    def test_all_ranks_wait_for_the_answer(self, undisturbed):
        ranks = Ranked(2, train, Training(callback=waits_for_an_answer))
        by_and_by(lambda: "waits for an answer" in ranks[0].printed)
        Run.open("ranked").answer("go")
        statuses, told = ranks.ended()
        assert statuses == [0, 0], ranks.printed
        assert [ending for _, ending in told] == undisturbed(2, Training())


class TestForks:
    def test_a_fork_that_changes_nothing_ends_as_its_parent_on_each_rank(self):
        parent = trained(2, Training(callback=keeps_all))
        Run.open("ranked").fork(epoch=1, run_id="fork")
        assert trained(2, Training(run_id="fork", callback=keeps_all)) == parent

    def test_a_fork_has_another_learning_rate_on_each_rank(self):
        parent = trained(2, Training(callback=keeps_all))
        Run.open("ranked").fork(epoch=1, run_id="slower", hparams={"learning_rate": 1e-4})
        endings = trained(2, Training(run_id="slower", callback=keeps_all))
        assert endings[0]["weights"] == endings[1]["weights"] != parent[0]["weights"]


def keeps_all():
    return {"checkpoints": Checkpoints(keep_last=9)}
