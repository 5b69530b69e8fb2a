"""Writes docs/clients.md."""

from pathlib import Path

from router.connect import GUIDES
from router.connect.page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(GUIDES), encoding="utf-8")


if __name__ == "__main__":
    main()
