"""How many tokens an answer took."""
