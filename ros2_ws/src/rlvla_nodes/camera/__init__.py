"""Where images come from: one file a kind of source, and the description of the lens."""
