"""The application object, and the parts that it is made of."""
