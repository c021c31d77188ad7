"""Training one epoch of a run again, to see whether the result is the same to the last bit.

`replaying` is the side that asks for it, `child` the side inside the process that trains, `task` what
the two tell each other, and `compare` the comparison.
"""
