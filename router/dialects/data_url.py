"""`data:` URLs that carry base64."""


def base64_of(url: str) -> tuple[str, str] | None:
    """The media type and the data of a data URL in base64; None for any other text."""
    head, comma, data = url.partition(",")
    if not (comma and head[:5].lower() == "data:" and head.lower().endswith(";base64")):
        return None
    return head[5:].partition(";")[0], data
