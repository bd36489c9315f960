"""The steps of the contract, as functions that run inside one transaction."""
