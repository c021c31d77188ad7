"""Two ranks have one store, a server: what happens to it, to them and to whom they ask."""

import signal
from functools import partial
from pathlib import Path

import pytest
from pools import by_and_by
from ranked import Ranked, Training, train
from servers import stored_rows

from burr_lightning import Run
from burr_lightning.conditions import max_epochs
from burr_lightning.persisters import retrying

SERVERS = ["postgresql", pytest.param("redis", marks=pytest.mark.long)]


def stored_at(url, patience=None, **given):
    """Arguments of a callback on a rank, which tries a store again for so many seconds."""
    if patience is not None:
        retrying.PATIENCE = patience
    return {"persister": url, **given}


def reviewed_at(url):
    return stored_at(url, review_when=max_epochs(2))


@pytest.fixture(params=SERVERS)
def server(request):
    server = request.getfixturevalue(request.param)
    yield server
    if server.stopped:
        server.start()


@pytest.fixture
def run_id(server, tmp_path):
    return f"{server.name}-{tmp_path.name}".replace("[", "-").replace("]", "").lower()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """How the training ends on each rank, its rows in a file, where nothing happens."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("undisturbed")
        patch.chdir(folder)
        patch.setenv("BURR_LIGHTNING_HOME", str(folder))
        return trained(Training())


def trained(training):
    ranks = Ranked(2, train, training)
    statuses, told = ranks.ended()
    assert statuses == [0, 0], ranks.printed
    return [ending for _, ending in told]


def test_a_human_is_asked_and_answers_from_outside(server, run_id, undisturbed):
    training = Training(run_id=run_id, callback=partial(reviewed_at, server.url))
    assert [ending["paused"] for ending in trained(training)] == [True, True]
    paused = Run.open(run_id, persister=server.url)
    assert paused.status == "paused"
    rows = len(stored_rows(server.url, run_id))
    assert rows == len(paused.commits)
    paused.answer("go")
    assert trained(training) == undisturbed
    run = Run.open(run_id, persister=server.url)
    assert (run.status, run.epoch) == ("finished", 3)
    assert len(stored_rows(server.url, run_id)) == len(run.commits) > rows


@pytest.mark.long
def test_ranks_wait_for_a_store_that_comes_back(server, run_id, undisturbed):
    training = Training(run_id=run_id, callback=partial(stored_at, server.url))
    ranks = Ranked(2, train, training.but(event=([0], 1, 1, "waits for go")))
    ranks[0].waits_for("there")
    server.stop()
    Path("go").touch()
    by_and_by(lambda: "It is tried again for 20 s; the training waits" in ranks[0].printed)
    server.start()
    statuses, told = ranks.ended()
    assert statuses == [0, 0], ranks.printed
    assert "works again, after" in ranks[0].printed
    assert [ending for _, ending in told] == undisturbed


@pytest.mark.long
def test_ranks_end_together_where_it_does_not_and_the_run_goes_on_when_it_has(server, run_id, undisturbed):
    training = Training(run_id=run_id, callback=partial(stored_at, server.url, patience=0.5))
    ranks = Ranked(2, train, training.but(event=([0], 1, 1, "waits for go")))
    ranks[0].waits_for("there")
    server.stop()
    Path("go").touch()
    assert ranks.ended()[0] == [1, 1]
    for rank in range(2):
        assert "burr_lightning.errors.PersisterError: " in ranks[rank].printed
        assert "The last commit is safe" in ranks[rank].printed
    server.start()
    assert trained(training) == undisturbed


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_is_killed_and_the_run_goes_on_from_the_same_rows(rank, server, run_id, undisturbed):
    training = Training(run_id=run_id, callback=partial(stored_at, server.url))
    ranks = Ranked(2, train, training.but(event=([rank], 2, 1, "waits")))
    ranks[rank].waits_for("there")
    ranks[rank].kill()
    statuses = ranks.ended()[0]
    assert (statuses[rank], statuses[1 - rank]) == (-signal.SIGKILL, 1), ranks.printed
    before = stored_rows(server.url, run_id)
    assert trained(training) == undisturbed
    assert {*before} < {*stored_rows(server.url, run_id)}
