"""A study on the Ray that there is; as a script, one whose trial halts in the middle of an epoch."""

import sys
from functools import partial

from optuna.distributions import FloatDistribution
from optuna.samplers import GridSampler
from trials_on_ray import RATES, train

from burr_lightning.tuning import Study


def study(run_id, executor, objective, url, **options):
    """Whatever runs it and however often it is begun: it tries the same rates in the same order."""
    given = {
        "space": {"learning_rate": FloatDistribution(1e-4, 1e-1)},
        "sampler": GridSampler({"learning_rate": RATES}, seed=1),
        "monitor": "val_loss",
        "seed": 1,
    }
    return Study(objective, run_id=run_id, executor=executor, persister=url, **{**given, **options})


if __name__ == "__main__":
    from burr_lightning.tuning.ray import RayProcesses

    study("killed", RayProcesses(), partial(train, told=sys.argv[2]), sys.argv[1]).run()
