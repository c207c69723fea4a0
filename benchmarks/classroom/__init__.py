"""A class of thirty on one server: how long pages take, what is lost, and who comes back where."""
