"""A trial of a study on several processes: they agree on whether it is pruned."""

import pytest
from test_pruning import EPOCHS, PRUNERS, by_optuna, ends, losses, pruned

from burr_lightning import Run
from burr_lightning.testing import ScriptedModule, scripted_loader

pytestmark = pytest.mark.usefixtures("own_port")


class OneOfTwo(ScriptedModule):
    """On the second rank each epoch is better than any that another trial comes to."""

    def log(self, name, value, **options):
        super().log(name, value - 100.0 * self.global_rank, **options)


@pytest.mark.parametrize("strategy", ["ddp_fork", pytest.param("ddp_spawn", marks=pytest.mark.long)])
def test_trials_on_two_ranks_end_where_optuna_would_end_them(strategy, make_trainer):
    def train(trial):
        trainer = make_trainer(trial.callback(), max_epochs=EPOCHS, strategy=strategy, devices=2)
        trainer.fit(OneOfTwo(val_loss=losses(trial.number)), scripted_loader(batches=2))

    ran = pruned(train, PRUNERS["median"]()).run()
    assert ends(ran) == by_optuna(PRUNERS["median"]())
    assert len(set(ends(ran))) > 1
    given_up = next(each for each in ran.trials if each.status == "pruned")
    run = Run.open(given_up.run_id)
    assert (run.position, run.stop_reason) == ("pruned", given_up.reason)
    assert run.history["val_loss"][-1] == losses(given_up.number)[given_up.step]
