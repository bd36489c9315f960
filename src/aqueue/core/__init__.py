"""What needs neither a store nor an event loop: messages, states, encodings, ids, time."""
