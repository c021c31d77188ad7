"""A study on a real Dask cluster: any executor of the kind of ``concurrent.futures`` does."""

import os

import pytest
from study_on_ray import study
from trials_on_ray import EPOCHS, train

from burr_lightning import Run

distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed here")


def dies_once(trial):
    """The first attempt of the second trial dies, when it has trained."""
    train(trial)
    if (trial.number, trial.attempt) == (1, 1):
        os._exit(1)


@pytest.fixture
def client():
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),  # the study begins a trial again
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore:::distributed", "ignore:::tornado", "ignore::ResourceWarning")
def test_a_trial_whose_worker_dies_is_begun_again_and_goes_on(client, postgresql):
    ran = study("dask", client.get_executor(retries=0), dies_once, postgresql.url).run()
    assert [trial.status for trial in ran.trials] == ["finished"] * 3
    assert [trial.attempts for trial in ran.trials] == [1, 2, 1]
    for trial in ran.trials:
        run = Run.open(trial.run_id, persister=postgresql.url)
        assert [epoch["epoch"] for epoch in run.history.to_dicts()] == list(range(EPOCHS))
