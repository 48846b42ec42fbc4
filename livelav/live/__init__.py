"""The running show: its processes, who starts and watches them, and the picture's loop."""
