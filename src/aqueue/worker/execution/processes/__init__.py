"""Child processes of a worker, for plain functions that compute. A child can be killed or die without its worker."""
