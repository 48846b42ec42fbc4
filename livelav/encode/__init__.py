"""Sound to features: the streaming EnCodec encoder and the hand-made features."""
