"""Values, parameters, shared memory, clocks: knows nothing of devices, networks or windows."""
