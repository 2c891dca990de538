"""Great Expectations contracts on every dataset that trains a model; a broken contract stops training."""
