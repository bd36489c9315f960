"""What can be done to a file, each step as a function that runs inside a transaction."""
