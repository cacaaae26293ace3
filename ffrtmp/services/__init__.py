"""What the farm does: one verb on one noun each; loops do one pass per call."""
