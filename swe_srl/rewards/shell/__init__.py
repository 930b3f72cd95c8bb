"""A similarity that knows shell: commands are parsed, normalised, and compared part by part."""
