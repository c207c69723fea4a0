"""Background work: the queue, its executors and the worker process. The only room with threads and processes."""
