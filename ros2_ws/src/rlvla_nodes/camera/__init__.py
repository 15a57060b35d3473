"""Sources of camera images, one file a kind of source, and the file that describes the lens."""
