"""Changing a settings file without touching what stands around: comments, order, quoting, line ends.

`changes` says what the settings become, `rewrite` how the text follows, `file` writes it. ruamel.yaml reads where
everything stands, and the text is changed in those places only: its own round trip would write other lines anew.
"""


class EditRefused(Exception):
    """The change is not made; the message says why in one line, without anything that may be secret."""
