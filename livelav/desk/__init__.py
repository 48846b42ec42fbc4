"""What hands do comes to: scenes and the ways between them, tempo, controllers, what is kept. Knows no picture."""
