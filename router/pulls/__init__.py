"""Models on their way to a server: how far they are, who follows them, and what goes on after a restart."""
