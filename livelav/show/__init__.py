"""Images to the audience: window, shaders, HUD, recording."""
