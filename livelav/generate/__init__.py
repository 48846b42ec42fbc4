"""ws to images: StyleGAN2 and the engines that run it."""
