"""From a file or a take to a video, by the live stages in a plain loop."""
