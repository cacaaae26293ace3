"""The truth: SQL lives here and nowhere else; one query, one named method."""
