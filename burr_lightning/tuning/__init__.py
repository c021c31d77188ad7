"""Searching for hyperparameters: a study trains many runs, each in a process of its own."""
