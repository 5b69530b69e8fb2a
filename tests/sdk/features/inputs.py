"""What a conversation may be made of."""

from typing import Any

from tests.sdk.conformance import feature
from tests.sdk.talk import Talk, user

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""


def _parts(url: str) -> list[Any]:
    return [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]


@feature("Input", "system and developer messages")
def _(talk: Talk) -> None:
    said: list[Any] = [
        {"role": "system", "content": "Answer in French."},
        {"role": "developer", "content": "Be very brief."},
        *user("Say hello."),
    ]
    assert talk.ask(messages=said).choices[0].message.content
    if talk.fake is not None:
        body = talk.fake.requests[-1].body.decode()
        assert "Answer in French." in body
        assert "Be very brief." in body


@feature("Input", "text in parts")
def _(talk: Talk) -> None:
    parts: list[Any] = [{"type": "text", "text": "Say hello"}, {"type": "text", "text": "to Paris."}]
    assert talk.ask(parts).choices[0].message.content
    if talk.fake is not None:
        body = talk.fake.requests[-1].body.decode()
        assert "Say hello" in body
        assert "to Paris." in body


@feature("Input", "several turns, two in a row from one side")
def _(talk: Talk) -> None:
    said: list[Any] = [
        *user("My name is Ada."),
        {"role": "assistant", "content": "Hello Ada."},
        *user("Wait."),
        *user("What is my name?"),
    ]
    assert talk.ask(messages=said).choices[0].message.content
    if talk.fake is not None:
        body = talk.fake.requests[-1].body.decode()
        assert all(text in body for text in ("My name is Ada.", "Hello Ada.", "Wait.", "What is my name?"))


@feature("Input", "image as data URL", real=False)
def _(talk: Talk) -> None:
    assert talk.ask(_parts(f"data:image/png;base64,{PIXEL}")).choices[0].message.content
    assert talk.fake is not None
    assert PIXEL in talk.fake.requests[-1].body.decode()


@feature("Input", "image by its address (never fetched by the router)", real=False)
def _(talk: Talk) -> None:
    address = "https://images.example/cat.png"
    assert talk.ask(_parts(address)).choices[0].message.content
    assert talk.fake is not None
    assert address in talk.fake.requests[-1].body.decode()
