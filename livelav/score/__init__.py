"""How far pictures follow their sound: features of both, correlations between them, and controls beside each."""
