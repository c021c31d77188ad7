"""A small checkpoint is put together without torch.save, and is the file that it writes, to the last byte."""

from collections import OrderedDict

import pytest
import torch
from torch.nn import BatchNorm1d, Linear, Sequential

from burr_lightning.commits.archive import small_archive
from burr_lightning.commits.files import Stream, save_tensors
from burr_lightning.commits.rng import rng_state

MOST = 1 << 20


def trained():
    """A module and its optimizer, whose states are there."""
    module = Sequential(Linear(5, 3), BatchNorm1d(3), Linear(3, 1))
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    module(torch.ones(4, 5)).sum().backward()
    optimizer.step()
    return module, optimizer


def everything():
    """What a checkpoint may hold."""
    module, optimizer = trained()
    whole = torch.arange(12.0).reshape(3, 4)
    return {
        "state_dict": module.state_dict(),
        "parameter": module[0].weight,
        "optimizer_states": [optimizer.state_dict()],
        "burr_lightning": {"random": {"global": rng_state()}, "swap": False, "nothing": None},
        "views": [whole, whole.T, whole[1], whole[::2, 1:]],
        "requires": torch.ones(2, requires_grad=True),
        "kinds": [
            torch.ones(3, dtype=kind)
            for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.int16, torch.int8)
        ],
        "bools": torch.tensor([True, False]),
        "empty": torch.empty(0),
        "scalar": torch.tensor(7),
        "objects": [
            torch.float32,
            torch.device("cpu"),
            torch.Size([2, 3]),
            OrderedDict(a=1),
            {1, 2},
            b"\x00\xff",
        ],
        "numbers": [1, -1, 1 << 40, 0.1, float("inf"), True, "wörter", (1, 2)],
    }


def by_torch(content, path):
    """What torch.save writes, the hash of names and check sums left out: of both there is one for all."""
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        with open(path, "wb") as file:
            torch.save(content, _Unnamed(file))
    finally:
        torch.serialization.set_crc32_options(before)
    written = path.read_bytes()
    end = written.index(b"PK\7\x08", written.index(b"serialization_idFB"))
    return written[: end - 40] + b"0" * 40 + written[end:]


class _Unnamed:
    """A file without a name, which torch would write into the archive."""

    def __init__(self, file):
        self.write, self.flush = file.write, file.flush


def test_it_is_what_torch_writes_to_the_last_byte(tmp_path):
    content = everything()
    assert small_archive(content, MOST) == by_torch(content, tmp_path / "torch.ckpt")


@pytest.mark.parametrize("options", [{"weights_only": True}, {"weights_only": True, "mmap": True}])
def test_torch_loads_it(tmp_path, options):
    module, optimizer = trained()
    path = tmp_path / "small.ckpt"
    path.write_bytes(small_archive([module.state_dict(), optimizer.state_dict()], MOST))
    weights, state = torch.load(path, **options)
    assert all(torch.equal(weights[name], value) for name, value in module.state_dict().items())
    assert torch.equal(state["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])


def _with_attribute():
    tensor = torch.ones(2)
    tensor.note = "mine"
    return tensor


@pytest.mark.parametrize(
    "content",
    [
        torch.ones(MOST // 4),
        [torch.ones(1) for _ in range(MOST // 256)],
        torch.ones(3).to_sparse(),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2, dtype=torch.uint16),
        torch.tensor([1j]).conj().imag,
        torch.ones(2, device="meta"),
        torch.ones(2).untyped_storage(),
        _with_attribute(),
    ],
    ids=["large", "many", "sparse", "complex", "uint16", "negated", "meta", "storage", "attribute"],
)
def test_what_is_large_or_not_plain_is_left_to_torch(tmp_path, content):
    assert small_archive(content, MOST) is None
    stream = Stream(tmp_path / "of-torch.ckpt")
    save_tensors(content, stream)
    stream.digest()
    stream.close()
    torch.load(tmp_path / "of-torch.ckpt", weights_only=False)


def test_two_types_of_one_memory_are_refused_as_by_torch(tmp_path):
    whole = torch.ones(4)
    stream = Stream(tmp_path / "refused.ckpt")
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        save_tensors([whole, whole.view(torch.int32)], stream)
    stream.close()
