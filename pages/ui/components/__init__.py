"""Components that run in the browser, charts and other building blocks: each with its script and style beside it."""
