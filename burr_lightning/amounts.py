"""Numbers and times as people read them."""

from __future__ import annotations


def number(value: float) -> str:
    """A metric's value, short."""
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """A time as people read it.

    Example:
        >>> duration(0.0421), duration(7.5), duration(75), duration(7500)
        ('42ms', '7.5s', '1m 15s', '2h 05m')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def file_size(size: int) -> str:
    """How many bytes a file has, as people read it.

    Example:
        >>> file_size(812), file_size(81_234), file_size(2_500_000_000)
        ('812 B', '81.2 kB', '2.5 GB')
    """
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.95:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
