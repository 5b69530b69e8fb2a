"""Anthropic's SDK at work. It takes seconds to import, so its module is imported only where Claude is a backend."""
