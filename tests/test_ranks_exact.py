"""What a resume can get wrong on one process is right on two, whichever of them ended the training."""

import pytest
from exactness import SEED
from ranked_cases import CASES, ends
from test_exactness import refuse_differences

IN_THE_GATE = {
    "accumulated_gradients",
    "a_module_that_unfreezes_a_layer",
    "finetuned_in_stages",
    "rolled_back_to_other_groups",
    "changed_beside_commits_inside_epochs",
}
"""The others take long."""


@pytest.mark.parametrize(
    "name", [name if name in IN_THE_GATE else pytest.param(name, marks=pytest.mark.long) for name in CASES]
)
def test_a_run_interrupted_in_an_epoch_ends_as_the_uninterrupted_one(name, tmp_path):
    goes_on_exactly(name, tmp_path)


def goes_on_exactly(name, tmp_path, spread=None):
    """See that a script ends as it does uninterrupted, on both ranks.

    Args:
        name: The script.
        tmp_path: Where its runs are.
        spread: Gives it as it is on two processes; ``None`` is with DDP.
    """
    case = CASES[name]
    whole = ends(name, tmp_path / "whole", spread=spread)
    if not all(isinstance(each, dict) for each in whole):
        pytest.fail(str(whole[0]), pytrace=False)
    for epoch, by in ((1, (1, "exception")), (case.epochs - 1, (0, "SIGKILL"))):
        home = tmp_path / f"interrupted-in-{epoch}"
        ends(name, home, interrupted=epoch, by=by, spread=spread)
        again = ends(name, home, seed=SEED + (not case.draws_its_data), spread=spread)
        for rank in range(2):
            refuse_differences(whole[rank], {f"rank {rank}, interrupted in epoch {epoch}": again[rank]})
