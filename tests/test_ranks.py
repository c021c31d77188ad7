"""A training on several processes is one machine: one decision, one set of rows, and an exact resume."""

import signal

import pytest
from digits import DigitNet
from ranked import Ranked, Training, train

from burr_lightning import Run
from burr_lightning.conditions import plateau

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
        assert [step.action for step in run.path] == [
            "process_data",
            *["train_epoch", "validate"] * 4,
            "best_model",
        ]
        assert len({each["weights"] for each in endings}) == 1


class TestGoingOn:
    @pytest.mark.parametrize("size", [2, 4])
    def test_from_the_end_of_an_epoch(self, size, undisturbed):
        trained(size, Training(epochs=2))
        assert trained(size, Training()) == undisturbed(size, Training())
