"""What is true without a store and without an event loop: messages, states, encodings, ids, time."""
