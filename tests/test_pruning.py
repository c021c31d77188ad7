"""Pruning: what Optuna's pruners would decide, decided in each trial's own machine."""

import math
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from scripts import run_script
from test_study import AtOnce, study

from burr_lightning import Run
from burr_lightning.errors import ArgumentError
from burr_lightning.testing import ScriptedModule, scripted_loader
from burr_lightning.tuning import Study
from burr_lightning.tuning import optuna_access as access
from burr_lightning.tuning.pruning import Peers
from burr_lightning.tuning.scores import Scores

EPOCHS = 9
TRIALS = 12
PRUNERS = {
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=3),
    "percentile": lambda: optuna.pruners.PercentilePruner(25.0, n_startup_trials=2, n_warmup_steps=1),
    "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    "hyperband": lambda: optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=EPOCHS, reduction_factor=2
    ),
    "patient": lambda: optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(3), patience=0),
    "wilcoxon": lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.2, n_startup_steps=3),
    "threshold": lambda: optuna.pruners.ThresholdPruner(upper=1.0, n_warmup_steps=2),
}
SPACE = {"x": FloatDistribution(0.0, 1.0)}
DIVERGED = {5: 0, 8: 2}
"""The trials whose loss is NaN, and from which epoch on."""


def losses(trial):
    """What a trial comes to after each epoch: some are good at first, some in the end, some diverge."""
    numbers = converging(trial)
    first = DIVERGED.get(trial, EPOCHS)
    return [*numbers[:first], *[math.nan] * (EPOCHS - first)]


def converging(trial):
    start, rate = 0.5 + (trial * 37 % 11) / 10, 0.05 + (trial * 17 % 7) / 20
    return [start * math.exp(-rate * epoch) + 0.15 * ((trial + epoch) % 3) for epoch in range(EPOCHS)]


def training(make_trainer):
    """An objective that trains to these losses."""

    def train(trial):
        module = ScriptedModule(val_loss=losses(trial.number))
        make_trainer(trial.callback(), max_epochs=EPOCHS).fit(module, scripted_loader(batches=1))

    return train


@pytest.fixture
def objective(make_trainer):
    return training(make_trainer)


def by_optuna(pruner):
    """The epoch after which Optuna itself gives each trial up, ``None`` for those that it does not."""
    ends = []

    def train(trial):
        trial.suggest_float("x", 0.0, 1.0)
        ends.append(None)
        for epoch, loss in enumerate(losses(trial.number)):
            trial.report(loss, epoch)
            if trial.should_prune():
                ends[-1] = epoch
                raise optuna.TrialPruned
        return min([loss for loss in losses(trial.number) if not math.isnan(loss)] or [math.nan])

    sampler = optuna.samplers.RandomSampler(seed=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        by_itself = optuna.create_study(study_name="pruned", pruner=pruner, sampler=sampler)
        by_itself.optimize(train, n_trials=TRIALS)
    return ends


def pruned(objective, pruner, interrupted_at=None, **more):
    options = {"space": SPACE, "pruner": pruner, "monitor": "val_loss", "n_trials": TRIALS, "tracker": False}
    return study("pruned", interrupted_at, objective, **{**options, **more})


def ends(of):
    return [trial.step if trial.status == "pruned" else None for trial in of.trials]


@pytest.mark.filterwarnings(
    "ignore::optuna.exceptions.ExperimentalWarning", "ignore:.*WilcoxonPruner will not prune"
)
@pytest.mark.parametrize("name", PRUNERS)
def test_trials_end_where_optuna_itself_would_end_them(name, objective):
    ran = pruned(objective, PRUNERS[name]()).run()
    assert ends(ran) == by_optuna(PRUNERS[name]())
    assert len(set(ends(ran))) > 1


def test_a_pruned_trial_s_machine_ends_in_pruned_and_says_why(objective):
    ran = pruned(objective, PRUNERS["median"]()).run()
    trial = next(each for each in ran.trials if each.status == "pruned" and each.number not in DIVERGED)
    run = Run.open(trial.run_id)
    assert run.position == "pruned"
    assert run.stop_reason == trial.reason
    assert trial.reason.startswith(f"pruned by MedianPruner: epoch {trial.step}: val_loss ")
    assert trial.value == run.history["val_loss"][-1] == losses(trial.number)[trial.step]
    assert len(run.history["val_loss"]) == trial.step + 1


@pytest.mark.parametrize("at", [4, 9])
def test_an_interrupted_study_gives_up_what_it_would_have_given_up(at, objective):
    with pytest.raises(KeyboardInterrupt):
        pruned(objective, PRUNERS["hyperband"](), at).run()
    assert ends(pruned(objective, PRUNERS["hyperband"]()).run()) == by_optuna(PRUNERS["hyperband"]())


def test_scores_that_were_lost_are_made_again_from_the_runs(objective):
    with pytest.raises(KeyboardInterrupt):
        pruned(objective, PRUNERS["median"](), 7).run()
    pruned(objective, PRUNERS["median"]()).settings.folder.scores.unlink()
    assert ends(pruned(objective, PRUNERS["median"]()).run()) == by_optuna(PRUNERS["median"]())


def test_a_trial_that_is_begun_again_is_not_pruned_by_itself(make_trainer):
    """Killed after its third epoch, it goes on, and its own earlier scores are not those of a peer."""

    def train(trial):
        epochs = 3 if trial.number == 4 and trial.attempt == 1 else EPOCHS
        module = ScriptedModule(val_loss=losses(trial.number))
        make_trainer(trial.callback(), max_epochs=epochs).fit(module, scripted_loader(batches=1))
        if epochs == 3:
            raise KeyboardInterrupt

    class Survives(AtOnce):
        def submit(self, fn, /, task):
            try:
                return super().submit(fn, task)
            except KeyboardInterrupt as interrupt:
                from concurrent.futures import Future

                future = Future()
                future.set_exception(RuntimeError(repr(interrupt)))
                return future

    options = {"space": SPACE, "pruner": PRUNERS["median"](), "monitor": "val_loss", "n_trials": TRIALS}
    ran = Study(train, run_id="pruned", executor=Survives(), seed=3, **options).run()
    assert ran.trials[4].deaths == 1
    assert ends(ran) == by_optuna(PRUNERS["median"]())


@pytest.mark.parametrize(
    ("name", "trial", "epoch", "what"), [("median", 3, 5, "value"), ("asha", 2, 1, "attributes")]
)
def test_a_trial_that_dies_before_its_commit_is_pruned_where_it_would_have_been(name, trial, epoch, what):
    """What it told of the epochs that it trains again is not known to the pruner when it does."""
    assert searched_and_killed(name, trial, epoch, what) == 9
    assert Study.open("pruned").trials[trial].status in ("waiting", "running")
    assert searched_and_killed(name) == 0
    assert ends(Study.open("pruned")) == by_optuna(PRUNERS[name]())


def searched_and_killed(*how):
    return run_script(Path(__file__).with_name("pruned_after_death.py"), *how).returncode


def test_optuna_s_own_tools_see_what_each_trial_came_to(objective, tmp_path):
    ran = pruned(objective, PRUNERS["median"]()).run()
    storage = f"sqlite:///{tmp_path}/optuna.db"
    ran.to_optuna(storage)
    loaded = optuna.load_study(study_name="pruned", storage=storage)
    for trial, seen in zip(Study.open("pruned").trials, loaded.trials, strict=True):
        epochs = EPOCHS if trial.step is None or trial.status == "finished" else trial.step + 1
        assert repr(seen.intermediate_values) == repr(dict(enumerate(losses(trial.number)[:epochs])))
        assert seen.user_attrs == {"run_id": trial.run_id}
    assert loaded.best_value == ran.best.value
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        ran.to_optuna(storage)


LEARNS = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(-1.0, 1.0)}


def losses_of(params):
    """What a network of these hyperparameters comes to, after each epoch."""
    end = (params["x"] - 0.3) ** 2 + params["y"] ** 2
    numbers = [end + (1 - params["x"]) * math.exp(-epoch / 2) for epoch in range(EPOCHS)]
    return numbers if params["x"] < 0.8 else [*numbers[:1], *[math.nan] * (EPOCHS - 1)]


def searched_by_optuna(sampler, pruner, trials):
    """What Optuna itself tries and where it prunes, with the random numbers that a study takes."""
    with access.quiet():
        searched = optuna.create_study(study_name="learned", pruner=pruner)

    def train(trial):
        params = {name: trial.suggest_float(name, each.low, each.high) for name, each in LEARNS.items()}
        for epoch, loss in enumerate(losses_of(params)):
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return min(losses_of(params))

    for number in range(trials):
        searched.sampler = access.seeded(sampler(), np.random.SeedSequence([3, number]))
        with access.quiet():
            searched.optimize(train, n_trials=1)
    return [
        (trial.params, trial.last_step if trial.state.name == "PRUNED" else None) for trial in searched.trials
    ]


class Counts(optuna.samplers.RandomSampler):
    """A sampler of a user's own, that looks at all the trials that it is shown: those of one bracket."""

    def sample_independent(self, study, trial, param_name, param_distribution):
        seen = len(study.get_trials(deepcopy=False)) % 7 / 7
        return param_distribution.low + seen * (param_distribution.high - param_distribution.low)


def tpe():
    return optuna.samplers.TPESampler(n_startup_trials=3)


@pytest.mark.parametrize(("sampler", "cut"), [(tpe, False), (tpe, True), (Counts, False)])
def test_with_hyperband_a_sampler_learns_of_each_bracket_what_it_does_in_optuna(sampler, cut, make_trainer):
    def train(trial):
        module = ScriptedModule(val_loss=losses_of(trial.params))
        make_trainer(trial.callback(), max_epochs=EPOCHS).fit(module, scripted_loader(batches=1))

    def pruner():
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3)

    def learned(interrupted_at=None):
        options = {"space": LEARNS, "sampler": sampler(), "pruner": pruner(), "monitor": "val_loss"}
        return study("learned", interrupted_at, train, n_trials=24, tracker=False, **options)

    if cut:
        with pytest.raises(KeyboardInterrupt):
            learned(13).run()
    ran = learned().run()
    tried = [(dict(trial.params), end) for trial, end in zip(ran.trials, ends(ran), strict=True)]
    assert tried == searched_by_optuna(sampler, pruner(), 24)
    assert {end for _, end in tried} > {None}


@pytest.mark.parametrize("wrapped", [False, True])
def test_hyperband_is_to_be_told_how_long_trials_train(wrapped):
    pruner = optuna.pruners.HyperbandPruner()
    if wrapped:
        with pytest.warns(optuna.exceptions.ExperimentalWarning):
            pruner = optuna.pruners.PatientPruner(pruner, patience=1)
    with pytest.raises(ArgumentError, match=r"max_resource='auto'(.|\n)*: HyperbandPruner\(max_resource="):
        study("refused", space=SPACE, pruner=pruner, monitor="val_loss")


def test_of_a_finished_trial_no_epoch_is_said_to_be_the_last_one(objective):
    """The best epoch is known of it, which is not the one that it ended with."""
    ran = pruned(objective, PRUNERS["median"]()).run()
    for trial in ran.trials:
        is_pruned = trial.status == "pruned"
        assert repr(trial.last_score) == repr({trial.step: trial.value} if is_pruned else {})
        if trial.status == "finished":
            assert losses(trial.number)[trial.step] == trial.value


def test_what_is_read_at_once_is_what_is_read_line_by_line(tmp_path):
    """A pruner sees the same trials, whether all of them were over when it was asked first or not."""
    pruner = PRUNERS["percentile"]()
    whole, bit_by_bit = Scores(tmp_path / "whole"), Scores(tmp_path / "bit-by-bit")
    slow = Peers("pruned", 5, "min", pruner, bit_by_bit)
    slow.give_up(0, {0: 1.0})
    for number in (1, 0, 3, 6):
        lines = [{"epoch": epoch, "value": repr(loss)} for epoch, loss in enumerate(losses(number))]
        ended = {"status": ["finished", "pruned", "failed", "finished"][number % 4], "values": []}
        ended["values"] = ["0.5"] if number % 3 else []
        late = {"epoch": 3, "value": "99.0"}
        for line in [*lines, {"attributes": {"rung": 1}, "epoch": 2}, *([ended, late] if number < 6 else [])]:
            whole.tell(number, **line)
            bit_by_bit.tell(number, **line)
    quick = Peers("pruned", 5, "min", pruner, whole)
    assert quick.give_up(1, {0: 1.0, 1: 0.9}) == slow.give_up(1, {1: 0.9})
    assert quick.others == slow.others == 4
    assert seen_by(quick) == seen_by(slow)
    assert len(seen_by(quick)) == 7


def seen_by(peers):
    return [
        (each.state, each.values, each.intermediate_values, each.system_attrs)
        for each in peers._study.get_trials(deepcopy=False)
    ]
