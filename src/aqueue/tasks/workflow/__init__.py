"""Workflows as values: pipelines, groups, chords and handlers, and the graph of nodes that all of them come to."""
