"""The revisions, each never changed once it was released."""
