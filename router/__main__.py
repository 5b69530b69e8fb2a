"""`python -m router` is the `turnout` command."""

from router.cli import main

if __name__ == "__main__":
    main(prog_name="turnout")
