"""New tasks from a repository: small bugs put in by syntax-tree mutation, kept only when running the tests proves them.

`pipeline.synthesise` is the entry point; `quickstart` makes the bundled tasks.
"""
