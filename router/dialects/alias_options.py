"""Alias options that only one kind of backend understands, and that the others must not be sent."""

OLLAMA_OPTIONS = frozenset({"options", "keep_alive", "think", "num_ctx", "truncate", "shift"})

CLAUDE_OPTIONS = frozenset({"cache", "default_max_tokens", "unforceable_tool_choice", "thinking_budgets"})
