"""What only a GPU can show. `pytest -m gpu` runs it, with the tests of other files that need one."""

from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import pairwise
from multiprocessing import get_context

import pytest
import syncs
import torch
from exact_machines import with_actions
from exact_parts import Net, data, digits
from exact_trainings import half_precision
from exactness import Case, Interrupted, InterruptedAt, Script, differences, resumed, run
from lightning.pytorch import Callback, Trainer
from torch import nn
from torchdata.stateful_dataloader import StatefulDataLoader

from burr_lightning import BurrCallback, Checkpoints
from burr_lightning.actions import Rollback
from burr_lightning.commits.rng import rng_state, set_rng_state
from burr_lightning.commits.snapshot import Snapshot

pytestmark = pytest.mark.gpu

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
ONE = {"devices": 1, "deterministic": True}


# What is exact


def dropout():
    return Script(Net(nn.Dropout(0.5)), data(), trainer=ONE)


def dropout_committed_asynchronously():
    keep = Checkpoints(asynchronous=True)
    return Script(Net(nn.BatchNorm1d(16), nn.Dropout(0.5)), data(), trainer=ONE, burr={"checkpoints": keep})


def scaled_gradients():
    return Script(Net(nn.Dropout(0.5)), data(), trainer={**ONE, **half_precision("cuda")})


def scaled_gradients_inside_epochs():
    given = data(StatefulDataLoader(digits(), batch_size=32, shuffle=True))
    every = {"checkpoints": Checkpoints(every_n_steps=1, asynchronous=True)}
    return Script(Net(nn.Dropout(0.5)), given, trainer={**ONE, **half_precision("cuda")}, burr=every)


def bfloat16():
    return Script(Net(nn.Dropout(0.5)), data(), trainer={**ONE, "precision": "bf16-mixed"})


WRITTEN = [
    dropout,
    dropout_committed_asynchronously,
    scaled_gradients,
    scaled_gradients_inside_epochs,
    bfloat16,
]


def in_a_new_process(work):
    """A forked one could not use CUDA where this one does."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work).result()


@pytest.mark.parametrize("write", WRITTEN)
def test_a_run_on_a_gpu_goes_on_to_the_last_bit_in_a_new_process(write):
    case = Case(write, epochs=3, accelerator="gpu")
    whole = in_a_new_process(partial(run, case, "whole"))
    if "scaled" in write.__name__:
        scales = [note["scaler"]["scale"] for note in whole["batches"].values()]
        assert {now > before for before, now in pairwise(scales) if now != before} == {True, False}
    for epoch in range(case.epochs):
        name = f"interrupted-in-{epoch}"
        with suppress(Interrupted):
            in_a_new_process(partial(run, case, name, interrupted=InterruptedAt(epoch)))
            pytest.fail("it was not interrupted")
        assert differences(whole, in_a_new_process(partial(resumed, case, epoch, name))) == []


def test_the_generators_of_all_devices_go_on_where_they_were():
    def draw():
        return [torch.rand(3, device=f"cuda:{index}").tolist() for index in range(torch.cuda.device_count())]

    draw()
    state = rng_state()
    assert (len(state["cuda"]), state["cuda_device"]) == (
        torch.cuda.device_count(),
        torch.cuda.current_device(),
    )
    drawn = draw()
    set_rng_state(state)
    assert draw() == drawn
    on_gpu = {**state, "numpy": [each.cuda() if hasattr(each, "cuda") else each for each in state["numpy"]]}
    set_rng_state({**on_gpu, "cuda": [each.cuda() for each in state["cuda"]]})
    assert draw() == drawn


def test_a_rollback_leaves_the_step_counts_of_the_optimizer_where_they_are_not_waited_for():
    class Looks(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            ended.append(self.weights(pl_module))

        def on_train_epoch_start(self, trainer, pl_module):
            began.append(self.weights(pl_module))
            states = trainer.optimizers[0].state.values()
            devices.append({state["step"].device.type for state in states})

        def weights(self, pl_module):
            return torch.cat([parameter.detach().flatten().clone() for parameter in pl_module.parameters()])

    began, ended, devices = [], [], []
    burr = BurrCallback(machine=with_actions(back=(Rollback(0), (2,))), checkpoints=Checkpoints(keep_last=9))
    trainer = Trainer(callbacks=[Looks(), burr], accelerator="gpu", devices=1, max_epochs=4, **QUIET)
    trainer.fit(Net(), **data())
    assert torch.equal(began[3], ended[0])
    assert not torch.equal(began[3], ended[2])
    assert devices[3] == devices[2] == {"cpu"}


# The copy of an asynchronous commit


def content():
    weights = torch.arange(6.0, device="cuda").reshape(2, 3)
    return {
        "weights": weights,
        "tied": [weights, weights[1]],
        "many": [torch.randn(1000, device="cuda") for _ in range(20)],
        "half": torch.randn(5, device="cuda", dtype=torch.float16),
        "on the CPU": torch.arange(4),
        "empty": torch.empty(0, device="cuda"),
    }


def test_a_snapshot_of_a_gpu_is_in_page_locked_memory_that_is_used_again():
    original, snapshot = content(), Snapshot()
    copied = snapshot.take(original)
    expected = [each.tolist() for each in original["many"]]
    for each in (original["weights"], *original["many"]):
        each.add_(1)
    assert copied["weights"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert [each.tolist() for each in copied["many"]] == expected
    assert copied["half"].tolist() == original["half"].tolist()
    assert copied["weights"].is_pinned()
    assert not copied["on the CPU"].is_pinned()
    copied["weights"][1, 0] = 9
    assert copied["tied"][1].tolist() == [9, 4, 5]
    again = snapshot.take(original)
    assert again["weights"].data_ptr() == copied["weights"].data_ptr()
    assert again["weights"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_snapshot_waits_for_a_gpu_once():
    original, snapshot = content(), Snapshot()
    snapshot.take(original)
    counts = syncs.waits(lambda: snapshot.take(original))
    on_gpu = 1 + len(original["many"]) + 1  # what is tied is one, what is empty is none
    assert counts["Memcpy DtoH"] == on_gpu
    assert (counts["cudaStreamSynchronize"], counts["cudaEventSynchronize"]) == (1, 0)


def test_a_snapshot_is_taken_in_the_order_of_the_stream_that_trains():
    original, snapshot = content(), Snapshot()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        large = torch.randn(4096, 4096, device="cuda")
        for _ in range(20):
            large = large @ large / 4096  # keeps the stream busy, while the next line waits in it
        original["weights"].add_(1)
        copied = snapshot.take(original)
        original["weights"].add_(1)
    assert copied["weights"].tolist() == [[1, 2, 3], [4, 5, 6]]
