"""`python -m picojoule` is the command line."""

from picojoule.cli import main

main()
