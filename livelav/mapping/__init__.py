"""Features to ws: projection, normalisation, modulation, smoothing. numpy only."""
