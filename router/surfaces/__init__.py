"""HTTP: routes and response objects, no logic."""
