"""A run that is killed again and again ends as if nothing had happened."""

import pytest
from kill_campaign import campaign, table


@pytest.mark.parametrize("saving", ["synchronous", "asynchronous"])
def test_no_kill_costs_an_epoch_or_changes_how_a_run_ends(saving, tmp_path, pytestconfig):
    kills = pytestconfig.getoption("kills") // 2
    result = campaign(kills, seed=3, home=tmp_path, saving=saving)
    print(table([result]))
    assert result.kills == kills
    assert result.landed["training"] > 0
    assert result.landed["checkpoint"] + result.landed["row"] + result.landed["prune"] > 0
    assert result.epochs_lost == 0
    assert result.unloadable == []
    assert result.not_resumed == []
    assert result.left_over == []
    assert result.differing_runs == []
