"""While a run waits for a human: how its process waits, and whom it tells."""

from .pause import OnPause, Pause, checked_on_pause, tell
from .ways import Block, Wait, checked_wait
from .webhook import post_to

__all__ = ["Block", "OnPause", "Pause", "Wait", "checked_on_pause", "checked_wait", "post_to", "tell"]
