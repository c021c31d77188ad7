"""The learning curves that the documentation and the tests stop on."""

import math

import learning_curves
import pytest

from burr_lightning import compare_stopping
from burr_lightning.conditions import max_epochs, plateau


@pytest.mark.parametrize("data_set", learning_curves.DATA_SETS)
def test_every_data_set_has_its_trainings_whole(data_set):
    curves = learning_curves.learning_curves(data_set)
    assert len(curves) == learning_curves.SETTINGS >= 24
    assert len({curve.name for curve in curves}) == len(curves)
    score = "val_mae" if data_set in ("diabetes", "linnerud") else "val_acc"
    for curve in curves:
        assert curve.name.startswith(f"{data_set} optimizer=")
        assert sorted(curve.series) == sorted(["train_loss", "val_loss", score])
        assert curve.epochs.tolist() == list(range(learning_curves.EPOCHS))
        assert (curve.seconds[1:] > curve.seconds[:-1]).all()
        assert (curve.steps[1:] > curve.steps[:-1]).all()


def test_the_file_is_small_and_an_unknown_data_set_is_refused():
    assert learning_curves.FILE.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match="there are curves of digits, iris"):
        learning_curves.learning_curves("mnist")


def test_the_script_trains_the_same_curve_again():
    setting = learning_curves.settings("iris")[0]
    [first] = [one for one in learning_curves.learning_curves("iris") if one.name.endswith(" seed=0")]
    again = learning_curves.train("iris", setting, epochs=5)
    for metric in ("train_loss", "val_loss", "val_acc"):
        expected = list(first.series[metric].values)[:5]
        assert [row[metric] for row in again] == pytest.approx(expected, rel=1e-3)


def test_patience_trades_epochs_for_regret_on_real_curves():
    conditions = {f"patience {patience}": plateau("val_loss", patience) for patience in (1, 3, 10, 30)}
    found = compare_stopping(learning_curves.learning_curves(), conditions, "val_loss", "min")
    costs = [one.mean_epochs for one in found.summaries[:4]]
    regrets = [one.mean_regret for one in found.summaries[:4]]
    assert costs == sorted(costs)
    assert regrets == sorted(regrets, reverse=True)
    for patient in found.summaries[:4]:
        assert 0 <= patient.mean_regret < math.inf
    fixed = compare_stopping(learning_curves.learning_curves("wine"), max_epochs(20), "val_loss", "min")
    assert fixed.summaries[0].mean_regret == fixed.summaries[0].same_cost_regret
