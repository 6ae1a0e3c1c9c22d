"""`python -m modellix.cli`."""

from modellix.cli import main

main()
