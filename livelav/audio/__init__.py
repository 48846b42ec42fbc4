"""Sound in: sources, the capture process, the resampler."""
