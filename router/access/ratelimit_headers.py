"""The `x-ratelimit-*` headers that OpenAI's clients know."""

from router.access.limits import Standing

RawHeaders = list[tuple[bytes, bytes]]


def ratelimit_headers(requests: Standing | None, tokens: Standing | None) -> RawHeaders:
    """Limit, what remains of it, and when it is whole again, for each limit that a key has."""
    headers: RawHeaders = []
    for name, standing in (("requests", requests), ("tokens", tokens)):
        if standing is not None:
            headers += [
                (f"x-ratelimit-limit-{name}".encode(), str(standing.limit).encode()),
                (f"x-ratelimit-remaining-{name}".encode(), str(standing.remaining).encode()),
                (f"x-ratelimit-reset-{name}".encode(), duration(standing.reset_s).encode()),
            ]
    return headers


def duration(seconds: float) -> str:
    """As OpenAI writes a time: `0s`, `17ms`, `1.5s`, `6m0s`, `1h0m3s`; rounded up to a millisecond."""
    millis = max(0, -int(-seconds * 1000 // 1))
    if 0 < millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    lead = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{lead}{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
