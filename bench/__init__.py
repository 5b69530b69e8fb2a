"""The benchmark: what a request, a stream and a disconnect cost the router, against a bare relay."""
