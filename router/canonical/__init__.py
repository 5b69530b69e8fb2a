"""The hub: what a request asks and what an answer says, in no wire format. No I/O."""
