"""Who may serve a request."""
