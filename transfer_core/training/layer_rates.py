"""Optimizers with a learning rate for each weight. Exported scripts include this file, so it needs Keras alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_rate_shares(kind: Any, shares: Mapping[str, float]) -> Any:
    """Return a subclass of an optimizer that scales the learning rate and the decay of each weight.

    Args:
        kind: A class of `keras.optimizers`.
        shares: Factors from 0 to 1 by the `path` of the weight; 1 for other weights.
    """

    class Layerwise(kind):  # type: ignore[misc]
        """The optimizer with a learning rate for each weight."""

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            super().update_step(gradient, variable, learning_rate * self._share(variable))

        # Private in Keras, which decays all weights at the same rate and offers no public hook to change that.
        def _apply_weight_decay(self, variables: Any) -> None:
            if self.weight_decay is None:
                return
            decay = self.weight_decay * self.learning_rate
            for variable in variables:
                if self._use_weight_decay(variable):
                    variable.assign(variable - variable * decay * self._share(variable))

        def _share(self, variable: Any) -> float:
            path = self._trainable_variables[self._get_variable_index(variable)].path
            return shares.get(path, 1.0)

    return Layerwise
