"""A small scheduler: commands in a queue on disk, started and started again until their runs have ended.

Nothing here imports torch or Lightning, and Burr only where a run's rows must be read: it must start fast.
"""
