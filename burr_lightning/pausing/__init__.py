"""While a run waits for a human: how its process waits, and whom it tells."""

from .pause import OnPause, Pause
from .ways import Block, Wait
from .webhook import post_to

__all__ = ["Block", "OnPause", "Pause", "Wait", "post_to"]
