"""TLS between the parts of a farm: its files, who is trusted, and when certificates run out.

Imports nothing heavy: what reads certificates is in ``files``.
"""


class TlsFileError(Exception):
    """A file of TLS cannot be used; the text names it and says what to do."""
