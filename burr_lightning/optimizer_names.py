"""The hyperparameters that are an optimizer's, by the names that modules give them."""

from __future__ import annotations

RATES = ("lr", "learning_rate")
OF_GROUPS = frozenset({"weight_decay", "momentum", "betas"})
