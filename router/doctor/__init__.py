"""`turnout doctor`: what is wrong with the backends, and how to mend it."""
