"""Hands on: every control source turns what it hears into commands."""
