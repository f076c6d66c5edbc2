"""How often the 95 % interval of each exported figure holds what is true of the population that rows were drawn from."""
