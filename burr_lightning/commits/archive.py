"""What ``torch.save`` writes of small tensors, put together in memory, byte for byte, in a third of the time.

Of a small checkpoint torch's own way takes longer than the disk: it asks Python about each object twice, and
writes each tensor in five pieces. Private names of torch, read off 2.13, are used here and in no other place;
`tests/test_archive.py` fails loudly when what it writes changes.
"""

from __future__ import annotations

import copyreg
import ctypes
import pickle
import struct
from collections import OrderedDict
from io import BytesIO
from typing import Any

import torch
from torch._utils import _rebuild_tensor_v2

_KINDS: dict[torch.dtype, Any] = {
    torch.float64: torch.DoubleStorage,
    torch.float32: torch.FloatStorage,
    torch.float16: torch.HalfStorage,
    torch.bfloat16: torch.BFloat16Storage,
    torch.int64: torch.LongStorage,
    torch.int32: torch.IntStorage,
    torch.int16: torch.ShortStorage,
    torch.int8: torch.CharStorage,
    torch.uint8: torch.ByteStorage,
    torch.bool: torch.BoolStorage,
}
_ALIGNMENT = 64
_BESIDE = 256
"""Bytes that the file has for each record beside the record, about."""
_UTF_8, _SIZES_BEHIND = 0x0800, 0x0008
"""Flags of a record in a zip file."""
_HEADER = struct.Struct("<4s2xH6x3I2H")
_BEHIND = struct.Struct("<4s3I")
_ENTRY = struct.Struct("<4s4xH6x3I5H2I")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")


def small_archive(content: Any, most: int) -> bytearray | None:
    """The file of a content that is small.

    Args:
        content: What ``torch.save`` would be given.
        most: About how many bytes the file may have.

    Returns:
        The file; ``None`` where there is more, or a tensor that is not a plain one in the CPU's memory.
    """
    buffer = BytesIO()
    pickler = _Pickler(buffer, most)
    try:
        pickler.dump(content)
    except _NotSmallError:
        return None
    archive = _Archive()
    archive.add("data.pkl", buffer.getbuffer())
    archive.add(".format_version", b"1")
    archive.add(".storage_alignment", str(_ALIGNMENT).encode())
    archive.add("byteorder", b"little")
    for number, storage in enumerate(pickler.storages):
        archive.add(f"data/{number}", _bytes_of(storage))
    archive.add("version", b"3\n")
    archive.add(".data/serialization_id", b"0" * 40)
    return archive.ended()


class _NotSmallError(Exception):
    """It is for ``torch.save`` to write."""


class _Tensors:
    """Stands for what a tensor has its numbers in, which is a record of its own."""

    __slots__ = ("dtype", "key", "numel")

    def __init__(self, key: str, dtype: torch.dtype, numel: int) -> None:
        self.key, self.dtype, self.numel = key, dtype, numel


class _Pickler(pickle.Pickler):
    def __init__(self, file: BytesIO, most: int) -> None:
        self.dispatch_table = {
            **copyreg.dispatch_table,
            torch.Tensor: self._tensor,
            torch.UntypedStorage: _refuse,
            torch.TypedStorage: _refuse,
        }
        super().__init__(file, protocol=2)
        self._left = most
        self._known: dict[int, _Tensors] = {}
        self.storages: list[torch.UntypedStorage] = []

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is not _Tensors:
            return None
        return "storage", _KINDS[obj.dtype], obj.key, "cpu", obj.numel

    def _tensor(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        plain = tensor.layout is torch.strided and tensor.is_cpu and tensor.dtype in _KINDS
        if not plain or tensor.is_nested or tensor.is_neg() or tensor.__dict__:
            raise _NotSmallError
        storage = tensor.untyped_storage()
        known = self._known.get(storage._cdata)
        if known is None:
            size = storage.nbytes()
            self._left -= size + _BESIDE
            known = _Tensors(str(len(self.storages)), tensor.dtype, size // tensor.element_size())
            self._known[storage._cdata] = known
            self.storages.append(storage)
        if self._left < 0 or known.dtype is not tensor.dtype:
            raise _NotSmallError
        place = tensor.storage_offset(), tuple(tensor.size()), tensor.stride(), tensor.requires_grad
        return _rebuild_tensor_v2, (known, *place, OrderedDict())


def _refuse(storage: object) -> tuple[Any, ...]:
    raise _NotSmallError


def _bytes_of(storage: torch.UntypedStorage) -> bytes:
    return ctypes.string_at(storage.data_ptr(), storage.nbytes())


class _Archive:
    """A zip file as torch lays it out: nothing is compressed, and each record begins at a round address."""

    def __init__(self) -> None:
        self._file, self._directory, self._records = bytearray(), bytearray(), 0

    def add(self, name: str, data: bytes | memoryview) -> None:
        path, size, at = f"archive/{name}".encode(), len(data), len(self._file)
        begins = at + _HEADER.size + len(path) + 4
        filling = -begins % _ALIGNMENT
        flags = _UTF_8 | _SIZES_BEHIND if size else _UTF_8
        self._file += _HEADER.pack(b"PK\3\4", flags, 0, 0, 0, len(path), 4 + filling)
        self._file += path + b"FB" + filling.to_bytes(2, "little") + b"Z" * filling
        self._file += data
        if size:
            self._file += _BEHIND.pack(b"PK\7\x08", 0, size, size)
        self._directory += _ENTRY.pack(b"PK\1\2", flags, 0, size, size, len(path), 0, 0, 0, 0, 0, at)
        self._directory += path
        self._records += 1

    def ended(self) -> bytearray:
        at, size, records = len(self._file), len(self._directory), self._records
        self._file += self._directory
        self._file += _END_64.pack(b"PK\6\6", 44, 0x31E, 45, 0, 0, records, records, size, at)
        self._file += _LOCATOR.pack(b"PK\6\7", 0, at + size, 1)
        self._file += _END.pack(b"PK\5\6", 0, 0, records, records, size, at, 0)
        return self._file
