"""Values that are too long for a row: how they are cut, and what two that were cut say of each other."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

LONGEST = 200
"""Characters that are kept."""

_CUT = re.compile(rf"(.{{{LONGEST}}})\.\.\. \((\d+) characters(?:, sha256 ([0-9a-f]{{12}}))?\)", re.DOTALL)


def cut(text: str) -> str:
    """The beginning of a text, with its length and a digest of the whole of it.

    Example:
        >>> cut("0" * 201)[-50:]
        '000000000... (201 characters, sha256 fdc71390d941)'
    """
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{text[:LONGEST]}... ({len(text)} characters, sha256 {digest})"


@dataclass(frozen=True)
class CutValue:
    """What is known of a value that was cut."""

    beginning: str
    characters: int
    digest: str | None
    """Of the whole, ``None`` where an older version has cut it."""

    @staticmethod
    def of(value: Any) -> CutValue | None:
        """What a value says that was cut, ``None`` for one that was not."""
        match = _CUT.fullmatch(value) if isinstance(value, str) else None
        return CutValue(match[1], int(match[2]), match[3]) if match is not None else None

    def may_be(self, other: CutValue) -> bool:
        """Whether the two were one value, as far as that is known."""
        known = None not in (self.digest, other.digest)
        same = (self.beginning, self.characters) == (other.beginning, other.characters)
        return same and (not known or self.digest == other.digest)

    def is_known_to_be(self, other: CutValue) -> bool:
        """Whether the two were one value, beyond what was kept of them."""
        return self.digest is not None and self == other
