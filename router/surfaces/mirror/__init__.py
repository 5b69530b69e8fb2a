"""Turnout as an Ollama server: what Ollama's clients ask, answered by the whole fleet."""
