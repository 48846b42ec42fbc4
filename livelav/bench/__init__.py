"""How fast this machine is: stages, engines, and from hand and sound to the screen."""
