"""What `burr-lightning` is where click or rich is not installed."""

from __future__ import annotations


def main() -> None:
    """Say what to install.

    Raises:
        SystemExit: Always, with exit code 1.
    """
    raise SystemExit("The command line needs click and rich: pip install 'burr-lightning[cli]'")
