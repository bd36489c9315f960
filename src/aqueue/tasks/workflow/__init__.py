"""Workflows as values: pipelines, groups, chords and error handlers, and the graph of nodes that they become."""
