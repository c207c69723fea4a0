"""A cluster: the overhead, the speed and the losses of trainings on it, and a simulation of 1,000 computers."""
