"""Storage: files that appear whole or not at all, JSON and YAML that are read strictly, one writer a run."""
