"""What a farm is and how it decides: pure values and pure functions, standard library only."""
