"""New tasks from any Python package or repository whose tests pytest can run.

`pipeline.synthesise_packages` is the entry point. The mutations are those of `swe_srl.tasks.synthesis`, and some more.
"""
