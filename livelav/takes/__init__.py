"""A show's sound and all that was done to it, in a folder: how it is written and read."""
