"""HOW AN EXPERT SOLVED IT: readers, steps, filters, replay, export."""
