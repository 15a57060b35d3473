"""Storage: files and directories that appear whole or not at all, JSON and YAML read strictly, one writer for a run."""
