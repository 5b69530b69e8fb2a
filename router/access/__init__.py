"""Who may call, from where, and how much: decisions over values in memory. No I/O; the clock is passed in."""
