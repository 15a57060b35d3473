"""Geometry: rotations, rigid transforms and cameras, one place for every formula; frames stand in the names."""
