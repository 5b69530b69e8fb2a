"""What the two shapes of Ollama's answers are called."""

NAME = "ollama"
"""`/api/chat`: what is said is in `message`."""
GENERATE = "ollama_generate"
"""`/api/generate`: the same, in `response` and `thinking`."""
OWN = frozenset({NAME, GENERATE})
