"""Groups of commands of `turnout`."""
