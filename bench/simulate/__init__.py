"""The queue against simpler ones, on a simulated fleet: same people, same machines, same seed."""
