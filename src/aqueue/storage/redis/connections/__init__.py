"""The connections of one process to one server, each with one purpose."""
