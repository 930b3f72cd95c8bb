"""One module per format: `recognises(value)` says whether a record is of the format, `convert` makes its trajectory."""
