"""`vlmcar`: the stages from a shell. Background runs of the app are these same commands."""

from vlmcar_core.cli import main

if __name__ == "__main__":
    main()
