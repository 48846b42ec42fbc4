"""`python -m livelav`."""

from livelav.cli import main

if __name__ == "__main__":
    main()
