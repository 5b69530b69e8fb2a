"""llama.cpp processes that the router runs: when they start and stop, what fits beside what, and the processes."""
