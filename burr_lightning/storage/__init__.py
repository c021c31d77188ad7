"""What is done with stored runs: taken out of them, freed and deleted."""
